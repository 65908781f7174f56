// A whole training run in a folder: steps, validation, checkpoints, events,
// resuming.
//
//   RUN/checkpoint.safetensors   the last checkpoint (docs/checkpoints.md)
//   RUN/events.jsonl             what happened (docs/events.md)
//   RUN/lock                     held while a process trains here
//
// A pipeline that compiles at every update may need more programs than one
// process can compile, and compiling may fail in an old process that would
// succeed in a new one. The run then ends with a checkpoint and the wish to be
// restarted; whoever resumes it continues bit for bit.
//
// Knows nothing of text, flags or terminals.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "aneroid/base/diagnostic.h"
#include "aneroid/data/loader.h"
#include "aneroid/model/checkpoint.h"
#include "aneroid/telemetry/event_writer.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/trainer.h"
#include "aneroid/train/vocabulary.h"

namespace aneroid::train {

struct RunOptions {
  std::filesystem::path folder;
  int64_t steps = 0;             // the last step to make
  int64_t checkpoint_every = 0;  // steps; 0: only at the end
  int64_t validate_every = 0;    // steps; 0: only at the end
  // Sequences per validation: the same ones every time.
  int64_t validation_sequences = 16;
  double seconds_before = 0;  // of this process, before run()
  // Where the trainer has only the used ids: the whole, for checkpoints.
  WholeVocabulary* vocabulary = nullptr;
};

// Of all processes of a run. Checkpoints carry it where processes change by
// themselves; elsewhere it is of this process alone.
struct RunTotals {
  double wall_s = 0;
  double compile_s = 0;  // staging: weight files, compiling, loading
  double train_s = 0;    // steps without staging
  int64_t restarts = 0;
  int64_t compiles = 0;  // programs
  // Processes, one after the other up to now, that compiled nothing at all.
  int64_t failed_starts = 0;
};
nlohmann::json to_json(const RunTotals& totals);
// Zeros when there is nothing. Error ("checkpoint"): numbers that cannot be.
Result<RunTotals> run_totals_from_json(const nlohmann::json& state);

// What the owner wants to be told, as it happens. All may be empty.
struct RunCallbacks {
  std::function<void(const telemetry::StepEvent&)> step;
  std::function<void(const telemetry::ValidationEvent&)> validation;
  std::function<void(const telemetry::CheckpointEvent&)> checkpoint;
  // Asked after every step: true ends the run in order.
  std::function<bool()> stop;
};

struct RunSummary {
  bool interrupted = false;
  // The run is not over, but a new process has to go on with it.
  bool restart = false;
  int64_t last_step = 0;
  double first_loss = 0;  // of this process
  double last_loss = 0;
  std::optional<double> validation_loss;
  double seconds = 0;  // of this process
  RunTotals totals;
};

std::filesystem::path checkpoint_path(const std::filesystem::path& folder);
std::filesystem::path events_path(const std::filesystem::path& folder);

// Makes the steps that are missing up to options.steps, and a validation that
// an earlier process owes. `validation` may be null; `before` is what resume()
// returned. A checkpoint is written at the end in any case, also when stopped
// or to be restarted.
// Errors: the trainer's, among them a failed compilation when the process
// before this one could not compile anything either; "events", "file" and
// "checkpoint" when the folder cannot take them (a full disk): the last good
// checkpoint stays.
Result<RunSummary> run(Trainer& trainer, data::DataLoader& loader,
                       data::DataLoader* validation,
                       telemetry::EventWriter& events,
                       const RunOptions& options, const RunCallbacks& callbacks,
                       const RunTotals& before = {});

// Puts trainer and loader where the checkpoint left them. Error ("checkpoint")
// when its config is not the trainer's: names the first field that differs.
// With a `vocabulary` the trainer has its used ids alone. Moments of the other
// type are converted.
Result<RunTotals> resume(model::Checkpoint checkpoint, Trainer& trainer,
                         data::DataLoader& loader,
                         WholeVocabulary* vocabulary = nullptr);

}  // namespace aneroid::train
