#include "aneroid/cpu/optimizer.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

struct Arrays {
  std::vector<float> w;
  std::vector<float> m;
  std::vector<float> v;
  std::vector<float> g;

  explicit Arrays(size_t n) : w(n), m(n), v(n), g(n) {
    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < n; ++i) {
      w[i] = normal(random);
      m[i] = 0.1F * normal(random);
      v[i] = 0.01F * std::fabs(normal(random));
      g[i] = 256.0F * normal(random);
    }
  }
};

TEST(AdamW, MatchesTheFormulaAtEveryLength) {
  const AdamW o{.lr = 0.01F,
                .beta1 = 0.9F,
                .beta2 = 0.95F,
                .eps = 1e-6F,
                .weight_decay = 0.1F,
                .bias_correction1 = 0.271F,
                .bias_correction2 = 0.142F,
                .grad_scale = 1.0F / 256};
  for_each_target([&] {
    for (const size_t n : {0UL, 1UL, 3UL, 15UL, 16UL, 17UL, 100UL, 1000UL}) {
      const Arrays before(n + 1);
      Arrays a = before;
      adamw_update(a.w.data(), a.m.data(), a.v.data(), a.g.data(), n, o);
      for (size_t i = 0; i < n; ++i) {
        const double g = static_cast<double>(before.g[i]) *
                         static_cast<double>(o.grad_scale);
        const auto beta1 = static_cast<double>(o.beta1);
        const auto beta2 = static_cast<double>(o.beta2);
        const double m =
            beta1 * static_cast<double>(before.m[i]) + (1 - beta1) * g;
        const double v =
            beta2 * static_cast<double>(before.v[i]) + (1 - beta2) * g * g;
        const auto w = static_cast<double>(before.w[i]);
        const double step =
            m / static_cast<double>(o.bias_correction1) /
                (std::sqrt(v / static_cast<double>(o.bias_correction2)) +
                 static_cast<double>(o.eps)) +
            static_cast<double>(o.weight_decay) * w;
        ASSERT_NEAR(static_cast<double>(a.m[i]), m, 3e-7) << n << ' ' << i;
        ASSERT_NEAR(static_cast<double>(a.v[i]), v, 1e-6 * v) << i;
        ASSERT_NEAR(static_cast<double>(a.w[i]),
                    w - static_cast<double>(o.lr) * step, 5e-7)
            << i;
      }
      EXPECT_EQ(a.w[n], before.w[n]);  // nothing past the end
      EXPECT_EQ(a.m[n], before.m[n]);
      EXPECT_EQ(a.v[n], before.v[n]);
      EXPECT_EQ(a.g, before.g);
    }
  });
}

TEST(AdamW, ZeroGradientAndStateOnlyDecays) {
  for_each_target([&] {
    std::vector<float> w(20, 2.0F);
    std::vector<float> m(20);
    std::vector<float> v(20);
    const std::vector<float> g(20);
    adamw_update(w.data(), m.data(), v.data(), g.data(), 20,
                 {.lr = 0.5F, .weight_decay = 0.5F});
    for (const float value : w) EXPECT_EQ(value, 1.5F);
  });
}

TEST(SumOfSquares, IsExactWhereFloatWouldNotBe) {
  for_each_target([&] {
    for (size_t n = 0; n < 80; ++n) {
      std::vector<float> x(n);
      double want = 0;
      for (size_t i = 0; i < n; ++i) {
        x[i] = static_cast<float>(i) + 0.5F;
        if (i % 3 == 0) x[i] *= 4096;
        want += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      }
      ASSERT_EQ(sum_of_squares(x.data(), n), want) << n;
    }
    const std::vector<float> large(3, 3e38F);
    EXPECT_TRUE(std::isfinite(sum_of_squares(large.data(), 3)));
    std::vector<float> bad(40);
    bad[33] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(sum_of_squares(bad.data(), 40)));
  });
}

}  // namespace
}  // namespace aneroid::cpu
