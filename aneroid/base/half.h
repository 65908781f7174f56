// IEEE half precision (fp16), one value at a time: the plain definitions.
// Arrays are converted in aneroid/cpu/convert.h, tested against these.
#pragma once

#include <cstdint>

namespace aneroid {

// Storage of one fp16 value.
struct Half {
  uint16_t bits = 0;
  friend bool operator==(Half, Half) = default;
};

inline constexpr float kHalfMax = 65504.0F;

// Exact: every fp16 value is an fp32 value.
float to_float(Half value);

// Round half away from zero, as the engine's output does (rule N06).
// Subnormals are kept; magnitudes of 65520 and more become infinity;
// NaN stays NaN.
Half to_half_away(double value);
// Round to nearest, ties to even: what files and literals use.
Half to_half_even(double value);

}  // namespace aneroid
