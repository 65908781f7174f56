#include "aneroid/conformance/timing_score.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace aneroid::conformance {
namespace {

constexpr std::string_view kKinds[] = {"conv", "matmul", "elementwise"};

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  const double share = at - static_cast<double>(low);
  return sorted[low] * (1 - share) + sorted[high] * share;
}

// Groups in order of first appearance.
class Groups {
 public:
  void add(const std::string& chip, const std::string& kind, double error) {
    const auto key = std::pair(chip, kind);
    if (!errors_.contains(key)) order_.push_back(key);
    errors_[key].push_back(std::abs(error));
  }
  std::vector<ScoreGroup> groups() const {
    std::vector<ScoreGroup> result;
    for (const auto& key : order_) {
      result.push_back({key.first, key.second, summarise(errors_.at(key))});
    }
    return result;
  }

 private:
  std::vector<std::pair<std::string, std::string>> order_;
  std::map<std::pair<std::string, std::string>, std::vector<double>> errors_;
};

std::vector<ScoreGroup> by_main_kind(const Scoring& scoring,
                                     std::string_view target::Chip::*chip) {
  Groups groups;
  for (const std::string_view kind : kKinds) {
    for (const ScoredRow& row : scoring.rows) {
      if (row.reading.verdict == Verdict::kRead && row.reading.kind == kind) {
        groups.add(std::string(row.reading.chip.*chip), std::string(kind),
                   row.error);
      }
    }
  }
  for (const ScoredRow& row : scoring.rows) {
    if (row.reading.verdict == Verdict::kRead &&
        std::ranges::find(kKinds, row.reading.kind) != std::end(kKinds)) {
      groups.add(std::string(row.reading.chip.*chip), "all", row.error);
    }
  }
  std::vector<ScoreGroup> sorted = groups.groups();
  std::ranges::stable_sort(sorted, {}, &ScoreGroup::chip);
  return sorted;
}

}  // namespace

ErrorSummary summarise(std::vector<double> errors) {
  if (errors.empty()) return {};
  std::ranges::sort(errors);
  return {static_cast<int>(errors.size()), quantile(errors, 0.5),
          quantile(errors, 0.9)};
}

Result<Scoring> score(const CsvTable& table) {
  ANEROID_ASSIGN(const std::vector<TimingRow> rows, timing_rows(table));
  Scoring scoring;
  for (const TimingRow& row : rows) {
    ScoredRow scored;
    scored.row = row;
    scored.reading = read_row(row);
    if (scored.reading.verdict == Verdict::kRead) {
      ANEROID_ASSIGN(const auto parameters,
                     target::timing_parameters(scored.reading.chip));
      scored.predicted_us = predicted_us(scored.reading, parameters);
      scored.error = std::log(scored.predicted_us / scored.reading.measured_us);
    }
    scoring.rows.push_back(std::move(scored));
  }
  return scoring;
}

size_t Scoring::count(Verdict verdict) const {
  return static_cast<size_t>(std::ranges::count_if(
      rows,
      [&](const ScoredRow& row) { return row.reading.verdict == verdict; }));
}

std::vector<ScoreGroup> Scoring::by_op_kind() const {
  Groups groups;
  for (const ScoredRow& row : rows) {
    if (row.reading.verdict == Verdict::kRead) {
      groups.add(row.row.chip, row.row.op_kind, row.error);
    }
  }
  return groups.groups();
}

std::vector<ScoreGroup> Scoring::by_kind() const {
  return by_main_kind(*this, &target::Chip::name);
}
std::vector<ScoreGroup> Scoring::by_class() const {
  return by_main_kind(*this, &target::Chip::timing_class);
}

}  // namespace aneroid::conformance
