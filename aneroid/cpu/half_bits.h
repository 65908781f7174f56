// fp32 to fp16 by integer arithmetic, one value at a time: for targets without
// conversion instructions and for the ends of arrays.
#pragma once

#include <bit>
#include <cstdint>

#include "aneroid/base/half.h"

namespace aneroid::cpu {

// Equal to to_half_away(double{value}).
inline Half round_half_away(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t result = 0;
  if (magnitude > 0x7F800000) {  // NaN
    result = 0x7E00;
  } else if (magnitude >= 0x477FF000) {  // 65520 and more
    result = 0x7C00;
  } else if (magnitude >= 0x38800000) {  // normal: half a step, then cut
    result = ((magnitude + 0x1000) >> 13) - (112U << 10);
  } else if (magnitude >= 0x33000000) {  // 2^-25 and more: subnormal
    const uint32_t shift = 126 - (magnitude >> 23);
    const uint32_t mantissa = (magnitude & 0x7FFFFF) | 0x800000;
    result = (mantissa + (1U << (shift - 1))) >> shift;
  }
  return Half{static_cast<uint16_t>(sign | result)};
}

}  // namespace aneroid::cpu
