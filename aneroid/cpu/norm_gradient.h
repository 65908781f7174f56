// The gradient of an RMSNorm's gain.
#pragma once

#include <cstdint>

#include "aneroid/cpu/gemm.h"

namespace aneroid::cpu {

// Both matrices are [channels, columns] with col_stride 1.
struct NormGain {
  ConstMatrix dxn;
  ConstMatrix x;
  int64_t channels = 0;
  int64_t columns = 0;
  double epsilon = 0;
};

// Of xn = gain x r, r[t] = (mean over c of x[c, t]^2 + epsilon)^-1/2:
//   result[c] = sum over t of dxn[c, t] x[c, t] r[t]     (+ result[c] if `add`)
// Sums in fp64, their order depends on `columns` and the instruction set only.
// One thread.
void norm_gain_gradient(const NormGain& of, bool add, float* result);

// The plain definition, element by element. For tests.
void norm_gain_gradient_plain(const NormGain& of, bool add, float* result);

}  // namespace aneroid::cpu
