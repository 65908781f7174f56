// How far the timing model is from a table of measurements.
//
// The error of a row is |ln(predicted / measured)|: 0.08 is about 8 % either
// way. Rows that are not scored are counted and listed with the reason.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "aneroid/conformance/timing_rows.h"

namespace aneroid::conformance {

struct ScoredRow {
  TimingRow row;
  Reading reading;
  double predicted_us = 0;
  double error = 0;  // ln(predicted / measured), signed
};

struct ErrorSummary {
  int rows = 0;
  double median = 0;
  double p90 = 0;
};
ErrorSummary summarise(std::vector<double> absolute_errors);

struct ScoreGroup {
  std::string chip;
  std::string kind;
  ErrorSummary errors;
};

struct Scoring {
  std::vector<ScoredRow> rows;  // of every verdict, in the table's order
  size_t count(Verdict verdict) const;
  // Per chip and op_kind, in order of first appearance.
  std::vector<ScoreGroup> by_op_kind() const;
  // Per chip and conv, matmul, elementwise; then "all" three.
  std::vector<ScoreGroup> by_kind() const;
  // The same by timing class: what target::scores() holds.
  std::vector<ScoreGroup> by_class() const;
};
Result<Scoring> score(const CsvTable& table);

// ---- Leave one source out --------------------------------------------------

struct SourceScore {
  std::string source;
  std::string timing_class;
  ErrorSummary with;     // parameters as shipped
  ErrorSummary without;  // fitted again without it
  int other_rows = 0;    // that there were to fit to
};
// What counts as one source: files of one author share a machine and habits.
enum class SourceLevel : uint8_t { kAuthor, kFile };
// For every source of a timing class, the class's fitted parameters
// (target::TimingParameters::fitted) are forgotten, the mean of the other
// classes' taking their place, fitted again to the rows of all other sources,
// and scored on this one. Published parameters stay, and so do constants shared
// by all chips. Over conv, matmul and elementwise rows; takes seconds.
std::vector<SourceScore> leave_one_source_out(const Scoring& scoring,
                                              SourceLevel level);

// ---- Plot ------------------------------------------------------------------

// Predicted against measured, logarithmic, one colour per chip: an SVG file.
std::string scatter_svg(const Scoring& scoring, std::string_view title);

}  // namespace aneroid::conformance
