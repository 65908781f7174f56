#include "aneroid/pipeline/static_programs.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/pipeline/surface_io.h"

namespace aneroid::pipeline {

Result<std::unique_ptr<StaticPrograms>> StaticPrograms::create(
    const Options& options, device::Device& device,
    const model::ModelConfig& config, int64_t sequence) {
  if (options.kind == Kind::kDelta && !device.info().can_reload_weights) {
    return device_error(
        "C082", fmt::format("{} ({})", device.info().name, device.info().chip),
        "weights are those of the moment of compilation here, so the delta "
        "pipeline would train on stale ones: use --pipeline dynamic or static "
        "(the emulator can imitate a device that reloads: "
        "--allow-reload)");
  }
  std::unique_ptr<StaticPrograms> programs(new StaticPrograms(options, device));
  ANEROID_TRY(programs->make_kernels(config, sequence));
  ANEROID_TRY(programs->limit_compiles(config));
  ANEROID_TRY(programs->compile_weightless());
  return programs;
}

Status StaticPrograms::make_kernels(const model::ModelConfig& config,
                                    int64_t sequence) {
  ANEROID_ASSIGN(kernels::StaticLayer programs,
                 kernels::static_layer(config, sequence, {options_.rope}));
  const auto layers = static_cast<size_t>(config.num_hidden_layers);
  const auto make = [&](BakedKernel& kernel, kernels::StaticProgram& program,
                        size_t copies) -> Status {
    ANEROID_ASSIGN(kernel,
                   BakedKernel::create(device_, std::move(program), copies));
    kernels_.push_back(&kernel);
    return {};
  };
  ANEROID_TRY(make(layer.fwd_attn, programs.fwd_attn, layers));
  ANEROID_TRY(make(layer.fwd_ffn, programs.fwd_ffn, layers));
  if (options_.kind == Kind::kStaticExtras) {
    ANEROID_ASSIGN(kernels::StaticExtras more,
                   kernels::static_extras(config, sequence));
    extras.emplace();
    ANEROID_TRY(make(extras->final_rms, more.final_rms, 1));
    ANEROID_TRY(make(extras->classifier, more.classifier, 1));
    ANEROID_TRY(make(extras->softmax, more.softmax, 1));
    ANEROID_TRY(make(extras->rms_bwd_ffn, more.rms_bwd_ffn, layers));
    ANEROID_TRY(make(extras->rms_bwd_attn, more.rms_bwd_attn, layers));
  }
  ANEROID_TRY(make(layer.ffn_bwd, programs.ffn_bwd, layers));
  ANEROID_TRY(make(layer.sdpa_bwd1, programs.sdpa_bwd1, layers));
  ANEROID_TRY(make(layer.sdpa_bwd2, programs.sdpa_bwd2, layers));
  return make(layer.qkv_bwd, programs.qkv_bwd, layers);
}

// The budget of the device, or the point before it where a new process is
// better; never less than what one update needs.
Status StaticPrograms::limit_compiles(const model::ModelConfig& config) {
  const int budget = device_.info().compile_budget;
  if (budget == 0) return {};
  auto needed = static_cast<size_t>(device_.compiled());
  for (const BakedKernel* kernel : kernels_) needed += kernel->copies();
  const int first = static_cast<int>(needed);
  if (first > budget) {
    return device_error(
        "C090", fmt::format("pipeline {}", name(options_.kind)),
        fmt::format("{} layers need {} programs for one update, and a process "
                    "may compile {}: use --pipeline dynamic, or raise "
                    "--compile-budget (0 for no limit)",
                    config.num_hidden_layers, first, budget));
  }
  compile_limit_ = std::clamp(options_.compile_limit, first, budget);
  return {};
}

int StaticPrograms::compiles_per_stage() const {
  if (staged_ && options_.kind == Kind::kDelta) return 0;
  size_t count = 0;
  for (const BakedKernel* kernel : kernels_) {
    if (kernel->has_weights()) count += kernel->copies();
  }
  return static_cast<int>(count);
}

bool StaticPrograms::can_stage() const {
  return compile_limit_ == 0 ||
         device_.compiled() + compiles_per_stage() <= compile_limit_;
}

Status StaticPrograms::stage(const BakeSource& source) {
  const bool reload = staged_ && options_.kind == Kind::kDelta;
  staged_ = false;
  ANEROID_TRY(reload ? reload_all(source) : compile_all(source));
  staged_ = true;
  return {};
}

Status StaticPrograms::compile_weightless() {
  for (BakedKernel* kernel : kernels_) {
    if (kernel->has_weights()) continue;
    for (size_t i = 0; i < kernel->copies(); ++i) {
      ANEROID_TRY(kernel->compile(device_, i, {}));
    }
  }
  return {};
}

template <typename Put>
Status StaticPrograms::for_each_baked(const BakeSource& source,
                                      const Put& put) {
  for (BakedKernel* kernel : kernels_) {
    if (!kernel->has_weights()) continue;
    for (size_t i = 0; i < kernel->copies(); ++i) {
      ANEROID_TRY(
          put(*kernel, i,
              bake(kernel->program(), static_cast<int64_t>(i), source)));
    }
  }
  return {};
}

Status StaticPrograms::compile_all(const BakeSource& source) {
  for (BakedKernel* kernel : kernels_) {
    if (kernel->has_weights()) kernel->unload();
  }
  return for_each_baked(
      source, [&](BakedKernel& kernel, size_t i, const WeightFiles& files) {
        return kernel.compile(device_, i, files);
      });
}

Status StaticPrograms::reload_all(const BakeSource& source) {
  ANEROID_TRY(for_each_baked(
      source, [](BakedKernel& kernel, size_t i, const WeightFiles& files) {
        return kernel.reload(i, files);
      }));
  return check_reload(source);
}

// Devices are known that accept new files and go on with the old weights. One
// program of each layer is asked: a 1 in the first query channel must give the
// first row of the query projection.
Status StaticPrograms::check_reload(const BakeSource& source) {
  BakedKernel& probe = layer.qkv_bwd;
  const int64_t columns = probe.program().columns;
  const int64_t channels = probe.program().input_channels;
  std::vector<float> impulse(static_cast<size_t>(channels * columns), 0.0F);
  impulse[0] = 1;
  for (size_t i = 0; i < probe.copies(); ++i) {
    write_rows(probe.input(i, "dq"), impulse.data(), columns, channels,
               columns);
    ANEROID_TRY(probe.run(i));
    const BlockView dx = probe.output_view(i, "dx");
    std::vector<float> found(static_cast<size_t>(dx.rows));
    read_rows(dx.matrix, found.data(), 1, dx.rows, 1);
    const int64_t projection =
        model::find_parameter(source.table, "q_proj", static_cast<int64_t>(i));
    const std::vector<float>& rows =
        source.weights[static_cast<size_t>(projection)].data;
    for (size_t c = 0; c < found.size(); ++c) {
      const float expected = to_float(to_half_away(rows[c]));
      // One fp16 step, and what the accumulator drops (rule N03).
      const float allowed = std::fabs(expected) / 1024 + 0x1p-16F;
      if (std::fabs(found[c] - expected) <= allowed) continue;
      return device_error(
          "C082", fmt::format("{} of layer {}", probe.program().name, i),
          fmt::format("reloading had no effect: weight {} is {} in the file "
                      "and {} in the program; use --pipeline dynamic or static",
                      c, expected, found[c]));
    }
  }
  return {};
}

int64_t StaticPrograms::surface_bytes() const {
  int64_t bytes = 0;
  for (const BakedKernel* kernel : kernels_) bytes += kernel->surface_bytes();
  return bytes;
}

int StaticPrograms::loaded() const {
  int count = 0;
  for (const BakedKernel* kernel : kernels_) {
    for (size_t i = 0; i < kernel->copies(); ++i) count += kernel->loaded(i);
  }
  return count;
}

std::optional<PredictedStep> StaticPrograms::predicted() const {
  PredictedStep step;
  for (const BakedKernel* kernel : kernels_) {
    const device::PredictedTime* time = kernel->predicted();
    if (time == nullptr) return std::nullopt;
    add_program(step, kernel->program().name,
                static_cast<int64_t>(kernel->copies()), *time);
  }
  return step;
}

}  // namespace aneroid::pipeline
