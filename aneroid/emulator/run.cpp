#include "aneroid/emulator/run.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/emulator/bounds.h"
#include "aneroid/emulator/exact.h"
#include "aneroid/emulator/fused.h"
#include "aneroid/interp/interp.h"
#include "aneroid/numerics/integer_matrix.h"

namespace aneroid::emulator {
namespace {

double load_element(const std::byte* base, cpu::Storage storage, int64_t at) {
  if (storage == cpu::Storage::kHalf) {
    return to_float(reinterpret_cast<const Half*>(base)[at]);
  }
  return reinterpret_cast<const float*>(base)[at];
}

void store_element(std::byte* base, cpu::Storage storage, int64_t at,
                   double value) {
  if (storage == cpu::Storage::kHalf) {
    reinterpret_cast<Half*>(base)[at] = to_half_away(value);
  } else {
    reinterpret_cast<float*>(base)[at] = static_cast<float>(value);
  }
}

// Calls visit(offset) for every element of a view in row-major order.
template <typename Visit>
void for_each_offset(const View& view, Visit visit) {
  const int64_t count = view.count();
  std::vector<int64_t> index(view.dims.size(), 0);
  int64_t offset = view.offset;
  for (int64_t n = 0; n < count; ++n) {
    visit(offset);
    for (size_t i = view.dims.size(); i-- > 0;) {
      offset += view.strides[i];
      if (++index[i] < view.dims[i]) break;
      offset -= index[i] * view.strides[i];
      index[i] = 0;
    }
  }
}

class Runner {
 public:
  Runner(const Plan& plan, const RunContext& context)
      : plan_(plan),
        context_(context),
        memory_(context.memory),
        pool_(context.pool) {}

  Status operator()(const FusedStep& step) {
    // Enough elements per task to outweigh handing it out.
    constexpr int64_t kTaskElements = int64_t{1} << 14;
    const int64_t rows_per_task =
        std::max<int64_t>(1, kTaskElements / step.columns);
    const int64_t tasks = (step.rows + rows_per_task - 1) / rows_per_task;
    const bool lower = holds(step.claim);
    pool_.run(tasks, [&](int64_t task, int worker) {
      const int64_t first = task * rows_per_task;
      run_fused_rows(
          step, plan_, context_.buffers, first,
          std::min(step.rows, first + rows_per_task),
          memory_.fused_scratch.data() +
              static_cast<size_t>(worker) * plan_.fused_scratch_floats,
          lower);
    });
    return {};
  }

  Status operator()(const GemmStep& step) {
    const auto element = [&](int buffer, int64_t offset) {
      return base(buffer) + static_cast<size_t>(offset) * size_of(buffer);
    };
    const cpu::GemmShape& shape = step.shape;
    const cpu::GemmBatch& batch = step.batch;
    const cpu::ConstMatrix a{element(step.a_buffer, step.a_offset),
                             storage(step.a_buffer), step.a_row, step.a_col};
    const cpu::ConstMatrix b{element(step.b_buffer, step.b_offset),
                             storage(step.b_buffer), step.b_row, step.b_col};
    const cpu::Matrix c{element(step.c_buffer, step.c_offset),
                        storage(step.c_buffer), step.c_row, step.c_col};
    if (step.integer_scale > 0) {
      numerics::integer_product(pool_, shape, a, b, c, step.integer_scale);
      return {};
    }
    if (plan_.numerics == Numerics::kExact) {
      numerics::Bias bias;
      if (step.bias_buffer >= 0) {
        bias = {reinterpret_cast<const Half*>(
                    element(step.bias_buffer, step.bias_offset)),
                step.bias_row, 0};
      }
      if (context_.observe_products) {
        context_.observe_products(numerics::count_products(shape, a, b, batch));
      }
      numerics::matrix_product(pool_, memory_.exact_scratch, shape, a, b, c,
                               batch, bias);
      return {};
    }
    cpu::GemmOptions options;
    options.accumulate = accumulate();
    if (leaves_out(step.causal, {shape, a, b, batch})) {
      options.triangle = step.causal.triangle;
    }
    cpu::gemm(pool_, memory_.gemm_scratch, shape, a, b, c, options, batch);
    return {};
  }

  Status operator()(const ColumnReduceStep& step) {
    if (plan_.numerics == Numerics::kExact) return exact_column_reduce(step);
    constexpr int64_t kColumns = 64;  // per task: four cache lines of fp32
    const int64_t outer = step.in.dims[0];
    const int64_t reduced = step.in.dims[1];
    const int64_t inner = step.in.dims[2];
    const int64_t pieces = (inner + kColumns - 1) / kColumns;
    const std::byte* in = base(step.in.buffer);
    std::byte* out = base(step.out.buffer);
    const cpu::Storage in_storage = storage(step.in.buffer);
    const cpu::Storage out_storage = storage(step.out.buffer);
    pool_.run(outer * pieces, [&](int64_t task, int) {
      const int64_t o = task / pieces;
      const int64_t first = task % pieces * kColumns;
      const int64_t count = std::min(kColumns, inner - first);
      const bool is_max = step.code == Code::kRowMax;
      double sums[kColumns];
      float values[kColumns];
      std::fill_n(sums, count,
                  is_max ? -std::numeric_limits<double>::infinity() : 0.0);
      for (int64_t r = 0; r < reduced; ++r) {
        const int64_t at = step.in.offset + o * step.in.strides[0] +
                           r * step.in.strides[1] + first * step.in.strides[2];
        load_run(in, in_storage, at, step.in.strides[2], values, count);
        for (int64_t i = 0; i < count; ++i) {
          sums[i] = is_max ? max_or_nan(sums[i], values[i])
                           : sums[i] + double{values[i]};
        }
      }
      for (int64_t i = 0; i < count; ++i) {
        if (step.code == Code::kRowMean) {
          sums[i] /= static_cast<double>(reduced);
        }
        store_element(out, out_storage,
                      step.out.offset + o * step.out.strides[0] +
                          (first + i) * step.out.strides[1],
                      sums[i]);
      }
    });
    return {};
  }

  Status operator()(const PatchStep& step) {
    const std::byte* in = base(step.in.buffer);
    std::byte* out = base(step.out_buffer);
    const cpu::Storage kind = storage(step.in.buffer);
    const size_t element = size_of(step.in.buffer);
    const int64_t kernel = step.kernel_h * step.kernel_w;
    const int64_t pixels = step.out_h * step.out_w;
    pool_.run(step.in.dims[0] * kernel, [&](int64_t row, int) {
      const int64_t c = row / kernel;
      const int64_t ky = row % kernel / step.kernel_w;
      const int64_t kx = row % step.kernel_w;
      std::byte* line = out + static_cast<size_t>(row * pixels) * element;
      std::memset(line, 0, static_cast<size_t>(pixels) * element);
      for (int64_t y = 0; y < step.out_h; ++y) {
        const int64_t iy =
            y * step.stride_h + ky * step.dilation_h - step.pad_top;
        if (iy < 0 || iy >= step.in.dims[1]) continue;
        for (int64_t x = 0; x < step.out_w; ++x) {
          const int64_t ix =
              x * step.stride_w + kx * step.dilation_w - step.pad_left;
          if (ix < 0 || ix >= step.in.dims[2]) continue;
          const int64_t at = step.in.offset + c * step.in.strides[0] +
                             iy * step.in.strides[1] + ix * step.in.strides[2];
          store_element(line, kind, y * step.out_w + x,
                        load_element(in, kind, at));
        }
      }
    });
    return {};
  }

  Status operator()(const InterpretStep& step) {
    interp::TensorMap inputs;
    for (const InterpretStep::Port& port : step.inputs) {
      interp::HostTensor tensor{port.dtype, port.view.dims, {}};
      tensor.data.reserve(static_cast<size_t>(port.view.count()));
      const std::byte* from = base(port.view.buffer);
      const cpu::Storage kind = storage(port.view.buffer);
      for_each_offset(port.view, [&](int64_t at) {
        tensor.data.push_back(load_element(from, kind, at));
      });
      inputs[port.name] = std::move(tensor);
    }
    interp::Options options;
    options.rounding = plan_.numerics == Numerics::kReference
                           ? interp::Rounding::kFp32
                           : interp::Rounding::kFp16;
    ANEROID_ASSIGN(const interp::TensorMap outputs,
                   interp::evaluate(*step.program, inputs, {}, options));
    for (const InterpretStep::Port& port : step.outputs) {
      const interp::HostTensor& tensor = outputs.at(port.name);
      std::byte* to = base(port.view.buffer);
      const cpu::Storage kind = storage(port.view.buffer);
      size_t next = 0;
      for_each_offset(port.view, [&](int64_t at) {
        store_element(to, kind, at, tensor.data[next++]);
      });
    }
    return {};
  }

 private:
  Status exact_column_reduce(const ColumnReduceStep& step) {
    const int64_t tasks = column_reduce_tasks(step);
    pool_.run(tasks, [&](int64_t task, int) {
      reduce_columns_exact(step, base(step.in.buffer), storage(step.in.buffer),
                           base(step.out.buffer), storage(step.out.buffer),
                           task);
    });
    return {};
  }
  static double max_or_nan(double a, double b) {
    return std::isnan(a) || a > b ? a : b;
  }
  static void load_run(const std::byte* in, cpu::Storage kind, int64_t at,
                       int64_t stride, float* values, int64_t count) {
    if (stride == 1 && kind == cpu::Storage::kHalf) {
      cpu::to_float(reinterpret_cast<const Half*>(in) + at, values,
                    static_cast<size_t>(count));
      return;
    }
    for (int64_t i = 0; i < count; ++i) {
      values[i] = static_cast<float>(load_element(in, kind, at + i * stride));
    }
  }
  // Decides the claim that this product decides, if any.
  bool leaves_out(const CausalProduct& causal,
                  const ProductOperands& operands) {
    using Of = cpu::GemmTriangle::Of;
    const Of of = causal.triangle.of;
    if (of == Of::kNone || (causal.needs >= 0 && !holds(causal.needs))) {
      return false;
    }
    const bool proven =
        of == Of::kC
            ? largest_product(pool_, operands) <= causal.limit
            : all_finite(pool_, operands, of == Of::kA ? Side::kB : Side::kA);
    if (causal.decides >= 0) {
      memory_.claims[static_cast<size_t>(causal.decides)] = proven;
    }
    return proven;
  }
  bool holds(int claim) const {
    return claim >= 0 && memory_.claims[static_cast<size_t>(claim)];
  }
  cpu::Accumulate accumulate() const {
    return plan_.numerics == Numerics::kReference ? cpu::Accumulate::kDouble
                                                  : cpu::Accumulate::kFloat;
  }
  std::byte* base(int buffer) const {
    return context_.buffers[static_cast<size_t>(buffer)];
  }
  cpu::Storage storage(int buffer) const {
    return plan_.buffers[static_cast<size_t>(buffer)].storage;
  }
  size_t size_of(int buffer) const {
    return storage(buffer) == cpu::Storage::kHalf ? sizeof(Half)
                                                  : sizeof(float);
  }

  const Plan& plan_;
  const RunContext& context_;
  WorkingMemory& memory_;
  cpu::ThreadPool& pool_;
};

// For traces: sizes included.
std::string describe(const Plan& plan, const Step& step) {
  std::string text = plan.name + ": " + step.op;
  if (const auto* gemm = std::get_if<GemmStep>(&step.work)) {
    text +=
        fmt::format(" {}x{}x{}", gemm->shape.m, gemm->shape.n, gemm->shape.k);
    if (gemm->batch.count > 1) text += fmt::format(" of {}", gemm->batch.count);
  } else if (const auto* fused = std::get_if<FusedStep>(&step.work)) {
    text += fmt::format(" {}x{}", fused->rows, fused->columns);
  }
  return text;
}

}  // namespace

Status run_plan(const Plan& plan, const RunContext& context) {
  cpu::ThreadPool& pool = context.pool;
  Runner runner(plan, context);
  for (const Step& step : plan.steps) {
    const cpu::ThreadPool::Label label(
        pool, pool.traced() ? describe(plan, step) : std::string());
    Status status = std::visit(runner, step.work);
    if (!status) {
      status.error().place = step.op;
      return status;
    }
  }
  return {};
}

}  // namespace aneroid::emulator
