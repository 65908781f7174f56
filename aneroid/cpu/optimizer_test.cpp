#include "aneroid/cpu/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
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

std::vector<Bfloat> narrowed(const std::vector<float>& values) {
  std::vector<Bfloat> result;
  for (const float value : values) result.push_back(round_to_bfloat(value));
  return result;
}
std::vector<float> widened(const std::vector<Bfloat>& values) {
  std::vector<float> result;
  for (const Bfloat value : values) result.push_back(to_float(value));
  return result;
}

constexpr AdamW kSlow = {.lr = 0.01F,
                         .beta1 = 0.9F,
                         .beta2 = 0.999F,
                         .eps = 1e-8F,
                         .weight_decay = 0.1F,
                         .bias_correction1 = 0.271F,
                         .bias_correction2 = 0.142F,
                         .grad_scale = 1.0F / 256,
                         .update = 77};

TEST(AdamWBfloat, IsTheFp32UpdateWithItsMomentsRounded) {
  // The last place crosses the keys' boundary.
  for (const uint64_t first : {uint64_t{0}, uint64_t{123457}, UINT64_C(1) << 35,
                               (UINT64_C(1) << 32) - 37}) {
    for_each_target([&] {
      for (const size_t n : {0UL, 1UL, 7UL, 8UL, 9UL, 16UL, 17UL, 1000UL}) {
        const Arrays from(n + 1);
        const RunPlace place{5, first};
        std::vector<float> w = from.w;
        std::vector<Bfloat> m = narrowed(from.m);
        std::vector<Bfloat> v = narrowed(from.v);
        adamw_update(w.data(), m.data(), v.data(), from.g.data(), n, kSlow,
                     place);
        std::vector<float> want_w = from.w;
        std::vector<float> want_m = widened(narrowed(from.m));
        std::vector<float> want_v = widened(narrowed(from.v));
        adamw_update(want_w.data(), want_m.data(), want_v.data(), from.g.data(),
                     n, kSlow);
        ASSERT_EQ(w, want_w);
        for (size_t i = 0; i < n; ++i) {
          const auto noise = moment_noise(77, {5, first + i});
          ASSERT_EQ(m[i].bits, round_to_bfloat(want_m[i], noise.m).bits);
          ASSERT_EQ(v[i].bits, round_to_bfloat(want_v[i], noise.v).bits);
        }
        EXPECT_EQ(m[n], round_to_bfloat(from.m[n]));  // nothing past the end
        EXPECT_EQ(v[n], round_to_bfloat(from.v[n]));
      }
    });
  }
}

TEST(AdamWBfloat, DoesNotDependOnHowATensorIsCut) {
  const size_t n = 1000;
  const Arrays from(n);
  std::vector<float> w = from.w;
  std::vector<Bfloat> m = narrowed(from.m);
  std::vector<Bfloat> v = narrowed(from.v);
  adamw_update(w.data(), m.data(), v.data(), from.g.data(), n, kSlow, {2, 40});
  std::vector<float> cut_w = from.w;
  std::vector<Bfloat> cut_m = narrowed(from.m);
  std::vector<Bfloat> cut_v = narrowed(from.v);
  size_t at = 0;
  for (size_t size = 1; at < n; ++size) {
    const size_t part = std::min(size, n - at);
    adamw_update(cut_w.data() + at, cut_m.data() + at, cut_v.data() + at,
                 from.g.data() + at, part, kSlow, {2, 40 + at});
    at += part;
  }
  EXPECT_EQ(cut_w, w);
  EXPECT_EQ(cut_m, m);
  EXPECT_EQ(cut_v, v);
}

TEST(AdamWBfloat, ExtremeMomentsStayNumbersAndNeverNegative) {
  for_each_target([&] {
    const std::vector<float> g = {3e38F, -3e38F, 1e-30F, -1e-44F, 0.0F, 1e-20F};
    const size_t n = g.size();
    std::vector<float> w(n, 1.0F);
    std::vector<Bfloat> m(n);
    std::vector<Bfloat> v(n);
    AdamW o{.beta2 = 0.999F};
    for (o.update = 1; o.update <= 50; ++o.update) {
      adamw_update(w.data(), m.data(), v.data(), g.data(), n, o, {});
      for (size_t i = 0; i < n; ++i) {
        ASSERT_TRUE(std::isfinite(to_float(m[i]))) << i;
        ASSERT_TRUE(std::isfinite(to_float(v[i]))) << i;
        ASSERT_EQ(v[i].bits >> 15, 0) << i;
      }
    }
    EXPECT_GT(to_float(v[0]), 3e38F);  // the square overflows
    EXPECT_LT(to_float(m[1]), -2.9e38F);
    EXPECT_EQ(m[4], Bfloat{});
    EXPECT_EQ(v[4], Bfloat{});
    EXPECT_EQ(v[2], Bfloat{});  // the square is nothing in fp32, too
    EXPECT_NE(m[2], Bfloat{});
  });
}

TEST(MomentNoise, MakesRoundingExactOnAverage) {
  // For one value over many updates, and for many values in one.
  constexpr int kCount = 200000;
  for (const float value : {1.00001F, -0.3F, 3.1415926F, 1e-6F, 7e-41F}) {
    double updates_m = 0;
    double updates_v = 0;
    double places_m = 0;
    double places_v = 0;
    for (uint64_t i = 0; i < kCount; ++i) {
      const MomentNoise a = moment_noise(i, {3, 1000});
      const MomentNoise b = moment_noise(9, {3, i});
      updates_m += double{to_float(round_to_bfloat(value, a.m))};
      updates_v += double{to_float(round_to_bfloat(value, a.v))};
      places_m += double{to_float(round_to_bfloat(value, b.m))};
      places_v += double{to_float(round_to_bfloat(value, b.v))};
    }
    // The distance of the two neighbours, times the error of a mean: at most
    // half of 1 / sqrt(count). Five of those.
    const double up = double{to_float(round_to_bfloat(value, 0xFFFF))};
    const double down = double{to_float(round_to_bfloat(value, 0))};
    const double bound = 2.5 * std::fabs(up - down) / std::sqrt(kCount);
    ASSERT_GT(bound, 0) << value;
    for (const double sum : {updates_m, updates_v, places_m, places_v}) {
      EXPECT_NEAR(sum / kCount, double{value}, bound) << value;
    }
  }
}

TEST(MomentNoise, IsUncorrelated) {
  // Between the two moments, neighbours, rows, tensors and updates.
  constexpr int kCount = 100000;
  const auto centred = [](uint16_t noise) { return noise / 65535.0 - 0.5; };
  double sums[6] = {};
  for (uint64_t i = 0; i < kCount; ++i) {
    const RunPlace place{4, i};
    const double x = centred(moment_noise(8, place).m);
    sums[0] += x * centred(moment_noise(8, place).v);
    sums[1] += x * centred(moment_noise(8, {4, i + 1}).m);
    sums[2] += x * centred(moment_noise(8, {4, i + 768}).m);
    sums[3] += x * centred(moment_noise(8, {5, i}).m);
    sums[4] += x * centred(moment_noise(9, place).m);
    sums[5] += x * centred(moment_noise(8, {4, i + (UINT64_C(1) << 32)}).m);
  }
  // Five times the deviation of a sum of products.
  for (const double sum : sums) {
    EXPECT_LT(std::fabs(sum), 5.0 / 12 * std::sqrt(kCount));
  }
}

// A thousand updates with a beta2 of 0.999, from zero with gradients of one
// size and from one without gradients. What rounding to nearest would give is
// computed as well: it must not pass.
TEST(AdamWBfloat, SecondMomentsFollowThoseOfFp32) {
  constexpr size_t kCount = 2048;  // of each kind
  constexpr size_t n = 2 * kCount;
  std::mt19937 random(3);
  std::uniform_real_distribution<float> uniform(0.8F, 1.2F);
  std::vector<float> w(n);
  std::vector<float> m(n);
  std::vector<float> v(n);
  std::fill_n(v.begin(), kCount, 1.0F);
  std::vector<float> nearest_v = v;
  std::vector<Bfloat> bfloat_m(n);
  std::vector<Bfloat> bfloat_v = narrowed(v);
  std::vector<float> g(n);
  AdamW o{.beta2 = 0.999F};
  for (o.update = 1; o.update <= 1000; ++o.update) {
    for (size_t i = kCount; i < n; ++i) g[i] = uniform(random);
    adamw_update(w.data(), m.data(), v.data(), g.data(), n, o);
    adamw_update(w.data(), m.data(), nearest_v.data(), g.data(), n, o);
    for (float& value : nearest_v) value = to_float(round_to_bfloat(value));
    adamw_update(w.data(), bfloat_m.data(), bfloat_v.data(), g.data(), n, o,
                 {0, 0});
  }
  struct Error {
    double mean = 0;
    double deviation = 0;
  };
  const auto error = [&](const std::vector<float>& found, size_t first) {
    Error e;
    for (size_t i = first; i < first + kCount; ++i) {
      const double relative = double{found[i]} / double{v[i]} - 1;
      e.mean += relative / kCount;
      e.deviation += relative * relative / kCount;
    }
    e.deviation = std::sqrt(e.deviation);
    return e;
  };
  for (const size_t first : {size_t{0}, kCount}) {
    const Error found = error(widened(bfloat_v), first);
    EXPECT_LT(std::fabs(found.mean), 0.01);
    EXPECT_LT(found.deviation, 0.15);
    EXPECT_GT(std::fabs(error(nearest_v, first).mean), 0.2);
    std::printf(
        "v after 1000 updates: mean error %.4f, deviation %.4f; "
        "to nearest %.2f\n",
        found.mean, found.deviation, error(nearest_v, first).mean);
  }
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
