#include "aneroid/cpu/gemv.h"

#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

constexpr std::array kAllStorages = {GemvStorage::kFloat, GemvStorage::kHalf,
                                     GemvStorage::kInt8};

std::vector<float> random_values(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

std::vector<float> product(ThreadPool& pool, const GemvMatrix& matrix,
                           const std::vector<float>& x) {
  std::vector<float> y(static_cast<size_t>(matrix.rows()), NAN);
  const GemvProduct one[] = {{&matrix, x.data(), y.data()}};
  multiply(pool, one);
  return y;
}

class GemvTest : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(GemvTest, MatchesThePlainSumOfWhatIsStored) {
  const auto [rows, columns] = GetParam();
  const auto w = random_values(static_cast<size_t>(rows * columns), 1);
  const auto x = random_values(static_cast<size_t>(columns), 2);
  ThreadPool pool(2);
  for_each_target([&, rows = rows, columns = columns] {
    for (const GemvStorage storage : kAllStorages) {
      SCOPED_TRACE(to_string(storage));
      const GemvMatrix matrix(w, rows, columns, storage);
      const std::vector<float> y = product(pool, matrix, x);
      std::vector<float> row(static_cast<size_t>(columns));
      for (int64_t r = 0; r < rows; ++r) {
        matrix.row(r, row.data());
        double sum = 0;
        double magnitude = 0;
        for (size_t c = 0; c < row.size(); ++c) {
          sum += double{row[c]} * x[c];
          magnitude += std::fabs(double{row[c]} * x[c]);
        }
        EXPECT_NEAR(y[static_cast<size_t>(r)], sum, 1e-6 * magnitude + 1e-12);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemvTest,
                         testing::Values(std::pair{1, 1}, std::pair{3, 7},
                                         std::pair{33, 64}, std::pair{512, 257},
                                         std::pair{1000, 768}));

TEST(Gemv, ThreadsDoNotChangeTheResult) {
  const auto w = random_values(700 * 300, 3);
  const auto x = random_values(300, 4);
  ThreadPool single(1);
  ThreadPool several(3);
  for (const GemvStorage storage : kAllStorages) {
    const GemvMatrix matrix(w, 700, 300, storage);
    EXPECT_EQ(product(single, matrix, x), product(several, matrix, x));
  }
}

TEST(Gemv, SeveralProductsAtOnceAreTheProductsOneByOne) {
  ThreadPool pool(2);
  const auto x = random_values(96, 5);
  const auto z = random_values(40, 6);
  // Of several pieces, of one, and of another width.
  const GemvMatrix a(random_values(1500 * 96, 7), 1500, 96,
                     GemvStorage::kFloat);
  const GemvMatrix b(random_values(5 * 96, 8), 5, 96, GemvStorage::kHalf);
  const GemvMatrix c(random_values(77 * 40, 9), 77, 40, GemvStorage::kInt8);
  std::vector<float> y(1500 + 5 + 77, NAN);
  const GemvProduct all[] = {{&a, x.data(), y.data()},
                             {&b, x.data(), y.data() + 1500},
                             {&c, z.data(), y.data() + 1505}};
  multiply(pool, all);
  std::vector<float> one_by_one = product(pool, a, x);
  for (const auto& part : {product(pool, b, x), product(pool, c, z)}) {
    one_by_one.insert(one_by_one.end(), part.begin(), part.end());
  }
  EXPECT_EQ(y, one_by_one);
}

TEST(Gemv, HalfIsRoundedAsTheEngineRounds) {
  const std::array values{1.0F, 2.5F, -3.0F, 0.1F};
  const GemvMatrix matrix(values, 2, 2, GemvStorage::kHalf);
  float row[2];
  matrix.row(1, row);
  EXPECT_EQ(row[0], -3.0F);
  EXPECT_EQ(row[1], to_float(to_half_away(0.1F)));
  EXPECT_EQ(matrix.bytes(), 8);
}

TEST(Gemv, Int8KeepsTheLargestOfARowAndHalfAStepOfTheRest) {
  const auto w = random_values(20 * 50, 10);
  const GemvMatrix matrix(w, 20, 50, GemvStorage::kInt8);
  EXPECT_EQ(matrix.bytes(), 20 * 50 + 20 * 4);
  std::vector<float> row(50);
  for (size_t r = 0; r < 20; ++r) {
    matrix.row(static_cast<int64_t>(r), row.data());
    float largest = 0;
    for (size_t c = 0; c < 50; ++c) {
      largest = std::max(largest, std::fabs(w[r * 50 + c]));
    }
    for (size_t c = 0; c < 50; ++c) {
      const float original = w[r * 50 + c];
      EXPECT_NEAR(row[c], original, 0.5001F * largest / 127);
      if (std::fabs(original) == largest) {
        EXPECT_FLOAT_EQ(row[c], original);
      }
    }
  }
}

TEST(Gemv, Int8RowsOfZerosAndOfTheSmallestNumbers) {
  const std::array values{0.0F, -0.0F, 1e-45F, -1e-45F, 3e38F, -3e38F};
  const GemvMatrix matrix(values, 3, 2, GemvStorage::kInt8);
  ThreadPool pool(1);
  const std::vector<float> y = product(pool, matrix, {1.0F, 0.5F});
  EXPECT_EQ(y[0], 0.0F);
  EXPECT_EQ(y[1], 0.0F);
  EXPECT_NEAR(y[2], 1.5e38F, 1e32F);
}

TEST(Gemv, StoragesHaveNames) {
  for (const GemvStorage storage : kAllStorages) {
    EXPECT_EQ(gemv_storage(to_string(storage)), storage);
  }
  EXPECT_FALSE(gemv_storage("int4"));
}

}  // namespace
}  // namespace aneroid::cpu
