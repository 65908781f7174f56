// The optimizer's loops over fp32 arrays, at the speed of memory.
#pragma once

#include <cstddef>

namespace aneroid::cpu {

struct AdamW {
  float lr = 0.0F;
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float eps = 1e-8F;
  float weight_decay = 0.0F;      // decoupled
  float bias_correction1 = 1.0F;  // 1 - beta1^t
  float bias_correction2 = 1.0F;  // 1 - beta2^t
  float grad_scale = 1.0F;        // multiplies g on the way in
};

// g' = g * grad_scale;  m = beta1 m + (1 - beta1) g';
// v = beta2 v + (1 - beta2) g'^2;
// w -= lr * ((m / bc1) / (sqrt(v / bc2) + eps) + weight_decay * w)
// over n values each; the arrays must not overlap. One thread.
void adamw_update(float* w, float* m, float* v, const float* g, size_t n,
                  const AdamW& options);

// In fp64; the order of the sum depends on n only. NaN and infinity show.
double sum_of_squares(const float* values, size_t n);

}  // namespace aneroid::cpu
