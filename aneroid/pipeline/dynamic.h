// The dynamic pipeline on a device: eight programs compiled once, and two
// input surfaces per layer, for attention and FFN, that carry the layer's
// weights and what its backward pass needs. All layers share the output
// surfaces; what the weight gradients need besides is copied out of them.
//
// Knows a device only by its interface. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::pipeline {

struct DynamicOptions {
  int64_t sequence = 0;
  bool backward = true;  // compile and allocate for training
  // Factor of what attention and FFN add to the residual stream.
  double residual_scale = 1;
  bool keep_operands = false;  // see Options
};

class Dynamic : public Pipeline {
 public:
  // Compiles and allocates. Errors: the kernels', the device's.
  static Result<std::unique_ptr<Dynamic>> create(
      device::Device& device, cpu::ThreadPool& pool,
      const model::ModelConfig& config, const DynamicOptions& options);
  ~Dynamic() override;

  // Rounds as the storage demands; never fails.
  Status stage(const model::Weights& weights) override;
  bool stages_blocks() const override { return true; }
  void stage_block(size_t parameter, const float* tensor,
                   const Block& block) const override;
  int64_t rows_per_task(size_t parameter) const override;

  Status forward(std::span<const int32_t> tokens, const float* embedding,
                 const Account& account = {}) override;
  std::vector<LogitTile> logits() override;
  std::vector<LogitTile> logit_gradients() override;
  // Most classes have tiny gradients, and the engine drops products of small
  // factors (rule N03): at a loss scale of 8192 about a tenth of those of the
  // classifier, which then misses every gradient by 6 %. A scale of its own,
  // taken out on the CPU where tiles are summed, costs nothing.
  float logit_gradient_scale() const override { return 16.0F; }
  int64_t tile_size() const override;
  int64_t columns() const override;
  Status backward(const GradientSink& sink, std::vector<float>* dx,
                  const Account& account = {}) override;

  // What the forward pass left: rotated keys [K, S] and values [K, S] of a
  // layer, to fill a key/value cache. Until the next forward().
  BlockView keys(int64_t layer) const;
  BlockView values(int64_t layer) const;

  int64_t surface_bytes() const override;
  int programs() const override;
  std::optional<PredictedStep> predicted() const override;

 private:
  struct Impl;
  explicit Dynamic(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aneroid::pipeline
