// Rows about activation tables: a knot, or the error statistics of a curve.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "aneroid/conformance/arithmetic_rows.h"
#include "aneroid/conformance/arithmetic_statistics.h"
#include "aneroid/conformance/arithmetic_values.h"
#include "aneroid/numerics/activation_tables.h"

namespace aneroid::conformance {
namespace {

using numerics::Function;

// Two of MIL's modes of gelu share a table and differ in what is exact.
constexpr std::string_view kGeluTanh = "gelu_tanh";

double gelu_tanh(double x) {
  constexpr double kCubic = 0.044715;
  const double inner =
      std::sqrt(2 / std::numbers::pi) * (x + kCubic * x * x * x);
  return 0.5 * x * (1 + std::tanh(inner));
}

std::optional<Function> find_function(std::string_view name) {
  return numerics::function_from_name(name == kGeluTanh ? "gelu" : name);
}

void mark_open(ArithmeticRow& row, Function function) {
  if (numerics::info(function).evidence != numerics::Evidence::kReproduced) {
    row.open = "the values of this table";
  }
}

// ---- Knots -----------------------------------------------------------------

// Arguments are those of the reduced function; sin's are in radians.
std::optional<size_t> find_knot(Function function, double argument) {
  const numerics::KnotTable& table = numerics::knot_table(function);
  if (function == Function::kSin) argument *= 2 / std::numbers::pi;
  const double position = (argument - table.first) / table.step;
  const double knot = std::round(position);
  constexpr double kNear = 1e-6;
  if (std::fabs(position - knot) > kNear || knot < 0 ||
      knot >= static_cast<double>(table.knots.size())) {
    return std::nullopt;
  }
  return static_cast<size_t>(knot);
}

// ---- Statistics ------------------------------------------------------------

// "[-12;12] linear"
std::optional<std::vector<double>> read_grid(std::string_view domain) {
  const size_t middle = domain.find(';');
  const size_t end = domain.find(']');
  if (!domain.starts_with('[') || middle == std::string_view::npos ||
      end == std::string_view::npos || end < middle) {
    return std::nullopt;
  }
  const auto low = read_bound(domain.substr(1, middle - 1));
  const auto high = read_bound(domain.substr(middle + 1, end - middle - 1));
  constexpr auto kMost = static_cast<double>(kHalfMax);
  if (!low || !high || !(*low < *high) || !(-kMost <= *low) ||
      !(*high <= kMost)) {
    return std::nullopt;
  }
  const std::string_view kind = domain.substr(end + 1);
  if (kind == " linear") return linear_grid(*low, *high);
  if (kind == " geometric" && *low > 0) return geometric_grid(*low, *high);
  return std::nullopt;
}

// Figures as the sources print them.
struct Spacing {
  double least = 0;
  double median = 0;
  double most = 0;
};
Spacing spacing_of(const std::vector<double>& minima) {
  std::vector<double> gaps;
  for (size_t i = 1; i < minima.size(); ++i) {
    gaps.push_back(minima[i] - minima[i - 1]);
  }
  if (gaps.empty()) return {};
  std::ranges::sort(gaps);
  const size_t half = gaps.size() / 2;
  const double median =
      gaps.size() % 2 == 1 ? gaps[half] : (gaps[half - 1] + gaps[half]) / 2;
  return {gaps.front(), median, gaps.back()};
}

// Minima are printed with four decimals.
bool has_minimum(const std::vector<double>& minima, double printed) {
  constexpr double kHalfDigit = 0.500001e-4;
  return std::ranges::any_of(minima, [printed](double minimum) {
    return std::fabs(minimum - printed) <= kHalfDigit;
  });
}

// Collects what differs between a row and our figures.
class Comparison {
 public:
  explicit Comparison(const RowFields& fields) : fields_(fields) {}

  void number(std::string_view column, double computed) {
    const std::string_view printed = fields_[column];
    if (printed.empty() || agrees_as_printed(computed, printed)) return;
    differ(fmt::format("{} {:.6g}, measured {}", column, computed, printed));
  }
  void text(std::string_view column, std::string_view computed) {
    const std::string_view printed = fields_[column];
    if (printed.empty() || printed == computed) return;
    differ(fmt::format("{} {}, measured {}", column, computed, printed));
  }
  void places(std::string_view column, const std::vector<double>& minima) {
    std::string_view rest = fields_[column];
    size_t printed = 0;
    size_t missing = 0;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find(';'), rest.size());
      const auto place = read_number(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      ++printed;
      if (!place || !has_minimum(minima, *place)) ++missing;
    }
    if (missing > 0) {
      differ(fmt::format("{} of {} places in {}", missing, printed, column));
    }
  }
  const std::string& differences() const { return differences_; }

 private:
  void differ(const std::string& what) {
    if (!differences_.empty()) differences_ += "; ";
    differences_ += what;
  }

  const RowFields& fields_;
  std::string differences_;
};

std::string compare_statistics(const RowFields& fields,
                               const ErrorStatistics& ours) {
  Comparison comparison(fields);
  comparison.number("n_points", static_cast<double>(ours.points));
  comparison.number("max_abs_err", ours.max_error);
  comparison.number("max_ulp_err", ours.max_ulps);
  comparison.text("where", fmt::format("x={:.4g} exact={:.3g} ane={:.3g}",
                                       ours.argument, ours.exact, ours.engine));
  comparison.number("n_error_minima", static_cast<double>(ours.minima.size()));
  comparison.places("error_minima_first20", ours.minima);
  const Spacing spacing = spacing_of(ours.minima);
  comparison.number("minima_spacing_median", spacing.median);
  comparison.text("minima_spacing_range",
                  fmt::format("{:.4f}-{:.4f}", spacing.least, spacing.most));
  return comparison.differences();
}

}  // namespace

ArithmeticRow judge_knot(const RowFields& fields) {
  ArithmeticRow row;
  row.kind = fields["function"];
  row.id = fmt::format("{}({})", row.kind, fields["argument"]);
  const std::string_view bits = fields["bits"];
  const std::string_view printed = fields["value_fp16"];
  row.expected = printed;
  const auto function = numerics::function_from_name(row.kind);
  const auto argument = read_number(fields["argument"]);
  if (!argument || (bits.empty() && printed.empty())) {
    row.why = fmt::format("no value at an argument: {}", fields["status"]);
    return row;
  }
  if (!function) {
    row.why = fmt::format("no table of '{}' is known", row.kind);
    return row;
  }
  const auto knot = find_knot(*function, *argument);
  if (!knot) {
    row.why = "no knot of this table is there";
    return row;
  }
  const Half ours = numerics::knot_table(*function).knots[*knot];
  row.computed = fmt::format("{}", to_float(ours));
  if (bits.empty()) {
    row.outcome =
        agrees_as_printed(static_cast<double>(to_float(ours)), printed)
            ? Outcome::kAgrees
            : Outcome::kDisagrees;
    return row;
  }
  const auto measured = read_half(fmt::format("bits:{}", bits));
  if (!measured) {
    row.why = fmt::format("bits '{}' are not of the form 0x3C00", bits);
    return row;
  }
  row.outcome = *measured == ours ? Outcome::kAgrees : Outcome::kDisagrees;
  return row;
}

ArithmeticRow judge_statistics(const RowFields& fields) {
  ArithmeticRow row;
  row.kind = fields["function"];
  row.id = fmt::format("{} {}", row.kind, fields["domain"]);
  row.expected =
      fmt::format("max error {}, {} ulp at {}", fields["max_abs_err"],
                  fields["max_ulp_err"], fields["where"]);
  const auto function = find_function(row.kind);
  if (!function) {
    row.why = fmt::format("no table of '{}' is known", row.kind);
    return row;
  }
  const auto grid = read_grid(fields["domain"]);
  if (!grid) {
    row.why = fmt::format(
        "domain '{}' is not of the form '[-8;8] linear' or '[2^-6;100] "
        "geometric'",
        fields["domain"]);
    return row;
  }
  const ErrorStatistics ours =
      error_statistics(*function, *grid, [&](double x) {
        return row.kind == kGeluTanh ? gelu_tanh(x) : exact_value(*function, x);
      });
  mark_open(row, *function);
  row.computed = fmt::format(
      "max error {:.3e}, {:.1f} ulp at x={:.4g} exact={:.3g} ane={:.3g}",
      ours.max_error, ours.max_ulps, ours.argument, ours.exact, ours.engine);
  row.why = compare_statistics(fields, ours);
  row.outcome = row.why.empty() ? Outcome::kAgrees : Outcome::kDisagrees;
  return row;
}

}  // namespace aneroid::conformance
