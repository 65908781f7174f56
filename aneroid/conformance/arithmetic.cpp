#include "aneroid/conformance/arithmetic.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/base/csv.h"
#include "aneroid/conformance/arithmetic_rows.h"

namespace aneroid::conformance {
namespace {

struct Format {
  ArithmeticFormat format;
  std::string_view name;
  std::array<std::string_view, 4> columns;  // which tell it; may be empty
  ArithmeticRow (*judge)(const RowFields& fields);
};
// The first whose columns are all there counts.
constexpr std::array kFormats = {
    Format{ArithmeticFormat::kIntegers,
           "integers",
           {"inputs", "weights", "expected", "scale_log2"},
           judge_integers},
    Format{ArithmeticFormat::kCases,
           "cases",
           {"kind", "inputs", "weights", "expected"},
           judge_case},
    Format{ArithmeticFormat::kKnots,
           "knots",
           {"function", "argument", "status", ""},
           judge_knot},
    Format{ArithmeticFormat::kStatistics,
           "statistics",
           {"function", "domain", "max_abs_err", ""},
           judge_statistics},
};

bool fits(const Format& format, const CsvTable& table) {
  return std::ranges::all_of(format.columns, [&](std::string_view column) {
    return column.empty() || table.find_column(column).has_value();
  });
}

ArithmeticReport::Group& group_of(ArithmeticReport& report,
                                  const std::string& kind) {
  const auto found =
      std::ranges::find(report.groups, kind, &ArithmeticReport::Group::kind);
  if (found != report.groups.end()) return *found;
  return report.groups.emplace_back(ArithmeticReport::Group{kind, {}, {}});
}

void count(ArithmeticReport& report, const ArithmeticRow& row) {
  ArithmeticReport::Group& group = group_of(report, row.kind);
  report.engine.add(row.outcome);
  group.engine.add(row.outcome);
  if (!row.fallback) return;
  report.fallback.add(*row.fallback);
  group.fallback.add(*row.fallback);
}

}  // namespace

std::string_view name(ArithmeticFormat format) {
  return std::ranges::find(kFormats, format, &Format::format)->name;
}

std::string_view RowFields::operator[](std::string_view column) const {
  const auto found = table_.find_column(column);
  return found ? std::string_view(table_.at(row_, *found)) : "";
}

Result<ArithmeticReport> check_arithmetic(std::string_view text,
                                          std::string_view place) {
  ANEROID_ASSIGN(const CsvTable table, CsvTable::parse(text, place));
  const auto* format = std::ranges::find_if(
      kFormats, [&](const Format& f) { return fits(f, table); });
  if (format == kFormats.end()) {
    return input_error(
        "arithmetic", std::string(place),
        fmt::format("columns {} are those of no known table: cases have kind, "
                    "inputs, weights and expected, knots have function, "
                    "argument and status, statistics have function, domain "
                    "and max_abs_err",
                    fmt::join(table.columns(), ", ")));
  }
  ArithmeticReport report;
  report.format = format->format;
  for (size_t i = 0; i < table.rows(); ++i) {
    ArithmeticRow row = format->judge(RowFields(table, i));
    row.line = table.line(i);
    count(report, row);
    report.rows.push_back(std::move(row));
  }
  return report;
}

}  // namespace aneroid::conformance
