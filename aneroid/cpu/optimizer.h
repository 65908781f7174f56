// The optimizer's loops over arrays, at the speed of memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "aneroid/base/bfloat.h"

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
  uint64_t update = 0;            // t; how bf16 moments are rounded
};

// g' = g * grad_scale;  m = beta1 m + (1 - beta1) g';
// v = beta2 v + (1 - beta2) g'^2;
// w -= lr * ((m / bc1) / (sqrt(v / bc2) + eps) + weight_decay * w)
// over n values each; the arrays must not overlap. One thread.
void adamw_update(float* w, float* m, float* v, const float* g, size_t n,
                  const AdamW& options);

// Where a run of values lies: in which tensor, and where its first one is
// there.
struct RunPlace {
  uint64_t tensor = 0;
  uint64_t first = 0;
};

// The same with moments in bf16. They are widened, updated in fp32 (which is
// what w takes its step from) and rounded up or down at random, so that their
// means stay exact. To nearest, v would not follow the gradients at all: with a
// beta2 of 0.999 it changes by less than half a unit of its last place.
//
// The noise is moment_noise(): it depends on the update and on the place of the
// value alone, not on how a tensor is cut into runs.
void adamw_update(float* w, Bfloat* m, Bfloat* v, const float* g, size_t n,
                  const AdamW& options, const RunPlace& place);

// For round_to_bfloat: of both moments of the value at `place` in an update.
struct MomentNoise {
  uint16_t m;
  uint16_t v;
};
MomentNoise moment_noise(uint64_t update, const RunPlace& place);

// In fp64; the order of the sum depends on n only. NaN and infinity show.
double sum_of_squares(const float* values, size_t n);

}  // namespace aneroid::cpu
