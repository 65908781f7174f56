#include "aneroid/numerics/accumulator.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

constexpr double kUnit = 65536.0;  // units per 1
constexpr int kLeastExponent = -14;

}  // namespace

int counted_exponent(float value) {
  return std::max(std::ilogb(value), kLeastExponent);
}

int64_t aligned_product(Half x, Half w) {
  const float a = decode(x);
  const float b = decode(w);
  if (a == 0.0F || b == 0.0F) return 0;
  if (counted_exponent(a) + counted_exponent(b) < kLeastExponentSum) return 0;
  // 22 significant bits: exact in fp64. llround rounds half away from zero.
  return std::llround(static_cast<double>(a) * static_cast<double>(b) * kUnit);
}

Accumulator::Accumulator(Half bias) {
  add_units(std::llround(static_cast<double>(decode(bias)) * kUnit));
}

void Accumulator::add_units(int64_t units) {
  if (overflowed_) return;
  units_ += units;
  overflowed_ = units_ >= kAccumulatorLimit || units_ <= -kAccumulatorLimit;
}

Half Accumulator::result() const {
  if (overflowed_) {
    const double infinity = std::numeric_limits<double>::infinity();
    return encode(units_ < 0 ? -infinity : infinity);
  }
  return encode(static_cast<double>(units_) / kUnit);
}

Half IntegerAccumulator::result(double scale) const {
  if (sum_ >= kAccumulatorLimit || sum_ < -kAccumulatorLimit) {
    const double infinity = std::numeric_limits<double>::infinity();
    return encode(sum_ < 0 ? -infinity : infinity);
  }
  return encode(static_cast<double>(sum_) * scale);
}

int8_t quantize(Half value, double scale) {
  const double rounded = std::round(static_cast<double>(decode(value)) / scale);
  return static_cast<int8_t>(std::clamp(rounded, -128.0, 127.0));
}

}  // namespace aneroid::numerics
