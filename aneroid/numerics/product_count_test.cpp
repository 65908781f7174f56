#include "aneroid/numerics/product_count.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

TEST(CountProducts, AgreesWithTheProductsOneByOne) {
  Random random(1);
  std::vector<Half> a(9 * 20);
  std::vector<Half> b(20 * 11);
  for (auto* values : {&a, &b}) {
    for (Half& value : *values) {
      value.bits =
          random.below(8) == 0 ? 0 : static_cast<uint16_t>(random.next());
    }
  }
  int64_t zero = 0;
  int64_t dropped = 0;
  for (int64_t m = 0; m < 9; ++m) {
    for (int64_t n = 0; n < 11; ++n) {
      for (int64_t k = 0; k < 20; ++k) {
        const Half x = a[static_cast<size_t>(m * 20 + k)];
        const Half w = b[static_cast<size_t>(k * 11 + n)];
        if (decode(x) == 0 || decode(w) == 0) {
          ++zero;
          continue;
        }
        const int sum = std::max(-14, std::ilogb(decode(x))) +
                        std::max(-14, std::ilogb(decode(w)));
        dropped += sum < kLeastExponentSum ? 1 : 0;
        if (sum < kLeastExponentSum) {
          EXPECT_EQ(aligned_product(x, w), 0);
        }
      }
    }
  }
  const ProductCount count =
      count_products({9, 11, 20}, {a.data(), cpu::Storage::kHalf, 20, 1},
                     {b.data(), cpu::Storage::kHalf, 11, 1});
  EXPECT_EQ(count.total(), 9 * 11 * 20);
  EXPECT_EQ(count.zero, zero);
  EXPECT_EQ(count.dropped(), dropped);
  EXPECT_GT(dropped, 0);
}

}  // namespace
}  // namespace aneroid::numerics
