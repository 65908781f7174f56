// A whole training run in a folder: steps, validation, checkpoints, events,
// resuming.
//
//   RUN/checkpoint.safetensors   the last checkpoint (docs/checkpoints.md)
//   RUN/events.jsonl             what happened (docs/events.md)
//   RUN/lock                     held while a process trains here
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

namespace aneroid::train {

struct RunOptions {
  std::filesystem::path folder;
  int64_t steps = 0;             // the last step to make
  int64_t checkpoint_every = 0;  // steps; 0: only at the end
  int64_t validate_every = 0;    // steps; 0: only at the end
  // Sequences per validation: the same ones every time.
  int64_t validation_sequences = 16;
};

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
  int64_t last_step = 0;
  double first_loss = 0;  // of this process
  double last_loss = 0;
  std::optional<double> validation_loss;
  double seconds = 0;
};

std::filesystem::path checkpoint_path(const std::filesystem::path& folder);
std::filesystem::path events_path(const std::filesystem::path& folder);

// Makes the steps that are missing up to options.steps. `validation` may be
// null. A checkpoint is written at the end in any case, also when stopped.
// Errors: the trainer's; "events", "file" and "checkpoint" when the folder
// cannot take them (a full disk): the last good checkpoint stays.
Result<RunSummary> run(Trainer& trainer, data::DataLoader& loader,
                       data::DataLoader* validation,
                       telemetry::EventWriter& events,
                       const RunOptions& options,
                       const RunCallbacks& callbacks);

// Puts trainer and loader where the checkpoint left them. Error ("checkpoint")
// when its config is not the trainer's: names the first field that differs.
Status resume(model::Checkpoint checkpoint, Trainer& trainer,
              data::DataLoader& loader);

}  // namespace aneroid::train
