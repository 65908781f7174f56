#include "aneroid/train/trainer.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/cpu/optimizer.h"

namespace aneroid::train {
namespace {

model::Weights zeros_like(const model::Weights& weights) {
  model::Weights zeros;
  for (const model::Tensor& tensor : weights) {
    zeros.push_back({tensor.name, tensor.shape,
                     std::vector<float>(tensor.data.size(), 0.0F)});
  }
  return zeros;
}

tl::unexpected<Diagnostic> diverged(int64_t step, std::string what) {
  return fail(ErrorKind::kAnswerNo, "train.diverged",
              fmt::format("step {}", step), std::move(what));
}

}  // namespace

nlohmann::json to_json(const TrainerState& state) {
  return {{"step", state.step},
          {"updates", state.updates},
          {"loss_scale", state.loss_scale},
          {"good_steps", state.good_steps}};
}

Result<TrainerState> trainer_state_from_json(const nlohmann::json& json) {
  TrainerState state;
  const auto whole = [&](const char* name) {
    return json.is_object() && json.contains(name) &&
           json[name].is_number_integer() && json[name] >= 0;
  };
  if (!whole("step") || !whole("updates") || !whole("good_steps") ||
      !json.contains("loss_scale") || !json["loss_scale"].is_number()) {
    return input_error("checkpoint", "trainer state",
                       "step, updates, good_steps (whole numbers) and "
                       "loss_scale are needed to resume");
  }
  state.step = json["step"];
  state.updates = json["updates"];
  state.good_steps = json["good_steps"];
  state.loss_scale = json["loss_scale"];
  return state;
}

Trainer::Trainer(std::unique_ptr<pipeline::Pipeline> pipeline,
                 const device::Device& device, cpu::ThreadPool& pool,
                 const model::ModelConfig& config, model::Weights weights,
                 const TrainerOptions& options)
    : pool_(pool),
      config_(config),
      options_(options),
      table_(model::parameter_table(config)),
      weights_(std::move(weights)),
      first_moments_(zeros_like(weights_)),
      second_moments_(zeros_like(weights_)),
      pipeline_(std::move(pipeline)),
      gradients_(std::make_unique<Gradients>(
          pool, config,
          device.info().storage == DataType::kFp32 ? cpu::Accumulate::kDouble
                                                   : cpu::Accumulate::kFloat)),
      loss_(std::make_unique<LossEvaluator>(pool, config.vocab_size)),
      embedding_(
          static_cast<size_t>(model::find_parameter(table_, "embed_tokens"))),
      loss_scale_(options.loss_scale, options.loss_scale_growth) {}

Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::create(
    device::Device& device, cpu::ThreadPool& pool,
    const model::ModelConfig& config, model::Weights weights,
    const TrainerOptions& options) {
  ANEROID_ASSIGN(auto pipeline, pipeline::create(options.pipeline, device, pool,
                                                 config, options.sequence));
  return std::unique_ptr<Trainer>(new Trainer(
      std::move(pipeline), device, pool, config, std::move(weights), options));
}

Status Trainer::stage() {
  if (staged_) return {};
  ANEROID_TRY(pipeline_->stage(weights_));
  staged_ = true;
  return {};
}

Result<double> Trainer::micro_step(std::span<const int32_t> inputs,
                                   std::span<const int32_t> targets, bool first,
                                   telemetry::TimeTable& time) {
  {
    const telemetry::TimeTable::Scope staging(time, "staging");
    ANEROID_TRY(stage());
  }
  const std::vector<float>& embedding = weights_[embedding_].data;
  ANEROID_ASSIGN(const double loss,
                 loss_->run(*pipeline_, inputs, targets, embedding.data(),
                            loss_scale_.scale(), time));
  PartClock clock(time);
  gradients_->begin(first);
  const Status done = pipeline_->backward(
      gradients_->sink(), &embedding_gradient_, clock.account());
  clock.enter("weight_gradients");
  if (!done) {
    gradients_->abandon();
    return tl::unexpected(done.error());
  }
  gradients_->finish(inputs, embedding_gradient_);
  return loss;
}

Result<StepReport> Trainer::step(const data::Batch& batch,
                                 telemetry::TimeTable& time) {
  StepReport report;
  report.step = step_ + 1;
  report.loss_scale = loss_scale_.scale();
  report.learning_rate = options_.schedule.at(step_);
  const auto count = static_cast<double>(batch.size);
  const auto length = static_cast<size_t>(batch.sequence);
  for (int64_t i = 0; i < batch.size; ++i) {
    const size_t at = static_cast<size_t>(i) * length;
    ANEROID_ASSIGN(
        const double loss,
        micro_step(std::span(batch.inputs).subspan(at, length),
                   std::span(batch.targets).subspan(at, length), i == 0, time));
    report.loss += loss / count;
  }
  report.tokens = batch.size * batch.sequence;
  if (!std::isfinite(report.loss)) {
    return diverged(report.step,
                    fmt::format("the loss is {}: lower --lr, or raise "
                                "--warmup",
                                report.loss));
  }
  const telemetry::TimeTable::Scope optimizing(time, "optimizer");
  const double undo = 1.0 / (report.loss_scale * count);
  report.grad_norm = gradients_->norm() * undo;
  report.skipped = !loss_scale_.update(!std::isfinite(report.grad_norm));
  ++step_;
  if (report.skipped) {
    if (loss_scale_.exhausted()) {
      return diverged(report.step,
                      fmt::format("gradients overflow even at loss scale {}: "
                                  "the weights hold extreme values",
                                  report.loss_scale));
    }
    return report;
  }
  double scale = undo;
  if (options_.clip_norm > 0) {
    // As PyTorch's clip_grad_norm_ does it.
    scale *= std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
  }
  ++updates_;
  update(report.learning_rate, scale);
  return report;
}

void Trainer::update(double learning_rate, double gradient_scale) {
  const auto t = static_cast<double>(updates_);
  cpu::AdamW adamw;
  adamw.lr = static_cast<float>(learning_rate);
  adamw.beta1 = static_cast<float>(options_.beta1);
  adamw.beta2 = static_cast<float>(options_.beta2);
  adamw.eps = static_cast<float>(options_.epsilon);
  adamw.bias_correction1 =
      static_cast<float>(1.0 - std::pow(options_.beta1, t));
  adamw.bias_correction2 =
      static_cast<float>(1.0 - std::pow(options_.beta2, t));
  adamw.grad_scale = static_cast<float>(gradient_scale);
  const bool rows_staged = pipeline_->stages_rows();
  const cpu::ThreadPool::Label label(
      pool_, rows_staged ? "adamw and staging" : "adamw");
  for (size_t p = 0; p < weights_.size(); ++p) {
    adamw.weight_decay =
        table_[p].decay ? static_cast<float>(options_.weight_decay) : 0.0F;
    const int64_t rows = weights_[p].shape[0];
    const int64_t width = static_cast<int64_t>(weights_[p].data.size()) / rows;
    const int64_t chunk = pipeline_->rows_per_task(p);
    // Each piece is updated and written to the surfaces while it is in cache.
    pool_.run((rows + chunk - 1) / chunk, [&](int64_t task, int) {
      const int64_t first = task * chunk;
      const int64_t count = std::min(chunk, rows - first);
      const auto at = static_cast<size_t>(first * width);
      cpu::adamw_update(
          weights_[p].data.data() + at, first_moments_[p].data.data() + at,
          second_moments_[p].data.data() + at, (*gradients_)[p].data() + at,
          static_cast<size_t>(count * width), adamw);
      if (rows_staged) {
        pipeline_->stage_rows(p, weights_[p].data.data(), first, count);
      }
    });
  }
  staged_ = rows_staged;
}

Result<double> Trainer::evaluate(const data::Batch& batch,
                                 telemetry::TimeTable& time) {
  ANEROID_TRY(stage());
  const std::vector<float>& embedding = weights_[embedding_].data;
  return loss_->mean(*pipeline_, batch, embedding.data(), time);
}

TrainerState Trainer::state() const {
  return {step_, updates_, loss_scale_.scale(), loss_scale_.good_steps()};
}

void Trainer::restore(model::Weights weights, model::Weights first_moments,
                      model::Weights second_moments,
                      const TrainerState& state) {
  weights_ = std::move(weights);
  first_moments_ = std::move(first_moments);
  second_moments_ = std::move(second_moments);
  step_ = state.step;
  updates_ = state.updates;
  loss_scale_.restore(state.loss_scale, state.good_steps);
  staged_ = false;
}

}  // namespace aneroid::train
