#include "aneroid/cpu/norm_gradient.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

constexpr double kEpsilon = 1e-5;

// Values in both storages, in rows that are further apart than they are long.
struct Operand {
  Operand(int64_t rows, int64_t columns, unsigned seed) : stride(columns + 3) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int64_t i = 0; i < rows * stride; ++i) {
      halves.push_back(to_half_even(double{normal(random)}));
      floats.push_back(to_float(halves.back()));
    }
  }
  ConstMatrix as(Storage storage) const {
    if (storage == Storage::kHalf) return {halves.data(), storage, stride, 1};
    return {floats.data(), storage, stride, 1};
  }
  int64_t stride;
  std::vector<Half> halves;
  std::vector<float> floats;
};

TEST(NormGainGradient, MatchesThePlainDefinition) {
  for_each_target([] {
    for (const int64_t columns : {1, 2, 3, 7, 8, 16, 33, 256}) {
      for (const int64_t channels : {1, 5, 64}) {
        const Operand dxn(channels, columns, 1);
        const Operand x(channels, columns, 2);
        for (const auto a : {Storage::kHalf, Storage::kFloat}) {
          for (const auto b : {Storage::kHalf, Storage::kFloat}) {
            for (const bool add : {false, true}) {
              const auto size = static_cast<size_t>(channels);
              std::vector<float> actual(size, 2.5F);
              std::vector<float> expected(size, 2.5F);
              const NormGain of{dxn.as(a), x.as(b), channels, columns,
                                kEpsilon};
              norm_gain_gradient(of, add, actual.data());
              norm_gain_gradient_plain(of, add, expected.data());
              for (size_t c = 0; c < size; ++c) {
                ASSERT_NEAR(actual[c], expected[c],
                            1e-6 * (1 + std::abs(expected[c])))
                    << channels << " x " << columns;
              }
            }
          }
        }
      }
    }
  });
}

TEST(NormGainGradient, OverflowShows) {
  for_each_target([] {
    for (const int64_t at : {0, 20}) {
      Operand dxn(2, 21, 1);
      const Operand x(2, 21, 2);
      dxn.halves[static_cast<size_t>(at)] =
          to_half_even(std::numeric_limits<double>::infinity());
      float result[2];
      norm_gain_gradient(
          {dxn.as(Storage::kHalf), x.as(Storage::kHalf), 2, 21, kEpsilon},
          false, result);
      EXPECT_FALSE(std::isfinite(result[0]));
      EXPECT_TRUE(std::isfinite(result[1]));
    }
  });
}

}  // namespace
}  // namespace aneroid::cpu
