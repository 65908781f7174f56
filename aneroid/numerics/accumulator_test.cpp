#include "aneroid/numerics/accumulator.h"

#include <cmath>

#include <gtest/gtest.h>

#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

Half half(double value) { return to_half_even(value); }
constexpr Half kInfinity{0x7C00};
constexpr Half kMinusInfinity{0xFC00};
const double kUnit = std::ldexp(1.0, -16);

// x w summed over one or more pairs, as the engine returns it.
template <typename... Pairs>
double sum(Accumulator accumulator, Pairs... pairs) {
  (accumulator.add(half(pairs.first), half(pairs.second)), ...);
  return static_cast<double>(to_float(accumulator.result()));
}
using Pair = std::pair<double, double>;

TEST(Decode, SpecialPatternsAreNumbers) {
  EXPECT_EQ(decode({0x7C00}), 65536.0F);
  EXPECT_EQ(decode({0xFC00}), -65536.0F);
  EXPECT_EQ(decode({0x7E00}), 98304.0F);
  EXPECT_EQ(decode({0x7FFF}), 131008.0F);
  EXPECT_EQ(decode({0x7C01}), decode({0x7E01})) << "the quiet bit is set";
  EXPECT_FALSE(std::signbit(decode({0x8000}))) << "-0 reads as +0";
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const Half value{static_cast<uint16_t>(bits)};
    ASSERT_EQ(decode(value), to_float(value));
    ASSERT_EQ(encode(static_cast<double>(decode(value))), value);
  }
}

TEST(Encode, RoundsHalfAwayAndNeverToMinusZero) {
  EXPECT_EQ(encode(2049.0), half(2050.0));
  EXPECT_EQ(encode(-2049.0), half(-2050.0));
  EXPECT_EQ(encode(65519.0), half(65504.0));
  EXPECT_EQ(encode(65520.0), kInfinity);
  EXPECT_EQ(encode(-1e-9).bits, 0);
  EXPECT_EQ(encode(std::ldexp(1.0, -25)), Half{1}) << "a tie at the bottom";
}

TEST(AlignedProduct, IsKeptOrDroppedByExponents) {
  // Exponents -8 and -8: kept, one unit. -9 and -8: dropped at any mantissa.
  EXPECT_EQ(aligned_product(half(std::ldexp(1, -8)), half(std::ldexp(1, -8))),
            1);
  EXPECT_EQ(aligned_product(half(1.99 * std::ldexp(1, -9)),
                            half(1.99 * std::ldexp(1, -8))),
            0)
      << "1.98 units, and yet dropped";
  // Subnormal numbers count as exponent -14, whatever their value.
  const Half smallest{1};
  EXPECT_EQ(aligned_product(smallest, half(0.25)), 0);
  EXPECT_EQ(aligned_product({0x0200}, half(1.0)), 2) << "2^-15 is two units";
  EXPECT_EQ(aligned_product({0x0080}, half(1.0)), 1) << "half a unit, kept";
  EXPECT_EQ(aligned_product({0x0080}, half(0.24)), 0);
}

TEST(AlignedProduct, RoundsHalfAwayFromZero) {
  const double unit_root = std::ldexp(1, -8);
  EXPECT_EQ(aligned_product(half(1.5 * unit_root), half(unit_root)), 2);
  EXPECT_EQ(aligned_product(half(-1.5 * unit_root), half(unit_root)), -2);
  EXPECT_EQ(aligned_product(half(2.5 * unit_root), half(unit_root)), 3);
  EXPECT_EQ(aligned_product(half(1.25 * unit_root), half(unit_root)), 1);
}

TEST(Accumulator, OverflowsAtAnyPartialSumAndStays) {
  EXPECT_EQ(sum({}, Pair{32736, 1}), 32736);
  EXPECT_EQ(sum({}, Pair{32752, 1}, Pair{15, 1}), 32768) << "legal: 32767";
  Accumulator sticky;
  sticky.add(half(32752), half(1));
  sticky.add(half(16), half(1));
  EXPECT_TRUE(sticky.overflowed());
  sticky.add(half(-32752), half(1));
  EXPECT_EQ(sticky.result(), kInfinity);
  Accumulator negative;
  negative.add(half(-32768), half(1));
  EXPECT_EQ(negative.result(), kMinusInfinity) << "-32768 overflows too";
  // The bias takes part.
  EXPECT_EQ(sum(Accumulator(half(-16384)), Pair{16384, 1}, Pair{16384, 1}),
            16384);
  EXPECT_EQ(Accumulator(half(-32768)).result(), kMinusInfinity);
}

TEST(Accumulator, BiasIsRoundedToAUnit) {
  EXPECT_EQ(sum(Accumulator(half(kUnit / 16)), Pair{kUnit, 1}), kUnit);
  EXPECT_EQ(sum(Accumulator(half(kUnit / 2)), Pair{kUnit / 2, 1}), 2 * kUnit);
}

TEST(IntegerAccumulator, ScalesAfterTheSum) {
  IntegerAccumulator sum;
  for (int i = 0; i < 16384; ++i) sum.add(127, 127);
  EXPECT_EQ(to_float(sum.result(std::ldexp(1, -12))), 64512.0F);
  IntegerAccumulator large;
  for (int i = 0; i < 131072; ++i) large.add(-128, -128);
  EXPECT_EQ(large.sum(), int64_t{1} << 31);
  EXPECT_EQ(large.result(std::ldexp(1, -30)), kInfinity);
  large.add(-128, 127);
  EXPECT_NE(large.result(std::ldexp(1, -30)), kInfinity)
      << "only the end counts";
}

TEST(Quantize, RoundsHalfAwayAndSaturates) {
  EXPECT_EQ(quantize(half(0.5), 1.0), 1);
  EXPECT_EQ(quantize(half(-0.5), 1.0), -1);
  EXPECT_EQ(quantize(half(-1.5), 1.0), -2);
  EXPECT_EQ(quantize(half(300), 1.0), 127);
  EXPECT_EQ(quantize(kMinusInfinity, 1.0), -128);
}

}  // namespace
}  // namespace aneroid::numerics
