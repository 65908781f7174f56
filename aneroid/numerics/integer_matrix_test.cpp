#include "aneroid/numerics/integer_matrix.h"

#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/numerics/accumulator.h"

namespace aneroid::numerics {
namespace {

TEST(IntegerProduct, EqualsTheAccumulator) {
  Random random(1);
  const cpu::GemmShape shape{19, 23, 301};
  std::vector<float> a(19 * 301);
  std::vector<Half> b(301 * 23);
  for (float& value : a) value = static_cast<float>(random.below(256)) - 128;
  for (Half& value : b) {
    value = to_half_even(static_cast<double>(random.below(256)) - 128);
  }
  const double scale = 0.01;
  std::vector<Half> got(19 * 23);
  cpu::ThreadPool pool(2);
  integer_product(pool, shape, {a.data(), cpu::Storage::kFloat, 301, 1},
                  {b.data(), cpu::Storage::kHalf, 23, 1},
                  {got.data(), cpu::Storage::kHalf, 23, 1}, scale);
  for (size_t m = 0; m < 19; ++m) {
    for (size_t n = 0; n < 23; ++n) {
      IntegerAccumulator sum;
      for (size_t k = 0; k < 301; ++k) {
        sum.add(static_cast<int8_t>(a[m * 301 + k]),
                static_cast<int8_t>(to_float(b[k * 23 + n])));
      }
      ASSERT_EQ(got[m * 23 + n], sum.result(scale)) << m << ' ' << n;
    }
  }
}

TEST(IntegerProduct, OverflowsAtThirtyTwoBits) {
  const std::vector<float> least(131073, -128.0F);
  std::vector<Half> got(1);
  cpu::ThreadPool pool(1);
  const auto result = [&](int64_t depth) {
    integer_product(pool, {1, 1, depth},
                    {least.data(), cpu::Storage::kFloat, depth, 1},
                    {least.data(), cpu::Storage::kFloat, 1, 1},
                    {got.data(), cpu::Storage::kHalf, 1, 1}, 1.0 / (1 << 20));
    return got[0];
  };
  EXPECT_EQ(to_float(result(131071)), 2048.0F);
  EXPECT_EQ(result(131072).bits, 0x7C00);
}

}  // namespace
}  // namespace aneroid::numerics
