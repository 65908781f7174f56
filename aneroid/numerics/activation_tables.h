// The knots of the activation functions. Internal to this folder, and read by
// aneroid/conformance.
#pragma once

#include <span>

#include "aneroid/base/half.h"
#include "aneroid/numerics/activation.h"

namespace aneroid::numerics {

// Knot k stands at first + k step of the reduced argument. Functions that
// share a table (exp and exp2, inverse and reciprocal, sin and cos) return the
// same one.
struct KnotTable {
  double first = 0;
  double step = 0;
  std::span<const Half> knots;

  double last() const {
    return first + step * static_cast<double>(knots.size() - 1);
  }
  double at(size_t k) const { return static_cast<double>(to_float(knots[k])); }
};
const KnotTable& knot_table(Function function);

// Beyond the last knot some tables go on as a straight line,
// fp16(intercept + fp16(slope |x|)), until it meets the function's limit.
struct Tail {
  double intercept = 0;
  double slope = 0;
};
inline constexpr Tail kSigmoidTail{1806 * 0x1p-20, -1454 * 0x1p-23};
inline constexpr Tail kErfTail{1987 * 0x1p-11, 1635 * 0x1p-17};
inline constexpr Tail kSiluTail{-1429 * 0x1p-17, 1120 * 0x1p-20};

}  // namespace aneroid::numerics
