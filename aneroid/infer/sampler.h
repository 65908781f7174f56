// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/random.h"

namespace aneroid::infer {

struct SamplerOptions {
  double temperature = 0.8;  // 0: greedy
  int64_t top_k = 0;         // keep the k most likely; 0: all
  double top_p = 0.95;       // keep the smallest set with this mass; 1: all
  uint64_t seed = 42;
};

// Error (usage) names the option that is out of range.
Status check(const SamplerOptions& options);

// Deterministic for a seed. Thread-compatible.
class Sampler {
 public:
  // Never chooses an id whose place in `allowed` is false; empty allows all.
  explicit Sampler(const SamplerOptions& options,
                   std::vector<bool> allowed = {});
  // Index of the chosen logit; the lowest index wins ties when greedy.
  // `logits` must hold one that is allowed; NaN counts as never chosen.
  int32_t choose(std::span<const float> logits);

 private:
  struct Candidate {
    int32_t id;
    double weight;
  };
  bool is_allowed(size_t id) const { return allowed_.empty() || allowed_[id]; }

  SamplerOptions options_;
  std::vector<bool> allowed_;
  Random random_;
  std::vector<Candidate> candidates_;
};

}  // namespace aneroid::infer
