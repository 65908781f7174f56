// The rows of a suite beside one another: measured here, predicted on a chip,
// published, and contributed by others.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/suite/figure.h"
#include "aneroid/suite/forecast.h"
#include "aneroid/suite/measure.h"
#include "aneroid/suite/suites.h"

namespace aneroid::suite {

// Somebody's figure for a row, and the prediction under its conditions; both
// in the row's unit.
struct Comparison {
  Figure figure;
  double value = 0;
  double predicted = 0;
  double ratio() const { return predicted / value; }
};

enum class RowUnit : uint8_t { kMicroseconds, kRatio };

struct ReportRow {
  std::string key;
  std::string what;
  RowUnit unit = RowUnit::kMicroseconds;
  // Of a case; null and zeros for a derived row.
  const Case* source = nullptr;
  double flops = 0;
  double weight_bytes = 0;
  double surface_bytes = 0;
  // Of a derived row `best_us` and `median_us` hold its value, in its unit.
  std::optional<Measured> measured;
  std::string not_measured;  // why not: "not run", "137 GFLOP", "C022: ..."
  // Best call under the report's path; nullopt where the chip refuses.
  std::optional<double> predicted;
  target::Basis basis;
  std::vector<ProgramForecast> programs;
  std::string refused;  // the chip's rule and its words
  std::vector<Comparison> comparisons;
};

struct ReportOptions {
  target::Chip chip;
  target::Path path = target::Path::kRaw;
  bool quick = false;
  // Rows of more work are predicted only.
  double max_gflop = 20;
  // Called for each case that may be run; null predicts only.
  std::function<Result<Measured>(std::span<const TestProgram>)> run;
  // Figures of others besides the published ones: only those of this suite,
  // measured on this chip, are shown. Borrowed while the report is made.
  std::span<const Figure> contributed;
};

struct Report {
  const Suite* suite = nullptr;
  target::Chip chip;
  target::Path path = target::Path::kRaw;
  bool quick = false;
  bool ran = false;  // there was a device to run on
  double max_gflop = 0;
  std::vector<ReportRow> rows;  // cases, then derived rows
};

// A row that the device refuses, or has no meaning for, has its words in
// `not_measured`. Errors: no timing of the chip is known ("timing", no); all
// others of `run`.
Result<Report> make_report(const Suite& suite, const ReportOptions& options);

// The environment of the measurements, for the files that others read.
struct Conditions {
  std::string chip;      // of the measurements: an id, or kCpu
  std::string device;    // "emulator"
  std::string numerics;  // "fast"
  int threads = 0;
  std::string machine;
  std::string os;
};

// All figures of a report: measured, predicted and published, in this order
// within each row. What write_figures() and `--measured` take.
std::vector<Figure> figures(const Report& report, const Conditions& conditions);

// The report as JSON (docs/spec/bench-results.md), indented.
std::string to_json(const Report& report, const Conditions& conditions);

}  // namespace aneroid::suite
