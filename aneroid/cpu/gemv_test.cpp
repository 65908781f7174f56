#include "aneroid/cpu/gemv.h"

#include <cmath>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"

namespace aneroid::cpu {
namespace {

std::vector<float> random_values(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

class GemvTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(GemvTest, MatchesThePlainSumInBothStorages) {
  const auto [rows, columns] = GetParam();
  const auto w = random_values(static_cast<size_t>(rows * columns), 1);
  const auto x = random_values(static_cast<size_t>(columns), 2);
  ThreadPool pool(2);
  for (const Storage storage : {Storage::kFloat, Storage::kHalf}) {
    const GemvMatrix matrix(w, rows, columns, storage);
    std::vector<float> y(static_cast<size_t>(rows), NAN);
    matrix.multiply(pool, x.data(), y.data());
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      double magnitude = 0;
      for (int64_t c = 0; c < columns; ++c) {
        const auto at = static_cast<size_t>(r * columns + c);
        const float weight =
            storage == Storage::kHalf ? to_float(to_half_away(w[at])) : w[at];
        const double product = double{weight} * x[static_cast<size_t>(c)];
        sum += product;
        magnitude += std::fabs(product);
      }
      EXPECT_NEAR(y[static_cast<size_t>(r)], sum, 1e-6 * magnitude + 1e-12);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemvTest,
                         testing::Values(std::pair{1, 1}, std::pair{3, 7},
                                         std::pair{33, 64}, std::pair{512, 257},
                                         std::pair{1000, 768}));

TEST(Gemv, ThreadsDoNotChangeTheResult) {
  const auto w = random_values(700 * 300, 3);
  const auto x = random_values(300, 4);
  const GemvMatrix matrix(w, 700, 300, Storage::kHalf);
  std::vector<float> one(700);
  std::vector<float> three(700);
  ThreadPool single(1);
  ThreadPool several(3);
  matrix.multiply(single, x.data(), one.data());
  matrix.multiply(several, x.data(), three.data());
  EXPECT_EQ(one, three);
}

TEST(Gemv, RowReturnsWhatIsStored) {
  const GemvMatrix matrix({1.0F, 2.5F, -3.0F, 0.1F}, 2, 2, Storage::kHalf);
  float row[2];
  matrix.row(1, row);
  EXPECT_EQ(row[0], -3.0F);
  EXPECT_EQ(row[1], to_float(to_half_away(0.1F)));
  EXPECT_EQ(matrix.bytes(), 8);
}

}  // namespace
}  // namespace aneroid::cpu
