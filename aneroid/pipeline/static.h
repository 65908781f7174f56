// The static pipeline on a device, as first published: six programs for every
// layer with their weights baked in, so that an update compiles five of them
// again and a process reaches its compile budget after a few updates. The
// residual stream is fp32 on the CPU, where residuals, the gradients of norms,
// the final norm and the classifier are computed; the extras move norms,
// classifier and softmax to the engine. "Delta" keeps the executables and
// replaces their weight files.
//
// Weights are rounded to fp16 whatever the device's storage, as the weight
// files demand. Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::pipeline {

class Static : public Pipeline {
 public:
  // Errors: as pipeline::create.
  static Result<std::unique_ptr<Static>> create(
      const Options& options, device::Device& device, cpu::ThreadPool& pool,
      const model::ModelConfig& config, int64_t sequence);
  ~Static() override;

  // Frees what was compiled for the weights before, then compiles; or reloads
  // and checks that the programs answer with the new weights. Errors: the
  // device's; "C082" when a reload had no effect. After an error the next
  // stage() starts anew.
  Status stage(const model::Weights& weights) override;
  bool can_stage() const override;
  int compiles_per_stage() const override;
  int64_t rows_per_task(size_t parameter) const override;

  Status forward(std::span<const int32_t> tokens, const float* embedding,
                 const Account& account = {}) override;
  // One tile on the host, fp32. With the extras: the logarithms of the
  // engine's probabilities, at least 1e-10, which are logits of the same
  // distribution.
  std::vector<LogitTile> logits() override;
  std::vector<LogitTile> logit_gradients() override;
  // fp32 on the CPU: nothing small is lost.
  float logit_gradient_scale() const override { return 1.0F; }
  int64_t tile_size() const override;
  int64_t columns() const override;
  Status backward(const GradientSink& sink, std::vector<float>* dx,
                  const Account& account = {}) override;

  int64_t surface_bytes() const override;
  int programs() const override;
  std::optional<PredictedStep> predicted() const override;

 private:
  struct Impl;
  explicit Static(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aneroid::pipeline
