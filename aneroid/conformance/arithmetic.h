// Compares the engine's arithmetic (aneroid/numerics) with tables of measured
// cases: sums of products, element-wise ops, W8A8 convolutions, the knots of
// activation tables and their error statistics. docs/spec/arithmetic-table.md
// has the formats. Nothing here knows a row. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/conformance/outcome.h"

namespace aneroid::conformance {

enum class ArithmeticFormat : uint8_t {
  kCases,       // columns kind, inputs, weights, bias, expected
  kIntegers,    // the same and scale_log2: W8A8
  kKnots,       // columns function, argument, status
  kStatistics,  // columns function, domain, max_abs_err
};
std::string_view name(ArithmeticFormat format);  // "cases"

struct ArithmeticRow {
  int line = 0;      // in the table's file
  std::string id;    // case_id, or the function and the argument
  std::string kind;  // the row's own word, or its function
  std::string expected;
  std::string computed;
  Outcome outcome = Outcome::kNotJudged;
  // kNotJudged: the reason. kDisagrees: what differs, when the row has more
  // than one value.
  std::string why;
  // The open question that the row touches, if any: agreement or not, the
  // rule behind it is one of several that fit.
  std::string open;

  // Core ML's own arithmetic, on the CPU: what the row has from there.
  std::optional<Outcome> fallback;
  std::string fallback_expected;
  std::string fallback_computed;
};

struct ArithmeticReport {
  ArithmeticFormat format = ArithmeticFormat::kCases;
  std::vector<ArithmeticRow> rows;  // all of the table, in its order
  struct Group {
    std::string kind;
    Counts engine;
    Counts fallback;
  };
  std::vector<Group> groups;  // as they first appear
  Counts engine;
  Counts fallback;
  bool good() const { return engine.disagree + fallback.disagree == 0; }
};

// Judges every row. `place` names the table in messages. Errors: not a table
// ("csv"), or none of these formats ("arithmetic"). A row that cannot be read
// is one that is not judged.
Result<ArithmeticReport> check_arithmetic(std::string_view table,
                                          std::string_view place);

}  // namespace aneroid::conformance
