#include "aneroid/cpu/normal.h"

#include <bit>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

// Whole blocks and parts of them, one after another.
TEST(FillNormal, IsTheSeriesOfRandomNormalBitForBit) {
  for_each_target([&] {
    for (const double deviation : {0.02, 1.0, 3e-5}) {
      Random plain(7);
      Random random(7);
      for (const size_t n : {0UL, 1UL, 511UL, 512UL, 513UL, 20000UL}) {
        std::vector<float> values(n + 1, 5.0F);
        fill_normal(random, deviation, values.data(), n);
        for (size_t i = 0; i < n; ++i) {
          const auto want = static_cast<float>(deviation * plain.normal());
          ASSERT_EQ(std::bit_cast<uint32_t>(values[i]),
                    std::bit_cast<uint32_t>(want))
              << i << " of " << n;
        }
        EXPECT_EQ(values[n], 5.0F);
        EXPECT_EQ(random.state(), plain.state());
      }
    }
  });
}

// States whose next value is the wanted one: the generator's first word of
// output is a bijection of its second word of state.
Random about_to_give(uint64_t first) {
  constexpr uint64_t kInverse5 = 0xCCCCCCCCCCCCCCCDU;
  constexpr uint64_t kInverse9 = 0x8E38E38E38E38E39U;
  Random random;
  random.set_state(
      {1, std::rotr(first * kInverse9, 7) * kInverse5, 0x123456789, 99});
  return random;
}

TEST(FillNormal, EndsOfTheRangeAreThoseOfTheFormula) {
  for_each_target([&] {
    for (const uint64_t first :
         {uint64_t{0}, uint64_t{1} << 11, uint64_t{3} << 12, UINT64_MAX,
          UINT64_MAX - (uint64_t{1} << 11), uint64_t{1} << 63}) {
      Random plain = about_to_give(first);
      Random random = plain;
      ASSERT_EQ(Random(plain).next(), first);
      float value = 0;
      fill_normal(random, 0.02, &value, 1);
      const auto want = static_cast<float>(0.02 * plain.normal());
      EXPECT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(want));
    }
  });
}

TEST(FillNormal, IsNormal) {
  std::vector<float> values(100000);
  Random random(1);
  fill_normal(random, 2.0, values.data(), values.size());
  double sum = 0;
  double squares = 0;
  double fourths = 0;
  for (const float value : values) {
    sum += double{value};
    squares += double{value} * value;
    fourths += std::pow(double{value}, 4);
  }
  const auto n = static_cast<double>(values.size());
  EXPECT_NEAR(sum / n, 0.0, 5 * 2.0 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 4.0, 5 * 4.0 * std::sqrt(2 / n));
  EXPECT_NEAR(fourths / n, 48.0, 5 * 16.0 * std::sqrt(96 / n));
}

}  // namespace
}  // namespace aneroid::cpu
