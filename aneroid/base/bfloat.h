// bfloat16, the upper half of an fp32 value, one value at a time.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace aneroid {

// Storage of one bf16 value.
struct Bfloat {
  uint16_t bits = 0;
  friend bool operator==(Bfloat, Bfloat) = default;
};

// Exact: every bf16 value is an fp32 value.
inline float to_float(Bfloat value) {
  return std::bit_cast<float>(uint32_t{value.bits} << 16);
}

// Adds `noise` to the magnitude's lower half, then cuts that off. With noise
// drawn evenly from all 16-bit numbers the mean of the results is the value.
// Magnitudes beyond the largest finite one become it, NaN as well.
inline Bfloat round_to_bfloat(float value, uint16_t noise) {
  constexpr uint32_t kSign = 0x80000000U;
  constexpr uint32_t kMost = 0x7F7FFFFFU;
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = std::min((bits & ~kSign) + noise, kMost);
  return Bfloat{static_cast<uint16_t>(((bits & kSign) | magnitude) >> 16)};
}

// To the nearest, ties to even; otherwise as above.
inline Bfloat round_to_bfloat(float value) {
  const uint32_t odd = (std::bit_cast<uint32_t>(value) >> 16) & 1U;
  return round_to_bfloat(value, static_cast<uint16_t>(0x7FFFU + odd));
}

}  // namespace aneroid
