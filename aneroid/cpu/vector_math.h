// Element-wise arithmetic and row reductions on fp32 arrays: the words of the
// engine's fused interpreter. Vector code chosen for the CPU at run time.
//
// `dst` may be the same array as an operand. exp, log, tanh, sigmoid, erf and
// what is made of them are within 4e-7 relative of the exact value (gelu 1e-6;
// 5e-6 in its far tail on CPUs without fused multiply-add; see the test); the
// rest is rounded once. NaN propagates. silu and gelu of -inf are NaN, as their
// formulas say.
#pragma once

#include <cstddef>
#include <cstdint>

namespace aneroid::cpu {

enum class UnaryOp : uint8_t {
  kCopy,
  kSqrt,
  kRsqrt,
  kExp,
  kLog,
  kAbs,
  kSquare,
  kSigmoid,
  kSilu,
  kTanh,
  kRelu,
  kGelu,
  kErf,
  kNeg,
  kReciprocal,
};
enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kDiv, kMax, kMin, kPow };

// An array of n values, or one value for all.
struct Operand {
  const float* data = nullptr;
  bool one = false;
};

// With `round`, results are rounded to fp16 half away from zero (and kept as
// fp32).
//
// dst[i] = op(a[i])
void apply(UnaryOp op, const float* a, float* dst, size_t n,
           bool round = false);
// dst[i] = a[i] op b[i]. pow follows std::pow; the exponents -1, -1/2, 1/2, 1
// and 2 as a single value are fast.
void apply(BinaryOp op, Operand a, Operand b, float* dst, size_t n,
           bool round = false);

// Sums in fp64; the order depends on n only.
double row_sum(const float* a, size_t n);
// NaN when any value is; -inf when n is 0.
float row_max(const float* a, size_t n);
// dst[i] = exp(a[i] - max) / sum, the sum in fp64. A row of -inf gives NaN.
void row_softmax(const float* a, float* dst, size_t n, bool round = false);

}  // namespace aneroid::cpu
