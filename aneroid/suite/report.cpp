#include "aneroid/suite/report.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace aneroid::suite {
namespace {

// The programs of the cases that a report needs, built once.
using Built = std::map<std::string, std::vector<TestProgram>, std::less<>>;

// The value of a derived row, given those of the two it is made of.
double derive(const Derived& row, double first, double second) {
  return row.kind == Derived::Kind::kRatio ? first / second
                                           : (first - second) / row.layers;
}

class Maker {
 public:
  Maker(const Suite& suite, const ReportOptions& options)
      : suite_(suite), options_(options) {}

  Result<std::vector<ReportRow>> rows() {
    const Sweep& sweep = options_.quick ? suite_.quick : suite_.full;
    std::vector<ReportRow> rows;
    for (const Case& one : sweep.cases) {
      ANEROID_ASSIGN(built_[one.key], programs(one.recipe));
      ANEROID_ASSIGN(rows.emplace_back(), case_row(one));
    }
    for (const Derived& one : sweep.derived) {
      ANEROID_ASSIGN(ReportRow row, derived_row(one, rows));
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  Result<ReportRow> case_row(const Case& one) {
    const std::vector<TestProgram>& list = built_[one.key];
    ReportRow row;
    row.key = one.key;
    row.what = one.what;
    row.source = &one;
    for (const TestProgram& program : list) {
      row.flops += flops(program);
      row.weight_bytes += weight_bytes(program);
      row.surface_bytes += surface_bytes(program);
    }
    if (const Status status = accepts(list, options_.chip, options_.path);
        !status) {
      row.refused =
          fmt::format("{}: {}", status.error().label, status.error().message);
    } else {
      Figure conditions;
      conditions.path = options_.path;
      ANEROID_ASSIGN(Forecast predicted,
                     forecast(list, options_.chip, conditions));
      row.predicted = predicted.microseconds;
      row.basis = predicted.basis;
      row.programs = std::move(predicted.programs);
    }
    ANEROID_TRY(measure_case(row, list));
    ANEROID_TRY(compare(row, [&](const Figure& figure) -> Result<double> {
      ANEROID_ASSIGN(const Forecast predicted,
                     forecast(list, options_.chip, figure));
      return predicted.microseconds;
    }));
    return row;
  }

  Status measure_case(ReportRow& row, const std::vector<TestProgram>& list) {
    const double gflop = row.flops / 1e9;
    if (options_.run == nullptr) {
      row.not_measured = "not run";
    } else if (!row.refused.empty()) {
      row.not_measured = "refused by the chip";
    } else if (gflop > options_.max_gflop) {
      row.not_measured = fmt::format("{:.3g} GFLOP", gflop);
    } else {
      auto measured = options_.run(list);
      if (measured) {
        row.measured = *measured;
      } else if (measured.error().kind == ErrorKind::kDevice ||
                 measured.error().kind == ErrorKind::kInput) {
        row.not_measured = fmt::format("{}: {}", measured.error().label,
                                       measured.error().message);
      } else {
        return tl::unexpected(std::move(measured).error());
      }
    }
    return {};
  }

  Result<ReportRow> derived_row(const Derived& one,
                                std::span<const ReportRow> rows) {
    const ReportRow& first =
        *std::ranges::find(rows, one.first, &ReportRow::key);
    const ReportRow& second =
        *std::ranges::find(rows, one.second, &ReportRow::key);
    ReportRow row;
    row.key = one.key;
    row.what = one.what;
    row.unit = one.kind == Derived::Kind::kRatio ? RowUnit::kRatio
                                                 : RowUnit::kMicroseconds;
    if (first.measured && second.measured) {
      row.measured = first.measured;
      row.measured->best_us =
          derive(one, first.measured->best_us, second.measured->best_us);
      row.measured->median_us =
          derive(one, first.measured->median_us, second.measured->median_us);
      row.measured->samples =
          std::min(first.measured->samples, second.measured->samples);
    } else {
      row.not_measured =
          first.measured ? second.not_measured : first.not_measured;
    }
    row.refused = first.refused.empty() ? second.refused : first.refused;
    row.basis = first.basis;
    const auto predict = [&](const Figure& figure) -> Result<double> {
      ANEROID_ASSIGN(const Forecast a,
                     forecast(built_[one.first], options_.chip, figure));
      ANEROID_ASSIGN(const Forecast b,
                     forecast(built_[one.second], options_.chip, figure));
      return one.kind == Derived::Kind::kRatio
                 ? derive(one, a.microseconds, b.microseconds)
                 : derive(one, a.task_microseconds, b.task_microseconds);
    };
    if (row.refused.empty()) {
      Figure conditions;
      conditions.path = options_.path;
      ANEROID_ASSIGN(row.predicted, predict(conditions));
    }
    ANEROID_TRY(compare(row, predict));
    return row;
  }

  Status compare(
      ReportRow& row,
      const std::function<Result<double>(const Figure&)>& predicted) const {
    const auto add = [&](const Figure& figure) -> Status {
      if (figure.suite != suite_.name || figure.key != row.key ||
          figure.chip != options_.chip.id) {
        return {};
      }
      Comparison comparison{figure, 0, 0};
      ANEROID_ASSIGN(comparison.value, canonical(figure));
      ANEROID_ASSIGN(comparison.predicted, predicted(figure));
      row.comparisons.push_back(std::move(comparison));
      return {};
    };
    for (const Figure& figure : published()) ANEROID_TRY(add(figure));
    for (const Figure& figure : options_.contributed) {
      if (figure.kind == Kind::kMeasured) ANEROID_TRY(add(figure));
    }
    return {};
  }

  const Suite& suite_;
  const ReportOptions& options_;
  Built built_;
};

}  // namespace

Result<Report> make_report(const Suite& suite, const ReportOptions& options) {
  ANEROID_TRY(target::timing_parameters(options.chip));
  Report report{&suite,
                options.chip,
                options.path,
                options.quick,
                options.run != nullptr,
                options.max_gflop,
                {}};
  ANEROID_ASSIGN(report.rows, Maker(suite, options).rows());
  return report;
}

std::vector<Figure> figures(const Report& report,
                            const Conditions& conditions) {
  std::vector<Figure> list;
  for (const ReportRow& row : report.rows) {
    Figure base;
    base.suite = report.suite->name;
    base.key = row.key;
    base.unit = row.unit == RowUnit::kRatio ? "x" : "us";
    base.path = report.path;
    // Differences of noisy times may come out as nothing; those say nothing.
    const auto add = [&](Figure figure, double value) {
      if (value <= 0) return;
      figure.value = value;
      list.push_back(std::move(figure));
    };
    if (row.measured) {
      Figure measured = base;
      measured.chip = conditions.chip;
      measured.samples = row.measured->samples;
      measured.machine = conditions.machine;
      measured.os = conditions.os;
      measured.source =
          fmt::format("aneroid, {} {}", conditions.device, conditions.numerics);
      add(measured, row.measured->best_us);
      measured.statistic = Statistic::kTypical;
      add(measured, row.measured->median_us);
    }
    if (row.predicted) {
      Figure predicted = base;
      predicted.kind = Kind::kPredicted;
      predicted.chip = report.chip.id;
      predicted.source = target::to_string(row.basis);
      predicted.confidence = 'C';
      add(predicted, *row.predicted);
    }
    for (const Comparison& comparison : row.comparisons) {
      list.push_back(comparison.figure);
    }
  }
  return list;
}

}  // namespace aneroid::suite
