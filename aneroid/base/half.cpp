#include "aneroid/base/half.h"

#include <bit>
#include <cmath>

namespace aneroid {
namespace {

// Rounds |value| to a multiple of the fp16 step at its magnitude.
template <typename Round>
Half encode(double value, Round round) {
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (std::isnan(value)) return Half{static_cast<uint16_t>(sign | 0x7E00)};
  const double magnitude = std::fabs(value);
  if (magnitude >= 131072.0) return Half{static_cast<uint16_t>(sign | 0x7C00)};

  int exponent = 0;
  std::frexp(magnitude, &exponent);  // magnitude = m * 2^exponent, m in [.5, 1)
  if (exponent < -13) exponent = -13;  // subnormals share the smallest step
  const int step_exponent = exponent - 11;
  const double steps = round(std::ldexp(magnitude, -step_exponent));
  const double rounded = std::ldexp(steps, step_exponent);
  if (rounded > 65504.0) return Half{static_cast<uint16_t>(sign | 0x7C00)};

  if (rounded < 0x1p-14) {
    return Half{static_cast<uint16_t>(
        sign | static_cast<uint16_t>(std::ldexp(rounded, 24)))};
  }
  const double fraction = std::frexp(rounded, &exponent);
  const auto mantissa = static_cast<uint16_t>(std::ldexp(fraction, 11)) & 0x3FF;
  return Half{static_cast<uint16_t>(sign | ((exponent + 14) << 10) | mantissa)};
}

}  // namespace

float to_float(Half value) {
  const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000) << 16;
  const uint32_t exponent = (value.bits >> 10) & 0x1F;
  const uint32_t mantissa = value.bits & 0x3FF;
  if (exponent == 0x1F) {
    return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13));
  }
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) |
                              (mantissa << 13));
}

Half to_half_away(double value) {
  return encode(value, [](double steps) { return std::round(steps); });
}

Half to_half_even(double value) {
  return encode(value, [](double steps) { return std::nearbyint(steps); });
}

}  // namespace aneroid
