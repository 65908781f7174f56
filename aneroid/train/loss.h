// From tokens to a loss, and to the gradient of the logits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/data/loader.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/telemetry/time_table.h"

namespace aneroid::train {

// Charges wall time to one part after another.
class PartClock {
 public:
  explicit PartClock(telemetry::TimeTable& time) : time_(time) {}
  void enter(std::string_view part) {
    scope_.reset();
    scope_.emplace(time_, part);
  }
  pipeline::Account account() {
    return [this](pipeline::Part part) {
      switch (part) {
        case pipeline::Part::kEngineForward:
          return enter("engine_forward");
        case pipeline::Part::kEngineBackward:
          return enter("engine_backward");
        case pipeline::Part::kSurfaces:
          return enter("surfaces");
        case pipeline::Part::kGradients:
          return enter("weight_gradients");
        case pipeline::Part::kClassifier:
          return enter("classifier");
        case pipeline::Part::kNorm:
          return enter("norm");
      }
    };
  }

 private:
  telemetry::TimeTable& time_;
  std::optional<telemetry::TimeTable::Scope> scope_;
};

// Runs the forward programs, then softmax and cross-entropy on the CPU in fp32
// (fp16 probabilities of 32,000 classes would be subnormal). Thread-compatible.
class LossEvaluator {
 public:
  LossEvaluator(cpu::ThreadPool& pool, int64_t vocab_size)
      : pool_(pool), vocab_size_(vocab_size) {}

  // Mean loss over the targets; target[t] follows input[t]. Unless
  // `gradient_scale` is 0, also writes (softmax - onehot) / tokens *
  // gradient_scale where the pipeline's backward() expects it. Errors: the
  // device's.
  Result<double> run(pipeline::Pipeline& pipeline,
                     std::span<const int32_t> inputs,
                     std::span<const int32_t> targets, const float* embedding,
                     double gradient_scale, telemetry::TimeTable& time);
  // Mean loss over a batch, forward only.
  Result<double> mean(pipeline::Pipeline& pipeline, const data::Batch& batch,
                      const float* embedding, telemetry::TimeTable& time);

  // Losses of the targets of the last run().
  const std::vector<double>& token_losses() const { return token_losses_; }

 private:
  cpu::ThreadPool& pool_;
  int64_t vocab_size_;
  std::vector<double> token_losses_;
};

}  // namespace aneroid::train
