// Compares what this project says an engine accepts with a table of what
// engines were seen to accept: one row per op, form, way and chip
// (docs/spec/acceptance.md has the format). Nothing here knows a row: the
// answers come from the rules and the vocabulary of target. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/conformance/outcome.h"
#include "aneroid/target/op_form.h"
#include "aneroid/target/op_placement.h"

namespace aneroid::conformance {

// What a measured verdict says.
enum class Measured : uint8_t {
  kUnreadable,  // no word that the format knows
  kAccepted,    // compiles, runs, or is offered the engine
  kRefused,     // does not compile, or only the CPU is offered
  kFolded,      // decided while compiling
  kStopped,     // the measurement was cut off for want of memory
  kNoAnswer,    // failed before an engine was asked
};
std::string_view name(Measured measured);  // "accepted"

struct Verdict {
  Measured support = Measured::kUnreadable;
  std::optional<bool> placed_on_engine;  // Core ML's choice, when given
};
Verdict read_verdict(std::string_view text);

struct AcceptanceRow {
  int line = 0;  // in the table's file
  std::string op;
  std::string variant;
  std::string api;
  std::string chip;
  std::string verdict;

  Outcome support = Outcome::kNotJudged;
  // Set for rows that say where Core ML placed the op and that it accepts.
  std::optional<Outcome> placement;
  target::Judgement judgement;
  target::Placement place;
  std::string why_not;  // kNotJudged: what was missing
};

struct AcceptanceReport {
  std::vector<AcceptanceRow> rows;  // all of the table, in its order
  struct Group {
    std::string path;  // "coreml alone", "coreml between layers", "raw", "e5"
    std::string chip;
    Counts support;
    Counts placement;
  };
  std::vector<Group> groups;  // as they first appear
  Counts support;
  Counts placement;
};

// Judges every row. `place` names the table in messages. Errors ("csv"): not a
// table, or one without the columns op, variant, api, chip and verdict.
Result<AcceptanceReport> check_acceptance(std::string_view table,
                                          std::string_view place);

}  // namespace aneroid::conformance
