#include "aneroid/cpu/norms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

double plain(const std::vector<Half>& data, int64_t rows, int64_t columns,
             int64_t row_stride, int64_t col_stride) {
  double largest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < columns; ++j) {
      const auto at = static_cast<size_t>(i * row_stride + j * col_stride);
      const double value = to_float(data[at]);
      sum += value * value;
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

TEST(Norms, LargestSquareSumOfEitherLayout) {
  Random random(3);
  for_each_target([&] {
    for (const int64_t rows : {0, 1, 5, 64, 77, 256}) {
      for (const int64_t columns : {0, 1, 7, 16, 64, 67}) {
        const int64_t wide = std::max(rows, columns) + 3;
        std::vector<Half> data(
            static_cast<size_t>(wide * std::max(rows, columns)) + 1);
        for (Half& value : data) value = to_half_even(random.normal());
        for (const bool turned : {false, true}) {
          const int64_t row = turned ? 1 : wide;
          const int64_t col = turned ? wide : 1;
          const double want = plain(data, rows, columns, row, col);
          EXPECT_NEAR(largest_square_sum(data.data(), rows, columns, row, col),
                      want, 1e-5 * want)
              << rows << "x" << columns << (turned ? " turned" : "");
        }
      }
    }
  });
}

// One value that is not finite, anywhere, shows; whatever else is there.
TEST(Norms, WhatIsNotFiniteShows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for_each_target([&] {
    for (const float bad : {kInfinity, -kInfinity, NAN, -NAN}) {
      for (size_t at = 0; at < 70 * 9; at += 31) {
        std::vector<Half> data(70 * 9, to_half_even(60000.0));
        data[at] = to_half_even(static_cast<double>(bad));
        EXPECT_FALSE(
            std::isfinite(largest_square_sum(data.data(), 70, 9, 9, 1)));
        EXPECT_FALSE(
            std::isfinite(largest_square_sum(data.data(), 70, 9, 1, 70)));
        data[at] = to_half_even(1.0);
        EXPECT_TRUE(
            std::isfinite(largest_square_sum(data.data(), 70, 9, 9, 1)));
      }
    }
  });
}

}  // namespace
}  // namespace aneroid::cpu
