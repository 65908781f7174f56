#include "aneroid/train/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>

#include <fmt/format.h>

#include "aneroid/cpu/optimizer.h"
#include "aneroid/train/update.h"

namespace aneroid::train {
namespace {

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
      first_moments_(table_, options.moments),
      second_moments_(table_, options.moments),
      pipeline_(std::move(pipeline)),
      gradient_sums_(device.info().storage == DataType::kFp32
                         ? cpu::Accumulate::kDouble
                         : cpu::Accumulate::kFloat),
      loss_(std::make_unique<LossEvaluator>(pool, config.vocab_size)),
      embedding_(
          static_cast<size_t>(model::find_parameter(table_, "embed_tokens"))),
      loss_scale_(options.loss_scale, options.loss_scale_growth) {}

Trainer::~Trainer() = default;

Result<std::unique_ptr<Trainer>> Trainer::create(
    device::Device& device, cpu::ThreadPool& pool,
    const model::ModelConfig& config, model::Weights weights,
    const TrainerOptions& options) {
  pipeline::Options how = options.pipeline;
  how.keep_operands = options.fuse_optimizer;
  ANEROID_ASSIGN(auto pipeline,
                 pipeline::create(how, device, pool, config, options.sequence));
  return std::unique_ptr<Trainer>(new Trainer(
      std::move(pipeline), device, pool, config, std::move(weights), options));
}

Status Trainer::stage() {
  if (staged_) return {};
  ANEROID_TRY(pipeline_->stage(weights_));
  staged_ = true;
  return {};
}

bool Trainer::fuses(const data::Batch& batch) const {
  return options_.fuse_optimizer && batch.size == 1 &&
         pipeline_->stages_blocks() &&
         gradient_sums_ == cpu::Accumulate::kFloat;
}

Gradients& Trainer::stored_gradients() {
  if (gradients_ == nullptr) {
    gradients_ = std::make_unique<Gradients>(pool_, config_, gradient_sums_);
  }
  return *gradients_;
}

Result<double> Trainer::pass(
    std::span<const int32_t> inputs, std::span<const int32_t> targets,
    const std::function<pipeline::GradientSink()>& sink,
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
  ANEROID_TRY(
      pipeline_->backward(sink(), &embedding_gradient_, clock.account()));
  return loss;
}

Result<double> Trainer::micro_step(std::span<const int32_t> inputs,
                                   std::span<const int32_t> targets, bool first,
                                   telemetry::TimeTable& time) {
  Gradients& gradients = stored_gradients();
  auto loss = pass(
      inputs, targets,
      [&] {
        gradients.begin(first, !clips() && checks_factors());
        return gradients.sink();
      },
      time);
  const telemetry::TimeTable::Scope waiting(time, "weight_gradients");
  if (!loss) {
    gradients.abandon();
    return loss;
  }
  gradients.finish(inputs, embedding_gradient_);
  return loss;
}

Result<double> Trainer::accumulate(const data::Batch& batch,
                                   telemetry::TimeTable& time) {
  const auto length = static_cast<size_t>(batch.sequence);
  double sum = 0;
  for (int64_t i = 0; i < batch.size; ++i) {
    const size_t at = static_cast<size_t>(i) * length;
    ANEROID_ASSIGN(
        const double loss,
        micro_step(std::span(batch.inputs).subspan(at, length),
                   std::span(batch.targets).subspan(at, length), i == 0, time));
    sum += loss / static_cast<double>(batch.size);
    finite_ = (i == 0 || finite_) && gradients_->finite();
  }
  return sum;
}

Result<double> Trainer::defer(const data::Batch& batch,
                              telemetry::TimeTable& time) {
  if (deferred_ == nullptr) {
    deferred_ = std::make_unique<DeferredGradients>(pool_, config_);
  }
  ANEROID_ASSIGN(const double loss,
                 pass(
                     batch.inputs, batch.targets,
                     [&] { return deferred_->begin(); }, time));
  const telemetry::TimeTable::Scope scope(time, "weight_gradients");
  deferred_->finish(batch.inputs, embedding_gradient_);
  return loss;
}

Result<bool> Trainer::judge(StepReport& report, double norm) {
  report.grad_norm = norm;
  report.skipped = !loss_scale_.update(!std::isfinite(norm));
  ++step_;
  if (report.skipped && loss_scale_.exhausted()) {
    return diverged(report.step,
                    fmt::format("gradients overflow even at loss scale {}: "
                                "the weights hold extreme values",
                                report.loss_scale));
  }
  return !report.skipped;
}

Result<StepReport> Trainer::step(const data::Batch& batch,
                                 telemetry::TimeTable& time) {
  StepReport report;
  report.step = step_ + 1;
  report.loss_scale = loss_scale_.scale();
  report.learning_rate = options_.schedule.at(step_);
  report.tokens = batch.size * batch.sequence;
  const bool fused = fuses(batch);
  ANEROID_ASSIGN(report.loss,
                 fused ? defer(batch, time) : accumulate(batch, time));
  if (!std::isfinite(report.loss)) {
    return diverged(report.step,
                    fmt::format("the loss is {}: lower --lr, or raise "
                                "--warmup",
                                report.loss));
  }
  const telemetry::TimeTable::Scope optimizing(
      time, fused ? "fused_optimizer" : "optimizer");
  const double undo =
      1.0 / (report.loss_scale * static_cast<double>(batch.size));
  // The norm is wanted before the update for clipping, and where nothing else
  // tells of an overflow.
  double norm = 0;
  if (!fused && (clips() || !checks_factors())) {
    norm = gradients_->norm() * undo;
  } else if (!(fused ? deferred_->finite() : finite_)) {
    norm = std::numeric_limits<double>::infinity();
  } else if (clips()) {
    norm = deferred_->norm() * undo;
  }
  ANEROID_ASSIGN(const bool updates, judge(report, norm));
  if (!updates) return report;
  double scale = undo;
  if (clips()) {
    // As PyTorch's clip_grad_norm_ does it.
    scale *= std::min(1.0, options_.clip_norm / (report.grad_norm + 1e-6));
  }
  ++updates_;
  cpu::AdamW adamw = last_update(report.learning_rate);
  adamw.grad_scale = static_cast<float>(scale);
  const double found = fused ? update_deferred(adamw) : update_stored(adamw);
  staged_ = pipeline_->stages_blocks();
  if (!clips()) report.grad_norm = found * undo;
  return report;
}

cpu::AdamW Trainer::last_update(double learning_rate) const {
  const auto t = static_cast<double>(updates_);
  cpu::AdamW adamw;
  adamw.lr = static_cast<float>(learning_rate);
  adamw.beta1 = static_cast<float>(options_.beta1);
  adamw.beta2 = static_cast<float>(options_.beta2);
  adamw.eps = static_cast<float>(options_.epsilon);
  adamw.weight_decay = static_cast<float>(options_.weight_decay);
  adamw.bias_correction1 =
      static_cast<float>(1.0 - std::pow(options_.beta1, t));
  adamw.bias_correction2 =
      static_cast<float>(1.0 - std::pow(options_.beta2, t));
  adamw.update = static_cast<uint64_t>(updates_);
  return adamw;
}

double Trainer::update_piece(const cpu::AdamW& optimizer,
                             const GradientPiece& piece) {
  const size_t p = piece.parameter;
  cpu::AdamW adamw = optimizer;
  if (!table_[p].decay) adamw.weight_decay = 0.0F;
  const int64_t width =
      static_cast<int64_t>(weights_[p].data.size()) / weights_[p].shape[0];
  // Whole rows are one run.
  const bool whole = piece.columns == width && piece.row_stride == width;
  const int64_t runs = whole ? 1 : piece.rows;
  const auto size =
      static_cast<size_t>(whole ? piece.rows * width : piece.columns);
  double squares = 0;
  for (int64_t r = 0; r < runs; ++r) {
    const auto at =
        static_cast<size_t>((piece.first_row + r) * width + piece.first_column);
    const float* const gradient = piece.values + r * piece.row_stride;
    update_run(weights_[p].data.data() + at, first_moments_, second_moments_, p,
               {p, at}, gradient, size, adamw);
    if (!clips()) squares += cpu::sum_of_squares(gradient, size);
  }
  // Written to the surfaces while it is in the cache.
  if (pipeline_->stages_blocks()) {
    pipeline_->stage_block(
        p, weights_[p].data.data(),
        {piece.first_row, piece.rows, piece.first_column, piece.columns});
  }
  return squares;
}

double Trainer::update_stored(const cpu::AdamW& optimizer) {
  const cpu::ThreadPool::Label label(
      pool_, pipeline_->stages_blocks() ? "adamw and staging" : "adamw");
  double total = 0;
  for (size_t p = 0; p < weights_.size(); ++p) {
    const int64_t rows = weights_[p].shape[0];
    const int64_t width = static_cast<int64_t>(weights_[p].data.size()) / rows;
    const int64_t chunk = pipeline_->rows_per_task(p);
    const int64_t pieces = (rows + chunk - 1) / chunk;
    std::vector<double> squares(static_cast<size_t>(pieces), 0.0);
    pool_.run(pieces, [&](int64_t task, int) {
      const int64_t first = task * chunk;
      squares[static_cast<size_t>(task)] = update_piece(
          optimizer, {p, first, std::min(chunk, rows - first), 0, width,
                      (*gradients_)[p].data() + first * width, width});
    });
    total += std::accumulate(squares.begin(), squares.end(), 0.0);
  }
  return std::sqrt(total);
}

double Trainer::update_deferred(const cpu::AdamW& optimizer) {
  // Pieces come from several threads in any order: their squares are put in
  // order afterwards, for the same norm every time.
  std::mutex mutex;
  std::map<std::array<int64_t, 3>, double> squares;
  deferred_->update([&](const GradientPiece& piece) {
    const double sum = update_piece(optimizer, piece);
    const std::lock_guard lock(mutex);
    squares[{static_cast<int64_t>(piece.parameter), piece.first_row,
             piece.first_column}] = sum;
  });
  double total = 0;
  for (const auto& [place, sum] : squares) total += sum;
  return std::sqrt(total);
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

void Trainer::restore(model::Weights weights, model::Moments first_moments,
                      model::Moments second_moments,
                      const TrainerState& state) {
  weights_ = std::move(weights);
  first_moments_ =
      model::converted(std::move(first_moments), table_, options_.moments);
  second_moments_ =
      model::converted(std::move(second_moments), table_, options_.moments);
  step_ = state.step;
  updates_ = state.updates;
  loss_scale_.restore(state.loss_scale, state.good_steps);
  staged_ = false;
}

}  // namespace aneroid::train
