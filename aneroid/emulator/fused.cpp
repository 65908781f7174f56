#include "aneroid/emulator/fused.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/vector_math.h"
#include "aneroid/emulator/exact.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::emulator {
namespace {

// Registers of a chunk should stay in the first-level cache together.
constexpr int64_t kChunk = 512;
constexpr int64_t kRegisterPadding = 16;  // floats, one cache line

// Walks the offsets of consecutive rows without dividing at each.
class RowCursor {
 public:
  RowCursor(const FusedPort& port, int64_t row) : port_(port) {
    offset_ = port.offset;
    for (size_t i = port.row_dims.size(); i-- > 0;) {
      index_[i] = row % port.row_dims[i];
      row /= port.row_dims[i];
      offset_ += index_[i] * port.row_strides[i];
    }
  }
  int64_t offset() const { return offset_; }
  void next() {
    for (size_t i = port_.row_dims.size(); i-- > 0;) {
      offset_ += port_.row_strides[i];
      if (++index_[i] < port_.row_dims[i]) return;
      offset_ -= index_[i] * port_.row_strides[i];
      index_[i] = 0;
    }
  }

 private:
  static constexpr size_t kMaxRank = 8;
  const FusedPort& port_;
  int64_t offset_ = 0;
  std::array<int64_t, kMaxRank> index_{};
};

void load(const FusedPort& port, const std::byte* base, cpu::Storage storage,
          int64_t offset, float* dst, int64_t count, bool exact) {
  const auto n = static_cast<size_t>(count);
  if (exact) {
    load_exact(port, base, storage, offset, dst, n);
    return;
  }
  if (storage == cpu::Storage::kHalf) {
    const Half* src = reinterpret_cast<const Half*>(base) + offset;
    if (port.column_stride == 1) {
      cpu::to_float(src, dst, n);
    } else if (port.column_stride == 0) {
      std::fill_n(dst, n, to_float(*src));
    } else {
      for (size_t i = 0; i < n; ++i) {
        dst[i] = to_float(src[static_cast<int64_t>(i) * port.column_stride]);
      }
    }
    return;
  }
  const float* src = reinterpret_cast<const float*>(base) + offset;
  if (port.column_stride == 1) {
    std::memcpy(dst, src, n * sizeof(float));
  } else if (port.column_stride == 0) {
    std::fill_n(dst, n, *src);
  } else {
    for (size_t i = 0; i < n; ++i) {
      dst[i] = src[static_cast<int64_t>(i) * port.column_stride];
    }
  }
}

// The register already holds values of the storage's precision.
void store(const FusedPort& port, std::byte* base, cpu::Storage storage,
           int64_t offset, const float* src, int64_t count, bool exact) {
  const auto n = static_cast<size_t>(count);
  if (storage == cpu::Storage::kHalf) {
    Half* dst = reinterpret_cast<Half*>(base) + offset;
    if (port.column_stride == 1) {
      cpu::to_half(src, dst, n);
      return;
    }
    for (size_t i = 0; i < n; ++i) {
      cpu::to_half(src + i, dst + static_cast<int64_t>(i) * port.column_stride,
                   1);
    }
    return;
  }
  float* dst = reinterpret_cast<float*>(base) + offset;
  for (size_t i = 0; i < n; ++i) {
    dst[static_cast<int64_t>(i) * port.column_stride] =
        exact ? to_float(numerics::encode(static_cast<double>(src[i])))
              : src[i];
  }
}

struct UnaryRow {
  Code code;
  cpu::UnaryOp op;
};
constexpr std::array kUnary = {
    UnaryRow{Code::kCopy, cpu::UnaryOp::kCopy},
    UnaryRow{Code::kSqrt, cpu::UnaryOp::kSqrt},
    UnaryRow{Code::kExp, cpu::UnaryOp::kExp},
    UnaryRow{Code::kAbs, cpu::UnaryOp::kAbs},
    UnaryRow{Code::kSquare, cpu::UnaryOp::kSquare},
    UnaryRow{Code::kSigmoid, cpu::UnaryOp::kSigmoid},
    UnaryRow{Code::kSilu, cpu::UnaryOp::kSilu},
    UnaryRow{Code::kTanh, cpu::UnaryOp::kTanh},
    UnaryRow{Code::kRelu, cpu::UnaryOp::kRelu},
    UnaryRow{Code::kErf, cpu::UnaryOp::kErf},
};
struct BinaryRow {
  Code code;
  cpu::BinaryOp op;
};
constexpr std::array kBinary = {
    BinaryRow{Code::kAdd, cpu::BinaryOp::kAdd},
    BinaryRow{Code::kSub, cpu::BinaryOp::kSub},
    BinaryRow{Code::kMul, cpu::BinaryOp::kMul},
    BinaryRow{Code::kDiv, cpu::BinaryOp::kDiv},
    BinaryRow{Code::kMax, cpu::BinaryOp::kMax},
    BinaryRow{Code::kMin, cpu::BinaryOp::kMin},
    BinaryRow{Code::kPow, cpu::BinaryOp::kPow},
};

// One piece of one row, in registers.
class RowMachine {
 public:
  RowMachine(const FusedStep& step, Numerics numerics, float* scratch)
      : exact_(numerics == Numerics::kExact),
        stride_(static_cast<int64_t>(scratch_floats(step)) /
                std::max(1, step.registers)),
        scratch_(scratch) {}

  float* reg(int index) const { return scratch_ + index * stride_; }
  // Which registers hold one value for the row changes as they are reused.
  void set_row(int index, bool row) {
    is_row_[static_cast<size_t>(index)] = row;
  }

  void execute(const FusedOp& op, int64_t columns) {
    float* dst = reg(op.dst);
    const auto n = static_cast<size_t>(columns);
    const cpu::Operand a = operand(op.a);
    if (exact_) {
      execute_exact(op, a, operand(op.b), dst, n);
      set_row(op.dst, op.row);
      return;
    }
    switch (op.code) {
      case Code::kRowSum:
        *dst = static_cast<float>(cpu::row_sum(a.data, n));
        break;
      case Code::kRowMean:
        *dst = static_cast<float>(cpu::row_sum(a.data, n) /
                                  static_cast<double>(columns));
        break;
      case Code::kRowMax:
        *dst = cpu::row_max(a.data, n);
        break;
      case Code::kRowSoftmax:
        cpu::row_softmax(a.data, dst, n, op.round);
        set_row(op.dst, op.row);
        return;
      case Code::kCropTransfer:
        std::transform(a.data, a.data + n, dst, [](float value) {
          return std::abs(value) > kCropLimit
                     ? std::copysign(std::numeric_limits<float>::infinity(),
                                     value)
                     : value;
        });
        break;
      default:
        elementwise(op, a, dst, op.row ? 1 : n);
        set_row(op.dst, op.row);
        return;
    }
    const size_t written = op.row ? 1 : n;
    if (op.round) cpu::round_to_half(dst, dst, written);
    set_row(op.dst, op.row);
  }

 private:
  static constexpr size_t kMaxRegisters = 256;

  cpu::Operand operand(const Source& source) const {
    if (source.reg < 0) return {&source.immediate, true};
    return {reg(source.reg), is_row_[static_cast<size_t>(source.reg)]};
  }

  void elementwise(const FusedOp& op, const cpu::Operand& a, float* dst,
                   size_t n) const {
    for (const BinaryRow& row : kBinary) {
      if (row.code == op.code) {
        cpu::apply(row.op, a, operand(op.b), dst, n, op.round);
        return;
      }
    }
    for (const UnaryRow& row : kUnary) {
      if (row.code != op.code) continue;
      if (a.one) {
        // Spread one value: only a copy of a row value comes here.
        float value = 0;
        cpu::apply(row.op, a.data, &value, 1, op.round);
        std::fill_n(dst, n, value);
      } else {
        cpu::apply(row.op, a.data, dst, n, op.round);
      }
      return;
    }
  }

  bool exact_;
  int64_t stride_;
  float* scratch_;
  std::array<bool, kMaxRegisters> is_row_{};
};

// Asks for the rows that a step will load soon: they may lie far apart, in a
// surface with weights between them, where hardware does not foresee them.
class RowsAhead {
 public:
  RowsAhead(const FusedStep& step, const Plan& plan,
            std::span<std::byte* const> buffers, int64_t first) {
    for (const FusedPort& port : step.loads) {
      const auto buffer = static_cast<size_t>(port.buffer);
      const int64_t element =
          plan.buffers[buffer].storage == cpu::Storage::kHalf ? 2 : 4;
      const int64_t bytes = step.columns * element;
      if (port.row || port.column_stride != 1 || bytes > kLongest ||
          port.row_dims.empty() || port.row_strides.back() == step.columns) {
        continue;
      }
      ports_.push_back(
          {RowCursor(port, std::min(step.rows - 1, first + kAhead)),
           buffers[buffer], element, bytes});
    }
  }
  void next() {
    for (Port& port : ports_) {
      const std::byte* row = port.base + port.cursor.offset() * port.element;
      for (int64_t at = 0; at < port.bytes; at += kLine) {
        __builtin_prefetch(row + at);
      }
      port.cursor.next();
    }
  }

 private:
  static constexpr int64_t kAhead = 2;       // rows
  static constexpr int64_t kLine = 64;       // bytes
  static constexpr int64_t kLongest = 4096;  // bytes
  struct Port {
    RowCursor cursor;
    const std::byte* base;
    int64_t element;
    int64_t bytes;
  };
  std::vector<Port> ports_;
};

}  // namespace

int64_t chunk_columns(const FusedStep& step) {
  return step.row_reduction ? step.columns : std::min(step.columns, kChunk);
}

size_t scratch_floats(const FusedStep& step) {
  const int64_t padded = (chunk_columns(step) + kRegisterPadding - 1) /
                         kRegisterPadding * kRegisterPadding;
  return static_cast<size_t>(padded) * static_cast<size_t>(step.registers);
}

void run_fused_rows(const FusedStep& step, const Plan& plan,
                    std::span<std::byte* const> buffers, int64_t first,
                    int64_t last, float* scratch, bool lower) {
  const auto storage = [&](const FusedPort& port) {
    return plan.buffers[static_cast<size_t>(port.buffer)].storage;
  };
  const auto base = [&](const FusedPort& port) {
    return buffers[static_cast<size_t>(port.buffer)];
  };
  std::vector<RowCursor> loads;
  std::vector<RowCursor> stores;
  for (const FusedPort& port : step.loads) loads.emplace_back(port, first);
  for (const FusedPort& port : step.stores) stores.emplace_back(port, first);
  const bool exact = plan.numerics == Numerics::kExact;
  RowMachine machine(step, plan.numerics, scratch);
  const int64_t chunk = chunk_columns(step);
  RowsAhead ahead(step, plan, buffers, first);
  for (int64_t row = first; row < last; ++row) {
    ahead.next();
    const int64_t columns =
        lower ? std::min(step.columns, cpu::triangle_columns(row, step.columns))
              : step.columns;
    for (int64_t column = 0; column < columns; column += chunk) {
      const int64_t count = std::min(chunk, columns - column);
      for (size_t i = 0; i < loads.size(); ++i) {
        const FusedPort& port = step.loads[i];
        load(port, base(port), storage(port),
             loads[i].offset() + column * port.column_stride,
             machine.reg(port.reg), port.row ? 1 : count, exact);
        machine.set_row(port.reg, port.row);
      }
      for (const FusedOp& op : step.ops) machine.execute(op, count);
      for (size_t i = 0; i < stores.size(); ++i) {
        const FusedPort& port = step.stores[i];
        store(port, base(port), storage(port),
              stores[i].offset() + column * port.column_stride,
              machine.reg(port.reg), port.row ? 1 : count, exact);
      }
    }
    for (size_t i = 0; i < stores.size() && columns < step.columns; ++i) {
      const FusedPort& port = step.stores[i];
      if (port.row) continue;
      std::fill_n(
          reinterpret_cast<Half*>(base(port)) + stores[i].offset() + columns,
          step.columns - columns, Half{});
    }
    for (RowCursor& cursor : loads) cursor.next();
    for (RowCursor& cursor : stores) cursor.next();
  }
}

}  // namespace aneroid::emulator
