#include "aneroid/train/run.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/model/used_ids.h"
#include "aneroid/telemetry/event_reader.h"

namespace aneroid::train {
namespace {

// A process that cannot compile at all is followed by one more; if that
// cannot either, the fault is not the process's.
constexpr int64_t kFailedStarts = 2;

constexpr const char* kTotalsKey = "totals";

// Calls visit(name, field) for each of the totals.
template <typename Totals, typename Visit>
void for_each_total(Totals& totals, const Visit& visit) {
  visit("wall_s", totals.wall_s);
  visit("compile_s", totals.compile_s);
  visit("train_s", totals.train_s);
  visit("restarts", totals.restarts);
  visit("compiles", totals.compiles);
  visit("failed_starts", totals.failed_starts);
}

class Run {
 public:
  Run(Trainer& trainer, data::DataLoader& loader, data::DataLoader* validation,
      telemetry::EventWriter& events, const RunOptions& options,
      const RunCallbacks& callbacks, const RunTotals& before)
      : trainer_(trainer),
        loader_(loader),
        validation_(validation),
        events_(events),
        options_(options),
        callbacks_(callbacks),
        before_(before) {
    summary_.totals = before;
    summary_.totals.compiles += trainer.pipeline().programs();
  }

  Result<RunSummary> go() {
    const Status status = steps();
    summary_.seconds = timer_.milliseconds() / 1000;
    count_wall_time();
    if (status && summary_.restart) return summary_;
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
    ANEROID_ASSIGN(const bool owed, owes_validation());
    if (owed && !stopped()) ANEROID_TRY(validate());
    while (!summary_.restart && summary_.last_step < options_.steps &&
           !stopped()) {
      ANEROID_TRY(stage());
      if (summary_.restart) break;
      ANEROID_TRY(one_step());
      const int64_t step = summary_.last_step;
      if (wants_validation(step)) ANEROID_TRY(validate());
      if (step < options_.steps && due(step, options_.checkpoint_every) &&
          !trainer_.needs_restart()) {
        ANEROID_TRY(checkpoint());
      }
    }
    ANEROID_TRY(checkpoint());
    return summary_.restart ? announce_restart() : Status();
  }

  // Weights to the programs. Asks for a restart where this process cannot, but
  // another might.
  Status stage() {
    if (trainer_.needs_restart()) {
      ask_for_restart("compile budget", "");
      return {};
    }
    RunTotals& totals = summary_.totals;
    const int64_t compiles = trainer_.pipeline().compiles_per_stage();
    const telemetry::TimeTable::Scope scope(time_, "staging");
    const telemetry::Timer timer;
    const bool stale = !trainer_.is_staged();
    Status done = trainer_.stage();
    totals.compile_s += timer.milliseconds() / 1000;
    if (done) {
      if (stale) totals.compiles += compiles;
      totals.failed_starts = 0;
      staged_once_ = true;
      return {};
    }
    if (done.error().kind != ErrorKind::kDevice || compiles == 0) return done;
    if (!staged_once_ && ++totals.failed_starts >= kFailedStarts) {
      Diagnostic error = done.error();
      error.notes.push_back(fmt::format(
          "{} processes one after the other could not compile the programs "
          "of step {}; the checkpoint is whole: when the cause is gone, "
          "continue with --resume, or start anew with --pipeline dynamic",
          totals.failed_starts, summary_.last_step + 1));
      return tl::unexpected(std::move(error));
    }
    ask_for_restart("compile failed", to_string(done.error()));
    return {};
  }

  void ask_for_restart(std::string reason, std::string message) {
    summary_.restart = true;
    ++summary_.totals.restarts;
    restart_.reason = std::move(reason);
    restart_.message = std::move(message);
  }

  // After the checkpoint that the next process resumes from.
  Status announce_restart() {
    restart_.step = summary_.last_step;
    restart_.restarts = summary_.totals.restarts;
    restart_.compiles = summary_.totals.compiles;
    restart_.wall_s = summary_.totals.wall_s;
    return events_.write(restart_);
  }

  void count_wall_time() {
    summary_.totals.wall_s =
        before_.wall_s + options_.seconds_before + timer_.milliseconds() / 1000;
  }

  bool wants_validation(int64_t step) const {
    return step == options_.steps || due(step, options_.validate_every);
  }

  // A process may end between a step and the validation that follows it.
  Result<bool> owes_validation() const {
    const int64_t step = summary_.last_step;
    if (validation_ == nullptr || step == 0 || !wants_validation(step)) {
      return false;
    }
    ANEROID_ASSIGN(const telemetry::EventLog log,
                   telemetry::read_events(events_path(options_.folder)));
    return std::ranges::none_of(log.events, [&](const telemetry::Event& event) {
      const auto* made = std::get_if<telemetry::ValidationEvent>(&event);
      return made != nullptr && made->step == step;
    });
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
    const telemetry::Timer timer;
    ANEROID_ASSIGN(const StepReport report, trainer_.step(batch_, time_));
    if (options_.vocabulary != nullptr && !report.skipped) {
      const telemetry::TimeTable::Scope scope(time_, "optimizer");
      options_.vocabulary->update(trainer_.last_update(report.learning_rate));
    }
    summary_.totals.train_s += timer.milliseconds() / 1000;
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
    ANEROID_TRY(stage());
    if (summary_.restart) return {};
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
    nlohmann::json state = {{"trainer", to_json(trainer_.state())},
                            {"data", loader_.state()}};
    // Times differ from run to run, so they are kept only where a run spans
    // processes by nature.
    if (!trainer_.pipeline().stages_blocks()) {
      count_wall_time();
      state[kTotalsKey] = to_json(summary_.totals);
    }
    WholeVocabulary* const whole = options_.vocabulary;
    if (whole != nullptr) {
      state[model::kUsedIdsKey] = model::used_ids_to_json(whole->map().used());
    }
    const WholeVocabulary::Views arrays =
        whole != nullptr
            ? whole->whole(trainer_.weights(), trainer_.first_moments(),
                           trainer_.second_moments())
            : WholeVocabulary::Views{model::views(trainer_.weights()),
                                     model::views(trainer_.first_moments()),
                                     model::views(trainer_.second_moments())};
    ANEROID_TRY(model::save_checkpoint(
        path,
        {whole != nullptr ? whole->config() : trainer_.config(), arrays.weights,
         arrays.first_moments, arrays.second_moments, state}));
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
  const RunTotals before_;
  const nlohmann::json validation_start_ =
      validation_ == nullptr ? nlohmann::json() : validation_->state();
  telemetry::TimeTable time_;
  telemetry::Timer timer_;
  data::Batch batch_;
  RunSummary summary_;
  telemetry::RestartEvent restart_;
  bool staged_once_ = false;
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
                       const RunOptions& options, const RunCallbacks& callbacks,
                       const RunTotals& before) {
  return Run(trainer, loader, validation, events, options, callbacks, before)
      .go();
}

nlohmann::json to_json(const RunTotals& totals) {
  nlohmann::json json;
  for_each_total(totals,
                 [&](const char* name, auto field) { json[name] = field; });
  return json;
}

Result<RunTotals> run_totals_from_json(const nlohmann::json& state) {
  RunTotals totals;
  const auto found = state.find(kTotalsKey);
  if (found == state.end()) return totals;
  const char* bad = nullptr;
  for_each_total(totals, [&](const char* name, auto& field) {
    const nlohmann::json value = found->is_object()
                                     ? found->value(name, nlohmann::json())
                                     : nlohmann::json();
    const double number = value.is_number() ? value.get<double>() : -1;
    if (!(number >= 0 && number < 1e15)) {
      bad = name;
      return;
    }
    value.get_to(field);
  });
  if (bad != nullptr) {
    return input_error("checkpoint", fmt::format("{}.{}", kTotalsKey, bad),
                       "must be a number, 0 or more");
  }
  return totals;
}

Result<RunTotals> resume(model::Checkpoint checkpoint, Trainer& trainer,
                         data::DataLoader& loader,
                         WholeVocabulary* vocabulary) {
  const nlohmann::json expected = model::to_json(
      vocabulary != nullptr ? vocabulary->config() : trainer.config());
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
  ANEROID_ASSIGN(const RunTotals totals,
                 run_totals_from_json(checkpoint.state));
  ANEROID_TRY(loader.restore(checkpoint.state["data"]));
  if (vocabulary != nullptr) {
    const auto table = model::parameter_table(checkpoint.config);
    for (model::Moments* moments :
         {&checkpoint.first_moments, &checkpoint.second_moments}) {
      *moments = model::converted(std::move(*moments), table,
                                  trainer.options().moments);
    }
    vocabulary->restore(checkpoint.weights, checkpoint.first_moments,
                        checkpoint.second_moments);
    const VocabularyMap& map = vocabulary->map();
    checkpoint.weights = map.compact(std::move(checkpoint.weights));
    for (model::Moments* moments :
         {&checkpoint.first_moments, &checkpoint.second_moments}) {
      *moments = map.compact(*moments, checkpoint.config);
    }
  }
  trainer.restore(std::move(checkpoint.weights),
                  std::move(checkpoint.first_moments),
                  std::move(checkpoint.second_moments), state);
  return totals;
}

}  // namespace aneroid::train
