// The matrix products of a training step, as numbers: for benchmarks and for
// counting work.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "aneroid/model/config.h"

namespace aneroid::kernels {

// C[m, n] = sum over k, `count` times per micro-step (one sequence forward and
// backward). Heads are counted one by one.
struct TrainingProduct {
  enum class Kind : uint8_t {
    kForward,    // W x, and the gradient of x, which has the same form
    kGradient,   // dy x^T, fp32
    kAttention,  // of one head
  };
  std::string name;  // "q, k, v, o"
  Kind kind = Kind::kForward;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t count = 0;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) *
           static_cast<double>(k);
  }
};

// `config` must be valid. Equal shapes share a row; the classifier is taken in
// vocabulary_tiles(), padding included.
std::vector<TrainingProduct> training_products(const model::ModelConfig& config,
                                               int64_t sequence);

// Floating point operations of one micro-step as the field counts them: 6 S per
// weight, and 12 S^2 Q per layer: attention as a full square, nothing
// recomputed.
double training_flops(const model::ModelConfig& config, int64_t sequence);

}  // namespace aneroid::kernels
