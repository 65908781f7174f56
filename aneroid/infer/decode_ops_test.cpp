#include "aneroid/infer/decode_ops.h"

#include <cmath>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::infer {
namespace {

std::vector<float> random_values(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(random.normal());
  return values;
}

// Below, of and beyond the width of any vector.
constexpr size_t kSizes[] = {2, 8, 16, 30, 64, 100, 172};

TEST(DecodeOps, RmsNormFollowsItsFormula) {
  for (const size_t n : kSizes) {
    const auto x = random_values(n, 1);
    const auto gain = random_values(n, 2);
    std::vector<float> result(n);
    rms_norm(x, gain, 1e-5, result);
    const double square =
        std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
    const double r = 1 / std::sqrt(square / static_cast<double>(n) + 1e-5);
    for (size_t i = 0; i < n; ++i) {
      EXPECT_NEAR(result[i], x[i] * r * gain[i], 1e-6 * std::fabs(result[i]));
    }
  }
}

TEST(DecodeOps, SwigluFollowsItsFormula) {
  for (const size_t n : kSizes) {
    const auto up = random_values(n, 3);
    const auto gate = random_values(n, 4);
    cpu::for_each_target([&] {
      auto result = gate;
      swiglu(up, result);
      for (size_t i = 0; i < n; ++i) {
        const double expected =
            gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
        EXPECT_NEAR(result[i], expected, 2e-6 * std::fabs(expected));
      }
    });
  }
}

TEST(DecodeOps, RotationTurnsEachPairByItsAngle) {
  constexpr double kTheta = 10000;
  for (const int64_t head_dim : {2, 8, 30, 64}) {
    const Rotation rotation(20, head_dim, kTheta);
    const auto heads = random_values(static_cast<size_t>(3 * head_dim), 5);
    cpu::for_each_target([&] {
      auto turned = heads;
      rotation.apply(17, turned);
      for (size_t i = 0; i < heads.size(); i += 2) {
        const auto pair =
            static_cast<double>(i % static_cast<size_t>(head_dim));
        const double angle =
            17 * std::pow(kTheta, -pair / static_cast<double>(head_dim));
        EXPECT_NEAR(turned[i],
                    heads[i] * std::cos(angle) - heads[i + 1] * std::sin(angle),
                    1e-6);
        EXPECT_NEAR(turned[i + 1],
                    heads[i] * std::sin(angle) + heads[i + 1] * std::cos(angle),
                    1e-6);
      }
    });
  }
}

TEST(DecodeOps, RotationLeavesThePositionZeroAlone) {
  const Rotation rotation(1, 8, 10000);
  const auto head = random_values(8, 6);
  auto turned = head;
  rotation.apply(0, turned);
  EXPECT_EQ(turned, head);
}

TEST(DecodeOps, AttendFollowsItsFormula) {
  for (const size_t head_dim : kSizes) {
    for (const size_t positions : {size_t{1}, size_t{7}, size_t{40}}) {
      // Two heads side by side; the second is asked for.
      const size_t stride = 2 * head_dim;
      const auto q = random_values(head_dim, 7);
      const auto keys = random_values(positions * stride, 8);
      const auto values = random_values(positions * stride, 9);

      std::vector<double> expected(head_dim, 0);
      double total = 0;
      for (size_t t = 0; t < positions; ++t) {
        double score = 0;
        for (size_t i = 0; i < head_dim; ++i) {
          score += double{q[i]} * keys[t * stride + head_dim + i];
        }
        const double weight =
            std::exp(score / std::sqrt(static_cast<double>(head_dim)));
        total += weight;
        for (size_t i = 0; i < head_dim; ++i) {
          expected[i] += weight * values[t * stride + head_dim + i];
        }
      }
      cpu::for_each_target([&] {
        std::vector<float> scores(positions);
        std::vector<float> result(head_dim, NAN);
        const auto row = static_cast<int64_t>(stride);
        attend(q, {keys.data() + head_dim, row},
               {values.data() + head_dim, row}, static_cast<int64_t>(positions),
               scores.data(), result);
        for (size_t i = 0; i < head_dim; ++i) {
          EXPECT_NEAR(result[i], expected[i] / total, 5e-6);
        }
      });
    }
  }
}

}  // namespace
}  // namespace aneroid::infer
