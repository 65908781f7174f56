#include "aneroid/numerics/decode.h"

#include <cmath>

namespace aneroid::numerics {

float decode(Half value) {
  constexpr int kSpecial = 31;
  constexpr int kMantissaBits = 10;
  constexpr int kQuiet = 0x200;
  const int exponent = (value.bits >> kMantissaBits) & kSpecial;
  if (exponent != kSpecial) return to_float(value) + 0.0F;  // -0 + 0 is +0
  int mantissa = value.bits & 0x3FF;
  if (mantissa != 0) mantissa |= kQuiet;
  const float magnitude =
      kInfinityValue * (1.0F + static_cast<float>(mantissa) / 1024.0F);
  return (value.bits & 0x8000) != 0 ? -magnitude : magnitude;
}

Half encode(double value) {
  const Half half = to_half_away(value);
  return (half.bits & 0x7FFF) == 0 ? Half{0} : half;
}

float written(double value) { return decode(encode(value)); }

}  // namespace aneroid::numerics
