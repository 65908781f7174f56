#include "aneroid/cpu/convert.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/cpu/half_bits.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool is_nan(Half h) { return (h.bits & 0x7FFF) > 0x7C00; }

std::vector<Half> all_halves() {
  std::vector<Half> halves(65536);
  for (uint32_t i = 0; i < 65536; ++i) {
    halves[i].bits = static_cast<uint16_t>(i);
  }
  return halves;
}

// Every fp16 value, every midpoint between neighbours, the floats next to
// both, and random bit patterns.
std::vector<float> hard_floats() {
  std::vector<float> values = {
      kInf,   -kInf,   kNan,     -kNan,           65519.996F,     65520.0F,
      1e-45F, -1e-45F, 0x1p-25F, 0x1.000002p-25F, 0x1.fffffep-26F};
  values.push_back(std::bit_cast<float>(0x7F800001U));  // signalling NaN
  for (uint32_t i = 0; i < 0x7C00; ++i) {
    const double low =
        static_cast<double>(to_float(Half{static_cast<uint16_t>(i)}));
    const double high =
        i + 1 == 0x7C00
            ? 65536.0
            : static_cast<double>(to_float(Half{static_cast<uint16_t>(i + 1)}));
    for (const double point : {low, (low + high) / 2}) {
      const auto value = static_cast<float>(point);
      for (const float each :
           {value, std::nextafter(value, kInf), std::nextafter(value, -kInf)}) {
        values.push_back(each);
        values.push_back(-each);
      }
    }
  }
  std::mt19937 random(7);
  for (int i = 0; i < 300000; ++i) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  }
  return values;
}

TEST(Convert, ToFloatIsExactForAllHalves) {
  for_each_target([] {
    const std::vector<Half> halves = all_halves();
    std::vector<float> floats(halves.size());
    to_float(halves.data(), floats.data(), halves.size());
    for (size_t i = 0; i < halves.size(); ++i) {
      const float want = aneroid::to_float(halves[i]);
      if (std::isnan(want)) {
        ASSERT_TRUE(std::isnan(floats[i])) << i;
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]),
                  std::bit_cast<uint32_t>(want))
            << i;
      }
    }
  });
}

TEST(Convert, ToHalfRoundsHalfAwayFromZero) {
  for_each_target([] {
    const std::vector<float> floats = hard_floats();
    std::vector<Half> halves(floats.size());
    to_half(floats.data(), halves.data(), floats.size());
    for (size_t i = 0; i < floats.size(); ++i) {
      const Half want = to_half_away(static_cast<double>(floats[i]));
      const Half one = round_half_away(floats[i]);
      if (std::isnan(floats[i])) {
        ASSERT_TRUE(is_nan(halves[i]) && is_nan(one));
      } else {
        ASSERT_EQ(halves[i].bits, want.bits) << floats[i];
        ASSERT_EQ(one.bits, want.bits) << floats[i];
      }
    }
  });
}

TEST(Convert, RoundToHalfGoesThereAndBack) {
  for_each_target([] {
    std::vector<float> floats = hard_floats();
    std::vector<float> rounded(floats.size());
    round_to_half(floats.data(), rounded.data(), floats.size());
    for (size_t i = 0; i < floats.size(); ++i) {
      const float want =
          aneroid::to_float(to_half_away(static_cast<double>(floats[i])));
      if (std::isnan(floats[i])) {
        ASSERT_TRUE(std::isnan(rounded[i]));
      } else {
        ASSERT_EQ(std::bit_cast<uint32_t>(rounded[i]),
                  std::bit_cast<uint32_t>(want));
      }
    }
    round_to_half(floats.data(), floats.data(), floats.size());  // in place
    for (size_t i = 0; i < floats.size(); ++i) {
      if (std::isnan(rounded[i])) continue;
      ASSERT_EQ(floats[i], rounded[i]);
    }
  });
}

TEST(Convert, TransposesWhileRounding) {
  for_each_target([] {
    const std::vector<float> floats = hard_floats();
    // Whole squares, and edges on either side.
    for (const auto& [rows, columns] :
         {std::pair<size_t, size_t>{64, 96}, {33, 40}, {7, 70}, {1, 1}}) {
      const size_t src_stride = columns + 3;
      const size_t dst_stride = rows + 5;
      std::vector<Half> got(columns * dst_stride, Half{0x1234});
      to_half_transposed(floats.data() + 11, src_stride, got.data(), dst_stride,
                         rows, columns);
      for (size_t j = 0; j < columns; ++j) {
        for (size_t i = 0; i < dst_stride; ++i) {
          const float value = floats[11 + i * src_stride + j];
          const Half have = got[j * dst_stride + i];
          if (i >= rows) {
            ASSERT_EQ(have.bits, 0x1234);
          } else if (std::isnan(value)) {
            ASSERT_TRUE(is_nan(have));
          } else {
            ASSERT_EQ(have.bits, round_half_away(value).bits) << value;
          }
        }
      }
    }
  });
}

TEST(Convert, EveryLengthTouchesOnlyItsElements) {
  for_each_target([] {
    for (size_t n = 0; n < 70; ++n) {
      std::vector<float> floats(n + 1, 1.5F);
      std::vector<Half> halves(n + 1, Half{0x1234});
      to_half(floats.data(), halves.data(), n);
      for (size_t i = 0; i < n; ++i) ASSERT_EQ(halves[i].bits, 0x3E00);
      ASSERT_EQ(halves[n].bits, 0x1234);
      floats.assign(n + 1, 9.0F);
      to_float(halves.data(), floats.data(), n);
      for (size_t i = 0; i < n; ++i) ASSERT_EQ(floats[i], 1.5F);
      ASSERT_EQ(floats[n], 9.0F);
      round_to_half(floats.data(), floats.data(), n);
      ASSERT_EQ(floats[n], 9.0F);
    }
  });
}

TEST(Convert, AllFinite) {
  for_each_target([] {
    for (const size_t n : {1UL, 15UL, 16UL, 100UL, 4096UL, 5001UL}) {
      std::vector<float> floats(n, -3.4e38F);
      std::vector<Half> halves(n, Half{0xFBFF});
      EXPECT_TRUE(all_finite(floats.data(), n));
      EXPECT_TRUE(all_finite(halves.data(), n));
      for (const size_t at : {size_t{0}, n / 2, n - 1}) {
        for (const float bad : {kInf, -kInf, kNan, -kNan}) {
          floats[at] = bad;
          halves[at] = to_half_even(static_cast<double>(bad));
          EXPECT_FALSE(all_finite(floats.data(), n)) << n << ' ' << at;
          EXPECT_FALSE(all_finite(halves.data(), n)) << n << ' ' << at;
        }
        floats[at] = 0;
        halves[at] = Half{};
      }
    }
    EXPECT_TRUE(all_finite(static_cast<const float*>(nullptr), 0));
  });
}

TEST(Convert, NamesItsTarget) {
  EXPECT_FALSE(std::string(simd_target()).empty());
}

}  // namespace
}  // namespace aneroid::cpu
