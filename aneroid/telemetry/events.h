// What a training run tells the world: one event per line of events.jsonl.
// docs/events.md is the contract for other programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"

namespace aneroid::telemetry {

// Rises when a program that knows the older schema would misread the newer.
inline constexpr int64_t kSchemaVersion = 1;

using Json = nlohmann::ordered_json;

// The process starts, or starts again after an interruption.
struct RunEvent {
  int64_t schema = kSchemaVersion;
  std::string version;           // of aneroid
  std::string started;           // ISO 8601, UTC: "2026-11-21T22:16:22Z"
  int64_t first_step = 1;        // above 1 when resumed
  Json config = Json::object();  // of the model
  Json flags = Json::object();   // of the command
  Json host = Json::object();    // "cpu", "threads", ...
  Json device = Json::object();  // "name", "chip", ...
};

// Steps count from 1: step n is the nth optimizer step, skipped ones included.
struct StepEvent {
  int64_t step = 0;
  int64_t micro_steps = 0;  // sequences forward and backward in this step
  double loss = 0;          // nats per token, mean over the step
  double lr = 0;
  double grad_norm = 0;  // before clipping
  double loss_scale = 1;
  bool skipped = false;  // overflow: no update was made
  int64_t tokens = 0;    // of this step
  double tokens_per_s = 0;
  double wall_ms = 0;
  // Named parts that sum to wall_ms, see TimeTable.
  std::vector<std::pair<std::string, double>> time;
};

struct ValidationEvent {
  int64_t step = 0;  // the last step before
  double loss = 0;
  int64_t tokens = 0;
};

struct CheckpointEvent {
  int64_t step = 0;
  std::string path;
  int64_t bytes = 0;
  double ms = 0;
};

struct SampleEvent {
  int64_t step = 0;
  std::string prompt;
  std::string text;
};

// A gradient was not finite: the step was skipped and the scale changed.
struct OverflowEvent {
  int64_t step = 0;
  double old_scale = 0;
  double new_scale = 0;
};

// The process is about to be replaced by a fresh one that continues the run.
struct RestartEvent {
  int64_t step = 0;      // the last step made
  std::string reason;    // "compile budget" or "compile failed"
  std::string message;   // of a failed compilation; else empty
  int64_t restarts = 0;  // of the run, this one included
  int64_t compiles = 0;  // programs, by all processes of the run
  double wall_s = 0;     // of all processes of the run
};

struct EndEvent {
  std::string reason;   // "done", "interrupted" or "error"
  std::string message;  // of an error; else empty
  int64_t steps = 0;    // the last step made
  double wall_s = 0;    // of this process
};

using Event =
    std::variant<RunEvent, StepEvent, ValidationEvent, CheckpointEvent,
                 SampleEvent, OverflowEvent, RestartEvent, EndEvent>;

// "run", "step", "validation", "checkpoint", "sample", "overflow", "restart",
// "end".
std::string_view name(const Event& event);

// The step of an event that has one, or -1 (run, end).
int64_t step_of(const Event& event);

// One line of JSON without the line break. Numbers that JSON lacks become the
// texts "nan", "inf", "-inf"; bytes that are not UTF-8 become U+FFFD.
std::string to_line(const Event& event);

// Errors ("events"): not a JSON object, an unknown event, a field missing or
// of a wrong type, a newer schema. Unknown fields are ignored.
Result<Event> parse_line(std::string_view line);

// The time now as RunEvent::started has it.
std::string utc_now();

}  // namespace aneroid::telemetry
