#include "aneroid/train/run.h"

#include <fmt/format.h>

namespace aneroid::train {
namespace {

class Run {
 public:
  Run(Trainer& trainer, data::DataLoader& loader, data::DataLoader* validation,
      telemetry::EventWriter& events, const RunOptions& options,
      const RunCallbacks& callbacks)
      : trainer_(trainer),
        loader_(loader),
        validation_(validation),
        events_(events),
        options_(options),
        callbacks_(callbacks) {}

  Result<RunSummary> go() {
    const Status status = steps();
    summary_.seconds = timer_.milliseconds() / 1000;
    telemetry::EndEvent end;
    end.steps = trainer_.state().step;
    end.wall_s = summary_.seconds;
    if (!status) {
      end.reason = "error";
      end.message = to_string(status.error());
      // The first failure is the one to report.
      (void)events_.write(end);
      return tl::unexpected(status.error());
    }
    end.reason = summary_.interrupted ? "interrupted" : "done";
    ANEROID_TRY(events_.write(end));
    return summary_;
  }

 private:
  Status steps() {
    summary_.last_step = trainer_.state().step;
    while (trainer_.state().step < options_.steps && !stopped()) {
      ANEROID_TRY(one_step());
      const int64_t step = summary_.last_step;
      const bool last = step == options_.steps;
      if (last || due(step, options_.validate_every)) ANEROID_TRY(validate());
      if (!last && due(step, options_.checkpoint_every)) {
        ANEROID_TRY(checkpoint());
      }
    }
    return checkpoint();
  }

  static bool due(int64_t step, int64_t every) {
    return every > 0 && step % every == 0;
  }

  bool stopped() {
    summary_.interrupted = callbacks_.stop && callbacks_.stop();
    return summary_.interrupted;
  }

  Status one_step() {
    telemetry::StepEvent event;
    {
      const telemetry::TimeTable::Scope scope(time_, "data");
      loader_.next(batch_);
    }
    ANEROID_ASSIGN(const StepReport report, trainer_.step(batch_, time_));
    const telemetry::TimeTable::Lap lap = time_.lap();
    event.step = report.step;
    event.micro_steps = batch_.size;
    event.loss = report.loss;
    event.lr = report.learning_rate;
    event.grad_norm = report.grad_norm;
    event.loss_scale = report.loss_scale;
    event.skipped = report.skipped;
    event.tokens = report.tokens;
    event.wall_ms = lap.wall_ms;
    event.tokens_per_s =
        static_cast<double>(report.tokens) / (lap.wall_ms / 1000);
    event.time = lap.parts;
    if (first_) summary_.first_loss = report.loss;
    first_ = false;
    summary_.last_loss = report.loss;
    summary_.last_step = report.step;
    ANEROID_TRY(events_.write(event));
    if (report.skipped) {
      ANEROID_TRY(events_.write(telemetry::OverflowEvent{
          report.step, report.loss_scale, trainer_.loss_scale()}));
    }
    if (callbacks_.step) callbacks_.step(event);
    return {};
  }

  Status validate() {
    if (validation_ == nullptr) return {};
    const telemetry::TimeTable::Scope scope(time_, "validation");
    // Always the same windows: from the start of the held-out part.
    ANEROID_TRY(validation_->restore(validation_start_));
    double sum = 0;
    data::Batch batch;
    for (int64_t i = 0; i < options_.validation_sequences; ++i) {
      validation_->next(batch);
      ANEROID_ASSIGN(const double loss, trainer_.evaluate(batch, time_));
      sum += loss;
    }
    telemetry::ValidationEvent event;
    event.step = trainer_.state().step;
    event.loss = sum / static_cast<double>(options_.validation_sequences);
    event.tokens = options_.validation_sequences * batch.size * batch.sequence;
    summary_.validation_loss = event.loss;
    ANEROID_TRY(events_.write(event));
    if (callbacks_.validation) callbacks_.validation(event);
    return {};
  }

  Status checkpoint() {
    const telemetry::TimeTable::Scope scope(time_, "checkpoint");
    const telemetry::Timer timer;
    const std::filesystem::path path = checkpoint_path(options_.folder);
    const nlohmann::json state = {{"trainer", to_json(trainer_.state())},
                                  {"data", loader_.state()}};
    ANEROID_TRY(model::save_checkpoint(
        path, {trainer_.config(), model::views(trainer_.weights()),
               model::views(trainer_.first_moments()),
               model::views(trainer_.second_moments()), state}));
    telemetry::CheckpointEvent event;
    event.step = trainer_.state().step;
    event.path = path.string();
    std::error_code ignored;
    event.bytes =
        static_cast<int64_t>(std::filesystem::file_size(path, ignored));
    event.ms = timer.milliseconds();
    ANEROID_TRY(events_.write(event));
    if (callbacks_.checkpoint) callbacks_.checkpoint(event);
    return {};
  }

  Trainer& trainer_;
  data::DataLoader& loader_;
  data::DataLoader* validation_;
  telemetry::EventWriter& events_;
  const RunOptions& options_;
  const RunCallbacks& callbacks_;
  const nlohmann::json validation_start_ =
      validation_ == nullptr ? nlohmann::json() : validation_->state();
  telemetry::TimeTable time_;
  telemetry::Timer timer_;
  data::Batch batch_;
  RunSummary summary_;
  bool first_ = true;
};

}  // namespace

std::filesystem::path checkpoint_path(const std::filesystem::path& folder) {
  return folder / "checkpoint.safetensors";
}

std::filesystem::path events_path(const std::filesystem::path& folder) {
  return folder / "events.jsonl";
}

Result<RunSummary> run(Trainer& trainer, data::DataLoader& loader,
                       data::DataLoader* validation,
                       telemetry::EventWriter& events,
                       const RunOptions& options,
                       const RunCallbacks& callbacks) {
  return Run(trainer, loader, validation, events, options, callbacks).go();
}

Status resume(model::Checkpoint checkpoint, Trainer& trainer,
              data::DataLoader& loader) {
  const nlohmann::json expected = model::to_json(trainer.config());
  const nlohmann::json found = model::to_json(checkpoint.config);
  for (const auto& [field, value] : expected.items()) {
    if (field != "name" && found.value(field, nlohmann::json()) != value) {
      return input_error(
          "checkpoint", "config." + field,
          fmt::format("is {} in the checkpoint and {} in the "
                      "model asked for: resume with the same "
                      "--model",
                      found.value(field, nlohmann::json()).dump(),
                      value.dump()));
    }
  }
  if (!checkpoint.state.contains("trainer") ||
      !checkpoint.state.contains("data")) {
    return input_error("checkpoint", "state",
                       "holds no trainer and data position to resume from");
  }
  ANEROID_ASSIGN(const TrainerState state,
                 trainer_state_from_json(checkpoint.state["trainer"]));
  ANEROID_TRY(loader.restore(checkpoint.state["data"]));
  trainer.restore(std::move(checkpoint.weights),
                  std::move(checkpoint.first_moments),
                  std::move(checkpoint.second_moments), state);
  return {};
}

}  // namespace aneroid::train
