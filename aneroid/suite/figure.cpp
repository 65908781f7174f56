#include "aneroid/suite/figure.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "aneroid/base/csv.h"
#include "aneroid/suite/published_table.h"

namespace aneroid::suite {
namespace {

constexpr std::string_view kLabel = "bench.results";
constexpr size_t kMaxRows = 1'000'000;
constexpr double kMaxSamples = 1e12;
constexpr double kMaxEngines = 64;
// What is longer is no name, and would spoil a table.
constexpr size_t kMaxText = 1000;

// ---- Units -----------------------------------------------------------------

enum class Quantity : uint8_t { kTime, kOperations, kWeights, kRatio };
struct Unit {
  std::string_view name;
  Quantity quantity;
  double factor;  // to us, operations or bytes per us, or x
};
constexpr Unit kUnits[] = {
    {"us", Quantity::kTime, 1},
    {"ms", Quantity::kTime, 1e3},
    {"s", Quantity::kTime, 1e6},
    {"GFLOPS", Quantity::kOperations, 1e3},
    {"TFLOPS", Quantity::kOperations, 1e6},
    {"GB/s", Quantity::kWeights, 1e3},
    {"x", Quantity::kRatio, 1},
};
constexpr auto kUnitNames = [] {
  std::array<std::string_view, std::size(kUnits)> names;
  std::ranges::transform(kUnits, names.begin(), &Unit::name);
  return names;
}();

tl::unexpected<Diagnostic> no_such_quantity(const Figure& figure,
                                            std::string_view why) {
  return input_error("bench.unit",
                     fmt::format("{} {}", figure.suite, figure.key),
                     fmt::format("unit '{}': {}", figure.unit, why));
}

// Work of a whole case.
Result<double> total(const Case& row, double (*of)(const TestProgram&)) {
  ANEROID_ASSIGN(const auto list, programs(row.recipe));
  double sum = 0;
  for (const TestProgram& program : list) sum += of(program);
  return sum;
}

// ---- Names in the file -----------------------------------------------------

template <typename T>
struct Name {
  std::string_view name;
  T value;
};
constexpr Name<Kind> kKinds[] = {{"measured", Kind::kMeasured},
                                 {"predicted", Kind::kPredicted},
                                 {"published", Kind::kPublished}};
constexpr Name<Statistic> kStatistics[] = {{"best", Statistic::kBest},
                                           {"typical", Statistic::kTypical}};
constexpr Name<target::Path> kPaths[] = {{"raw", target::Path::kRaw},
                                         {"coreml", target::Path::kCoreml},
                                         {"e5", target::Path::kE5}};
constexpr Name<bool> kYesNo[] = {{"no", false}, {"yes", true}};
constexpr Name<char> kConfidences[] = {{"A", 'A'}, {"B", 'B'}, {"C", 'C'}};

template <typename T, size_t N>
std::string_view name_of(const Name<T> (&names)[N], T value) {
  return std::ranges::find(names, value, &Name<T>::value)->name;
}

// ---- Reading ---------------------------------------------------------------

// One row of a table, its fields by name.
class Row {
 public:
  Row(const CsvTable& table, size_t row, std::string_view place)
      : table_(table), row_(row), place_(place) {}

  // Empty when there is no such column.
  std::string_view text(std::string_view column) const {
    const auto index = table_.find_column(column);
    return index ? std::string_view(table_.at(row_, *index))
                 : std::string_view();
  }

  tl::unexpected<Diagnostic> bad(std::string_view column,
                                 std::string_view expected) const {
    constexpr size_t kShown = 60;
    return input_error(std::string(kLabel),
                       fmt::format("{}:{}", place_, table_.line(row_)),
                       fmt::format("{} is '{}'; {}", column,
                                   text(column).substr(0, kShown), expected));
  }

  // The value of a word; the default when the field is empty.
  template <typename T, size_t N>
  Result<T> word(std::string_view column, const Name<T> (&names)[N],
                 T otherwise) const {
    const std::string_view given = text(column);
    if (given.empty()) return otherwise;
    const auto found = std::ranges::find(names, given, &Name<T>::name);
    if (found != std::end(names)) return found->value;
    std::vector<std::string_view> known;
    std::ranges::transform(names, std::back_inserter(known), &Name<T>::name);
    return bad(column,
               fmt::format("expected one of {}", fmt::join(known, ", ")));
  }

  Result<double> number(std::string_view column, double least, double most,
                        double otherwise) const {
    const std::string_view given = text(column);
    if (given.empty()) return otherwise;
    double value = 0;
    const auto [end, error] =
        std::from_chars(given.data(), given.data() + given.size(), value);
    if (error != std::errc() || end != given.data() + given.size() ||
        !std::isfinite(value) || value < least || value > most) {
      return bad(column, fmt::format("expected a number from {:g} to {:g}",
                                     least, most));
    }
    return value;
  }

  Result<int64_t> whole(std::string_view column, double most) const {
    ANEROID_ASSIGN(const double value, number(column, 0, most, 0));
    if (value != std::floor(value)) {
      return bad(column, "expected a whole number");
    }
    return static_cast<int64_t>(value);
  }

 private:
  const CsvTable& table_;
  size_t row_;
  std::string_view place_;
};

Status check_names(const Row& row, const Figure& figure) {
  const Suite* suite = find_suite(figure.suite);
  if (suite == nullptr) {
    std::vector<std::string_view> known;
    for (const Suite& one : suites()) known.push_back(one.name);
    return row.bad("suite",
                   fmt::format("the suites are {}", fmt::join(known, ", ")));
  }
  if (suite->find(figure.key) == nullptr &&
      suite->find_derived(figure.key) == nullptr) {
    return row.bad("key", fmt::format("not a row of {0}: 'aneroid bench {0} "
                                      "--no-run' lists them",
                                      figure.suite));
  }
  if (figure.chip != kCpu) {
    const auto chip = target::find_chip(figure.chip);
    if (!chip || chip->id != figure.chip) {
      return row.bad("chip",
                     "'aneroid devices' lists the ids; 'cpu' is for times of "
                     "the software engine");
    }
  }
  return {};
}

Result<Figure> read_figure(const Row& row) {
  constexpr double kLeast = 1e-9;
  constexpr double kMost = 1e15;
  Figure figure;
  for (const auto& [column, field] :
       std::initializer_list<std::pair<std::string_view, std::string*>>{
           {"suite", &figure.suite},
           {"key", &figure.key},
           {"chip", &figure.chip},
           {"unit", &figure.unit},
           {"machine", &figure.machine},
           {"os", &figure.os},
           {"source", &figure.source},
           {"note", &figure.note}}) {
    *field = row.text(column);
    if (field->size() > kMaxText) {
      return row.bad(column, fmt::format("that is {} bytes, above {}",
                                         field->size(), kMaxText));
    }
  }
  ANEROID_TRY(check_names(row, figure));
  if (row.text("kind").empty()) {
    return row.bad("kind", "expected measured, predicted or published");
  }
  ANEROID_ASSIGN(figure.kind, row.word("kind", kKinds, Kind::kMeasured));
  if (row.text("value").empty()) return row.bad("value", "expected a number");
  ANEROID_ASSIGN(figure.value, row.number("value", kLeast, kMost, 0));
  ANEROID_ASSIGN(figure.statistic,
                 row.word("statistic", kStatistics, Statistic::kBest));
  ANEROID_ASSIGN(figure.path, row.word("path", kPaths, target::Path::kRaw));
  ANEROID_ASSIGN(figure.copies, row.word("copies", kYesNo, false));
  ANEROID_ASSIGN(const int64_t engines, row.whole("engines", kMaxEngines));
  figure.engines = static_cast<int>(engines);
  ANEROID_ASSIGN(figure.samples, row.whole("samples", kMaxSamples));
  ANEROID_ASSIGN(figure.confidence, row.word("confidence", kConfidences, 'B'));
  if (const auto value = canonical(figure); !value) {
    return row.bad("unit", value.error().message);
  }
  return figure;
}

}  // namespace

std::span<const std::string_view> units() { return kUnitNames; }

Result<double> canonical(const Figure& figure) {
  const auto unit = std::ranges::find(kUnits, figure.unit, &Unit::name);
  if (unit == std::end(kUnits)) {
    return no_such_quantity(
        figure, fmt::format("expected one of {}", fmt::join(kUnitNames, ", ")));
  }
  const Suite* suite = find_suite(figure.suite);
  const Case* row = suite == nullptr ? nullptr : suite->find(figure.key);
  const Derived* derived =
      suite == nullptr ? nullptr : suite->find_derived(figure.key);
  if (row == nullptr && derived == nullptr) {
    return no_such_quantity(figure, "there is no such row");
  }
  const double value = figure.value * unit->factor;
  const bool is_ratio =
      derived != nullptr && derived->kind == Derived::Kind::kRatio;
  if (is_ratio != (unit->quantity == Quantity::kRatio)) {
    return no_such_quantity(figure, is_ratio ? "the row is a ratio, in 'x'"
                                             : "the row is no ratio");
  }
  if (is_ratio || unit->quantity == Quantity::kTime) return value;
  if (row == nullptr) return no_such_quantity(figure, "the row is a time");
  ANEROID_ASSIGN(
      const double work,
      total(*row,
            unit->quantity == Quantity::kOperations ? flops : weight_bytes));
  if (work <= 0) return no_such_quantity(figure, "the row has no such work");
  return work / value;
}

Result<std::vector<Figure>> read_figures(std::string_view csv,
                                         std::string_view place) {
  ANEROID_ASSIGN(const CsvTable table, CsvTable::parse(csv, place));
  for (const std::string_view required :
       {"suite", "key", "kind", "chip", "value", "unit"}) {
    ANEROID_TRY(table.column(required));
  }
  if (table.rows() > kMaxRows) {
    return input_error(
        std::string(kLabel), std::string(place),
        fmt::format("{} rows, above {}", table.rows(), kMaxRows));
  }
  std::vector<Figure> figures;
  for (size_t i = 0; i < table.rows(); ++i) {
    ANEROID_ASSIGN(figures.emplace_back(), read_figure({table, i, place}));
  }
  return figures;
}

std::string write_figures(std::span<const Figure> figures) {
  std::string csv =
      "suite,key,kind,chip,value,unit,statistic,path,copies,engines,samples,"
      "machine,os,source,confidence,note\n";
  for (const Figure& one : figures) {
    // {} of a double is the shortest text that reads back as the same number.
    csv += fmt::format(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
        csv_field(one.suite), csv_field(one.key), name_of(kKinds, one.kind),
        csv_field(one.chip), one.value, csv_field(one.unit),
        name_of(kStatistics, one.statistic), name_of(kPaths, one.path),
        name_of(kYesNo, one.copies), one.engines, one.samples,
        csv_field(one.machine), csv_field(one.os), csv_field(one.source),
        one.confidence, csv_field(one.note));
  }
  return csv;
}

std::span<const Figure> published() {
  // The table is part of the program; a test reads it.
  static const std::vector<Figure> kFigures =
      read_figures(published_table()[0].content, published_table()[0].name)
          .value_or(std::vector<Figure>());
  return kFigures;
}

}  // namespace aneroid::suite
