#include "aneroid/infer/sampler.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace aneroid::infer {

Status check(const SamplerOptions& options) {
  const auto bad = [](const char* flag, double value, const char* range) {
    return fail(ErrorKind::kUsage, "sampler", flag,
                fmt::format("is {}; {}", value, range));
  };
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    return bad("--temperature", options.temperature,
               "0 (greedy) or more is needed");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    return bad("--top-p", options.top_p, "above 0 and at most 1 is needed");
  }
  if (options.top_k < 0) {
    return bad("--top-k", static_cast<double>(options.top_k),
               "0 (all) or more is needed");
  }
  return {};
}

Sampler::Sampler(const SamplerOptions& options, std::vector<bool> allowed)
    : options_(options), allowed_(std::move(allowed)), random_(options.seed) {}

int32_t Sampler::choose(std::span<const float> logits) {
  size_t first = 0;
  while (!is_allowed(first)) ++first;
  auto best = static_cast<int32_t>(first);
  for (size_t i = first + 1; i < logits.size(); ++i) {
    const float top = logits[static_cast<size_t>(best)];
    if (!is_allowed(i)) continue;
    if (logits[i] > top || std::isnan(top)) best = static_cast<int32_t>(i);
  }
  if (options_.temperature == 0) return best;

  const double top = logits[static_cast<size_t>(best)];
  candidates_.clear();
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - top) / options_.temperature);
    if (!(weight > 0) || !is_allowed(i)) continue;  // NaN as well
    candidates_.push_back({static_cast<int32_t>(i), weight});
    total += weight;
  }
  if (candidates_.empty()) return best;
  const bool cut = options_.top_k > 0 || options_.top_p < 1;
  if (cut) {
    std::sort(candidates_.begin(), candidates_.end(),
              [](const Candidate& a, const Candidate& b) {
                return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
              });
    if (options_.top_k > 0 &&
        candidates_.size() > static_cast<size_t>(options_.top_k)) {
      candidates_.resize(static_cast<size_t>(options_.top_k));
      total = 0;
      for (const Candidate& c : candidates_) total += c.weight;
    }
    double mass = 0;
    size_t kept = 0;
    while (kept < candidates_.size() && mass < options_.top_p * total) {
      mass += candidates_[kept++].weight;
    }
    candidates_.resize(std::max<size_t>(1, kept));
    total = 0;
    for (const Candidate& c : candidates_) total += c.weight;
  }
  double point = random_.uniform() * total;
  for (const Candidate& c : candidates_) {
    point -= c.weight;
    if (point < 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace aneroid::infer
