// The learning step: forward, backward, clip, AdamW, staging.
//
// Wall time goes to the parts engine_forward, engine_backward, surfaces (moving
// data to and from the engine), loss, weight_gradients (waiting for them) and
// optimizer (with staging); or, where gradients are not stored, fused_optimizer
// (weight gradients, optimizer and staging).
//
// Knows a device only by its interface. Everything that decides the next step
// is in TrainerState and the weights, so that a run resumed from a checkpoint
// continues bit for bit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/cpu/optimizer.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/data/loader.h"
#include "aneroid/device/device.h"
#include "aneroid/model/moments.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/deferred.h"
#include "aneroid/train/gradients.h"
#include "aneroid/train/loss.h"
#include "aneroid/train/schedule.h"

namespace aneroid::train {

struct TrainerOptions {
  // Hand gradients to the optimizer piece by piece instead of storing them
  // (see DeferredGradients), where one micro-step is an update and the pipeline
  // stages rows. Saves the memory of all gradients and costs time, a little
  // more when clipping.
  bool fuse_optimizer = false;
  pipeline::Options pipeline;
  int64_t sequence = 256;
  LrSchedule schedule;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;  // on the rows of the table that say so
  double clip_norm = 1.0;     // global; 0 for none
  // What AdamW's moments are stored in: kFp32 or kBf16, which takes half the
  // memory and rounds at random (cpu/optimizer.h).
  DataType moments = DataType::kFp32;
  double loss_scale = 8192.0;
  int loss_scale_growth = 200;  // good steps before doubling; 0: never
};

struct StepReport {
  int64_t step = 0;  // of this update, from 1
  double loss = 0;   // mean over all targets of the update
  double learning_rate = 0;
  double grad_norm = 0;  // before clipping, scaling undone
  double loss_scale = 0;
  bool skipped = false;  // overflow: no update was made
  int64_t tokens = 0;
};

// Counters that a checkpoint must carry besides weights and moments.
struct TrainerState {
  int64_t step = 0;     // steps attempted
  int64_t updates = 0;  // optimizer updates made; Adam's t
  double loss_scale = 0;
  int good_steps = 0;
};
nlohmann::json to_json(const TrainerState& state);
Result<TrainerState> trainer_state_from_json(const nlohmann::json& json);

class Trainer {
 public:
  // Makes the pipeline; the weights are staged by the first step. Errors: the
  // device's.
  static Result<std::unique_ptr<Trainer>> create(
      device::Device& device, cpu::ThreadPool& pool,
      const model::ModelConfig& config, model::Weights weights,
      const TrainerOptions& options);
  ~Trainer();

  // Puts the weights where the programs read them, unless they are there.
  // step(), micro_step() and evaluate() do it themselves. Errors: the device's.
  Status stage();
  bool is_staged() const { return staged_; }
  // Whether the next step needs a stage() for which this process has no
  // compile budget left: save a checkpoint and go on in another process.
  bool needs_restart() const { return !staged_ && !pipeline_->can_stage(); }

  // One update; each sequence of the batch is a micro-step (gradient
  // accumulation).
  // Errors: the device's; "train.diverged" (answer no) when the loss is not
  // finite or gradients overflow at the smallest loss scale.
  Result<StepReport> step(const data::Batch& batch, telemetry::TimeTable& time);
  // Forward and backward of one sequence, adding to the gradients; returns the
  // mean loss. `first` starts a new sum. For tests and benchmarks; gradients()
  // are those of the last call.
  Result<double> micro_step(std::span<const int32_t> inputs,
                            std::span<const int32_t> targets, bool first,
                            telemetry::TimeTable& time);
  // Mean negative log-likelihood of a batch, nothing learnt.
  Result<double> evaluate(const data::Batch& batch, telemetry::TimeTable& time);

  const model::ModelConfig& config() const { return config_; }
  const TrainerOptions& options() const { return options_; }
  const model::Weights& weights() const { return weights_; }
  const model::Moments& first_moments() const { return first_moments_; }
  const model::Moments& second_moments() const { return second_moments_; }
  const Gradients& gradients() const { return *gradients_; }
  const pipeline::Pipeline& pipeline() const { return *pipeline_; }
  double loss_scale() const { return loss_scale_.scale(); }

  // What the last update did to arrays that decay, gradient scale aside: for
  // arrays that belong to the model but not to this trainer.
  cpu::AdamW last_update(double learning_rate) const;

  TrainerState state() const;
  // Continues from a checkpoint. Moments of the other type are converted.
  void restore(model::Weights weights, model::Moments first_moments,
               model::Moments second_moments, const TrainerState& state);

 private:
  Trainer(std::unique_ptr<pipeline::Pipeline> pipeline,
          const device::Device& device, cpu::ThreadPool& pool,
          const model::ModelConfig& config, model::Weights weights,
          const TrainerOptions& options);
  bool fuses(const data::Batch& batch) const;
  Gradients& stored_gradients();
  // Forward, and backward into `sink`; returns the mean loss.
  Result<double> pass(std::span<const int32_t> inputs,
                      std::span<const int32_t> targets,
                      const std::function<pipeline::GradientSink()>& sink,
                      telemetry::TimeTable& time);
  Result<double> accumulate(const data::Batch& batch,
                            telemetry::TimeTable& time);
  Result<double> defer(const data::Batch& batch, telemetry::TimeTable& time);
  // Fills in norm and skip; false when there is no update to make.
  Result<bool> judge(StepReport& report, double norm);
  bool clips() const { return options_.clip_norm > 0; }
  // fp16 factors that are finite have a finite product sum in fp32; fp32 ones
  // need not.
  bool checks_factors() const {
    return gradient_sums_ == cpu::Accumulate::kFloat;
  }
  // AdamW and staging of what the piece is the gradient of. Returns its sum of
  // squares, or 0 when clipping, where the norm is known before.
  double update_piece(const cpu::AdamW& optimizer, const GradientPiece& piece);
  // Of all pieces. They return the root of the sums.
  double update_stored(const cpu::AdamW& optimizer);
  double update_deferred(const cpu::AdamW& optimizer);

  cpu::ThreadPool& pool_;
  model::ModelConfig config_;
  TrainerOptions options_;
  std::vector<model::ParameterSpec> table_;
  model::Weights weights_;
  model::Moments first_moments_;
  model::Moments second_moments_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
  cpu::Accumulate gradient_sums_;
  std::unique_ptr<Gradients> gradients_;  // made when first needed
  std::unique_ptr<DeferredGradients> deferred_;
  bool finite_ = true;  // all factors of the stored gradients; if not clipping
  std::vector<float> embedding_gradient_;
  std::unique_ptr<LossEvaluator> loss_;
  size_t embedding_;  // row of the table
  LossScale loss_scale_;
  int64_t step_ = 0;
  int64_t updates_ = 0;
  bool staged_ = false;  // the pipeline has the present weights
};

}  // namespace aneroid::train
