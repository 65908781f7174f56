// One number about one row of a suite, and the CSV that such numbers travel
// in: what was published, what this program measured or predicted, and what
// owners of other machines contribute share one format
// (docs/spec/bench-results.md). Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/suite/suites.h"
#include "aneroid/target/target.h"

namespace aneroid::suite {

enum class Kind : uint8_t { kMeasured, kPredicted, kPublished };
enum class Statistic : uint8_t { kBest, kTypical };

// Names the machine in Figure::chip where no Neural Engine was involved.
inline constexpr std::string_view kCpu = "cpu";

struct Figure {
  std::string suite;  // "peak"
  std::string key;    // of a case or derived row of that suite
  Kind kind = Kind::kMeasured;
  std::string chip;  // an id of chips.json, or kCpu
  double value = 0;  // > 0
  std::string unit;  // see units()
  // How it came about, so that a prediction can be asked under the same
  // conditions.
  Statistic statistic = Statistic::kBest;
  target::Path path = target::Path::kRaw;
  bool copies = false;    // includes the caller's copies of surfaces
  int engines = 0;        // 0: as the compiler chooses
  int64_t samples = 0;    // 0: not said
  std::string machine;    // "Mac mini (2024)"
  std::string os;         // "macOS 26.1"
  std::string source;     // who says so, or the model and its error
  char confidence = 'B';  // A repeated, B once, C inferred or with known flaws
  std::string note;

  friend bool operator==(const Figure&, const Figure&) = default;
};

// Times: "us", "ms", "s"; rates: "GFLOPS", "TFLOPS" (also for operations on
// integers), "GB/s" of weights; and "x" for ratios.
std::span<const std::string_view> units();

// The figure in the unit of its row: us, or x for ratios. Rates become times
// through the row's work. Error ("bench.unit"): the row has no such quantity.
Result<double> canonical(const Figure& figure);

// Columns suite, key, kind, chip, value and unit are required; the others
// of Figure, by their names, may be missing or empty; more are ignored.
// Errors ("csv", "bench.results") with file and line: not such a table, over a
// million rows, an unknown suite, key, kind, chip, unit, statistic, path or
// confidence, a number that is not one or out of range.
Result<std::vector<Figure>> read_figures(std::string_view csv,
                                         std::string_view place);
// With all columns; read_figures() gives back what was written.
std::string write_figures(std::span<const Figure> figures);

// The built-in table, aneroid/suite/published.csv.
std::span<const Figure> published();

}  // namespace aneroid::suite
