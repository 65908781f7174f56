// Leave one source out: how the model does on measurements of somebody who had
// no part in its parameters.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "aneroid/conformance/timing_score.h"

namespace aneroid::conformance {
namespace {

using target::TimingParameters;

// A parameter that a class of chips may have had fitted.
struct FittedParameter {
  std::string_view name;
  double* (*get)(TimingParameters&);
};
constexpr std::array kKnown = {
    FittedParameter{"efficiency",
                    [](TimingParameters& p) { return &p.efficiency; }},
    FittedParameter{"weight_gbs",
                    [](TimingParameters& p) { return &p.weight_gbs; }},
    FittedParameter{"io_gbs", [](TimingParameters& p) { return &p.io_gbs; }},
    FittedParameter{"copy_gbs",
                    [](TimingParameters& p) { return &p.copy_gbs; }},
    FittedParameter{"activation_gbs",
                    [](TimingParameters& p) { return &p.activation_gbs; }},
    FittedParameter{"palette_gbs",
                    [](TimingParameters& p) { return &p.palette_gbs; }},
    FittedParameter{"typical_us",
                    [](TimingParameters& p) { return &p.typical_us; }},
    FittedParameter{"layer_us",
                    [](TimingParameters& p) { return &p.layer_us; }},
    FittedParameter{
        "raw_us",
        [](TimingParameters& p) {
          return &p.call_us[static_cast<size_t>(target::Path::kRaw)];
        }},
    FittedParameter{
        "coreml_us",
        [](TimingParameters& p) {
          return &p.call_us[static_cast<size_t>(target::Path::kCoreml)];
        }},
    FittedParameter{"e5_us",
                    [](TimingParameters& p) {
                      return &p.call_us[static_cast<size_t>(target::Path::kE5)];
                    }},
};
constexpr double kSteps[] = {0.6, 0.8, 0.93, 1.07, 1.25, 1.6};
constexpr int kSweeps = 6;
constexpr size_t kFitRows = 150;   // of a class; more are thinned out evenly
constexpr double kWorstError = 1;  // a row's error counts at most this
constexpr double kPrior = 0.5;     // what leaving the start by a factor e costs

using Rows = std::vector<const ScoredRow*>;

bool is_fitted_kind(const ScoredRow& row) {
  const std::string& kind = row.reading.kind;
  return row.reading.verdict == Verdict::kRead &&
         (kind == "conv" || kind == "matmul" || kind == "elementwise");
}

double error_of(const ScoredRow& row, const TimingParameters& parameters) {
  TimingParameters own = parameters;
  // What is published of the chip itself stays.
  if (const auto chip = target::timing_parameters(row.reading.chip)) {
    own.clock_ghz = chip->clock_ghz;
    if (std::ranges::find(own.fitted, "weight_gbs") == own.fitted.end()) {
      own.weight_gbs = chip->weight_gbs;
    }
  }
  return std::abs(
      std::log(predicted_us(row.reading, own) / row.reading.measured_us));
}

double badness(const Rows& rows, TimingParameters parameters,
               TimingParameters start) {
  double sum = 0;
  for (const FittedParameter& parameter : kKnown) {
    const double moved =
        std::log(*parameter.get(parameters) / *parameter.get(start));
    sum += kPrior * moved * moved;
  }
  for (const ScoredRow* row : rows) {
    sum += std::min(kWorstError, error_of(*row, parameters));
  }
  return sum;
}

bool is_fitted(const TimingParameters& parameters,
               const FittedParameter& parameter) {
  return std::ranges::find(parameters.fitted, parameter.name) !=
         parameters.fitted.end();
}

// With the fitted parameters at the geometric mean of the other classes: what
// is known of a chip that nobody measured.
TimingParameters of_other_classes(TimingParameters own) {
  std::array<double, kKnown.size()> logs{};
  int count = 0;
  for (const TimingParameters& other : target::timing_classes()) {
    if (other.id == own.id) continue;
    TimingParameters copy = other;
    for (size_t i = 0; i < kKnown.size(); ++i) {
      logs[i] += std::log(std::max(1e-3, *kKnown[i].get(copy)));
    }
    ++count;
  }
  for (size_t i = 0; i < kKnown.size() && count > 0; ++i) {
    if (is_fitted(own, kKnown[i])) {
      *kKnown[i].get(own) = std::exp(logs[i] / count);
    }
  }
  return own;
}

// Coordinate descent on the capped absolute errors, held back where few rows
// speak.
TimingParameters fit(const Rows& all, const TimingParameters& start) {
  TimingParameters fitted = start;
  Rows rows;
  const size_t stride = 1 + all.size() / kFitRows;
  for (size_t i = 0; i < all.size(); i += stride) rows.push_back(all[i]);
  double best = badness(rows, fitted, start);
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool better = false;
    for (const FittedParameter& parameter : kKnown) {
      if (!is_fitted(start, parameter)) continue;
      for (const double step : kSteps) {
        TimingParameters tried = fitted;
        *parameter.get(tried) *= step;
        if (parameter.name == "efficiency") {
          tried.efficiency = std::min(1.0, tried.efficiency);
        }
        const double result = badness(rows, tried, start);
        if (result < best - 1e-9) {
          best = result;
          fitted = tried;
          better = true;
        }
      }
    }
    if (!better) break;
  }
  return fitted;
}

std::string author(const std::string& source) {
  return source.substr(0, source.find(':'));
}

}  // namespace

std::vector<SourceScore> leave_one_source_out(const Scoring& scoring,
                                              SourceLevel level) {
  const auto source_of = [&](const ScoredRow& row) {
    return level == SourceLevel::kAuthor ? author(row.row.source)
                                         : row.row.source;
  };
  std::vector<SourceScore> scores;
  for (const TimingParameters& own : target::timing_classes()) {
    std::vector<std::string> sources;
    Rows rows;
    for (const ScoredRow& row : scoring.rows) {
      if (!is_fitted_kind(row)) continue;
      if (row.reading.chip.timing_class != own.id) continue;
      rows.push_back(&row);
      const std::string source = source_of(row);
      if (std::ranges::find(sources, source) == sources.end()) {
        sources.push_back(source);
      }
    }
    const TimingParameters start = of_other_classes(own);
    for (const std::string& source : sources) {
      Rows others;
      Rows left_out;
      for (const ScoredRow* row : rows) {
        (source_of(*row) == source ? left_out : others).push_back(row);
      }
      const TimingParameters fitted = fit(others, start);
      std::vector<double> with;
      std::vector<double> without;
      for (const ScoredRow* row : left_out) {
        with.push_back(std::abs(row->error));
        without.push_back(error_of(*row, fitted));
      }
      scores.push_back({source, std::string(own.id), summarise(with),
                        summarise(without), static_cast<int>(others.size())});
    }
  }
  return scores;
}

}  // namespace aneroid::conformance
