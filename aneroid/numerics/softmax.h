// Softmax of a row as the engine's parts make it.
#pragma once

#include <cstddef>

namespace aneroid::numerics {

// dst[i] = exp(a[i] - max) / sum, n >= 1; values as in elementwise.h; dst may
// be a. The difference is rounded to fp16, exp and the reciprocal come from
// their tables, the sum is one of the multiply-accumulate unit (units of
// 2^-16), rounded to fp16 where the reciprocal's table is read, and the product
// rounds once.
//
// An inference from the parts that were measured: the engine's softmax as a
// whole was not (rule N19).
void softmax(const float* a, float* dst, size_t n);

}  // namespace aneroid::numerics
