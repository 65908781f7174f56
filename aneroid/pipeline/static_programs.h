// The programs of the static pipelines on a device: compiling them with the
// present weights, or reloading them. Internal to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/pipeline/baked_kernel.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::pipeline {

class StaticPrograms {
 public:
  // A copy of each for every layer.
  struct Layer {
    BakedKernel fwd_attn, fwd_ffn, ffn_bwd, sdpa_bwd1, sdpa_bwd2, qkv_bwd;
  };
  // Norms for every layer, the others once.
  struct Extras {
    BakedKernel rms_bwd_attn, rms_bwd_ffn, final_rms, classifier, softmax;
  };

  // Compiles those without weights. Errors: the kernels', the device's; "C090"
  // (device) when not even one update's programs fit the compile budget; "C082"
  // (device) for kDelta where weights are frozen when compiled.
  static Result<std::unique_ptr<StaticPrograms>> create(
      const Options& options, device::Device& device,
      const model::ModelConfig& config, int64_t sequence);
  StaticPrograms(const StaticPrograms&) = delete;
  StaticPrograms& operator=(const StaticPrograms&) = delete;

  // As Pipeline::stage(), can_stage() and compiles_per_stage().
  Status stage(const BakeSource& source);
  bool can_stage() const;
  int compiles_per_stage() const;
  // Whether all programs hold the weights of one stage().
  bool staged() const { return staged_; }

  int64_t surface_bytes() const;
  int loaded() const;  // programs
  std::optional<PredictedStep> predicted() const;

  Layer layer;
  std::optional<Extras> extras;

 private:
  StaticPrograms(const Options& options, device::Device& device)
      : options_(options), device_(device) {}
  Status make_kernels(const model::ModelConfig& config, int64_t sequence);
  Status limit_compiles(const model::ModelConfig& config);
  Status compile_weightless();
  Status compile_all(const BakeSource& source);
  Status reload_all(const BakeSource& source);
  Status check_reload(const BakeSource& source);
  // Calls put(kernel, copy, files) for every program with weights.
  template <typename Put>
  Status for_each_baked(const BakeSource& source, const Put& put);

  const Options options_;
  device::Device& device_;
  std::vector<BakedKernel*> kernels_;  // all, in the order of a micro-step
  int compile_limit_ = 0;              // 0: none
  bool staged_ = false;
};

}  // namespace aneroid::pipeline
