// The multiply-accumulate unit of the engine, one sum at a time: the
// definition that the vector code (matrix.h) is tested against.
//
// A sum is a 32-bit fixed-point number with 16 bits after the point. Values
// are counted here in its unit, 2^-16.
#pragma once

#include <cstdint>

#include "aneroid/base/half.h"

namespace aneroid::numerics {

// A magnitude of 2^15 is too large for the accumulator. In units.
inline constexpr int64_t kAccumulatorLimit = int64_t{1} << 31;
// Products whose factors have exponents with a smaller sum are dropped.
inline constexpr int kLeastExponentSum = -16;

// The exponent of a decoded number as that rule counts it: at least -14. Not
// of 0.
int counted_exponent(float value);

// x w as the accumulator receives it, in units of 2^-16. Whether a product is
// dropped is decided by the exponents of its factors, where subnormal numbers
// count as -14, not by its size; one that is kept is rounded half away from
// zero. Rule N03.
int64_t aligned_product(Half x, Half w);

class Accumulator {
 public:
  Accumulator() = default;
  // Starts from a bias, rounded half away from zero. Rule N05.
  explicit Accumulator(Half bias);

  // As soon as the sum reaches 2^15 in magnitude it becomes an infinity of
  // that sign and stays one. Rule N02.
  void add(Half x, Half w) { add_units(aligned_product(x, w)); }
  void add_units(int64_t units);

  bool overflowed() const { return overflowed_; }
  int64_t units() const { return units_; }
  // Half away from zero, rule N06. A sum above 32752 becomes 32768.
  Half result() const;

 private:
  int64_t units_ = 0;  // where it overflowed, once it has
  bool overflowed_ = false;
};

// W8A8: a sum of int8 products in a 32-bit integer; the scale comes after it.
// From 2^31 on the result is infinity whatever the scale. Rule N09. The sign of
// an infinity below -2^31, and the rounding of the scaled sum at ties (half
// away from zero is assumed), were not measured.
class IntegerAccumulator {
 public:
  explicit IntegerAccumulator(int64_t sum = 0) : sum_(sum) {}
  void add(int8_t x, int8_t w) { sum_ += int64_t{x} * w; }
  int64_t sum() const { return sum_; }
  // `scale` is that of the activations times that of the weights.
  Half result(double scale) const;

 private:
  int64_t sum_;
};

// fp16 to int8: value / scale, rounded half away from zero, limited to
// [-128, 127]. Rule N09.
int8_t quantize(Half value, double scale);

}  // namespace aneroid::numerics
