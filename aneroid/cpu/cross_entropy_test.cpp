#include "aneroid/cpu/cross_entropy.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

// Logits in tiles, each row `stride` elements, with values of either storage.
struct Tiles {
  Storage storage;
  LogitShape shape;
  int64_t stride;
  std::vector<std::vector<Half>> halves;
  std::vector<std::vector<float>> floats;
  std::vector<LogitTile> tiles;

  Tiles(Storage s, const LogitShape& l)
      : storage(s), shape(l), stride(l.columns + 3) {
    const int64_t count = (l.vocab_size + l.tile_rows - 1) / l.tile_rows;
    const auto size = static_cast<size_t>(l.tile_rows * stride);
    // Poison: padding must be neither used nor left alone.
    const float poison = 7776.0F;
    for (int64_t t = 0; t < count; ++t) {
      halves.emplace_back(size, to_half_even(static_cast<double>(poison)));
      floats.emplace_back(size, poison);
    }
    for (int64_t t = 0; t < count; ++t) {
      auto* data =
          s == Storage::kHalf
              ? static_cast<void*>(halves[static_cast<size_t>(t)].data())
              : floats[static_cast<size_t>(t)].data();
      tiles.push_back({static_cast<std::byte*>(data), s, stride});
    }
  }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

  void set(int64_t v, int64_t t, float value) {
    const auto tile = static_cast<size_t>(v / shape.tile_rows);
    const auto at = static_cast<size_t>(v % shape.tile_rows * stride + t);
    halves[tile][at] = to_half_even(static_cast<double>(value));
    floats[tile][at] = value;
  }
  double get(int64_t v, int64_t t) const {
    const auto tile = static_cast<size_t>(v / shape.tile_rows);
    const auto at = static_cast<size_t>(v % shape.tile_rows * stride + t);
    return static_cast<double>(storage == Storage::kHalf
                                   ? to_float(halves[tile][at])
                                   : floats[tile][at]);
  }
};

struct Plain {
  std::vector<double> losses;
  std::vector<std::vector<double>> gradients;  // [t][v]
};

Plain plain_cross_entropy(const Tiles& logits,
                          const std::vector<int32_t>& targets, double scale) {
  Plain result;
  for (size_t t = 0; t < targets.size(); ++t) {
    const auto column = static_cast<int64_t>(t);
    const int64_t classes = logits.shape.vocab_size;
    std::vector<double> gradient(static_cast<size_t>(classes), 0.0);
    double loss = 0;
    if (targets[t] != kIgnoredTarget) {
      double largest = -std::numeric_limits<double>::infinity();
      for (int64_t v = 0; v < classes; ++v) {
        largest = std::max(largest, logits.get(v, column));
      }
      double sum = 0;
      for (int64_t v = 0; v < classes; ++v) {
        sum += std::exp(logits.get(v, column) - largest);
      }
      loss = largest + std::log(sum) - logits.get(targets[t], column);
      for (int64_t v = 0; v < classes; ++v) {
        const double p = std::exp(logits.get(v, column) - largest) / sum;
        gradient[static_cast<size_t>(v)] =
            (p - (v == targets[t] ? 1 : 0)) * scale;
      }
    }
    result.losses.push_back(loss);
    result.gradients.push_back(gradient);
  }
  return result;
}

struct Case {
  LogitShape shape;
  int64_t tokens;
  Storage logits = Storage::kHalf;
  Storage gradients = Storage::kHalf;
  float spread = 3.0F;
  float offset = 0.0F;
  bool in_place = false;
};

void check(const Case& test) {
  constexpr float kScale = 128.0F;
  std::mt19937 random(17);
  std::normal_distribution<float> normal(test.offset, test.spread);
  Tiles logits(test.logits, test.shape);
  std::vector<int32_t> targets;
  for (int64_t t = 0; t < test.tokens; ++t) {
    for (int64_t v = 0; v < test.shape.vocab_size; ++v) {
      logits.set(v, t, normal(random));
    }
    targets.push_back(
        t % 5 == 3 ? kIgnoredTarget
                   : static_cast<int32_t>(t * 37 % test.shape.vocab_size));
  }
  const Plain want = plain_cross_entropy(logits, targets, kScale);
  Tiles other(test.gradients, test.shape);
  Tiles& gradients = test.in_place ? logits : other;
  ThreadPool pool(3);
  std::vector<double> losses(targets.size(), -1.0);
  cross_entropy(pool, test.shape, logits.tiles, targets, losses,
                gradients.tiles, kScale);
  const bool half = test.gradients == Storage::kHalf;
  for (size_t t = 0; t < targets.size(); ++t) {
    ASSERT_NEAR(losses[t], want.losses[t], 1e-6 * (1 + want.losses[t])) << t;
    for (int64_t v = 0; v < test.shape.vocab_size; ++v) {
      const double g = want.gradients[t][static_cast<size_t>(v)];
      ASSERT_NEAR(gradients.get(v, static_cast<int64_t>(t)), g,
                  std::fabs(g) * (half ? 4.9e-4 : 3e-6) + (half ? 6e-8 : 1e-30))
          << "token " << t << " class " << v;
    }
  }
  const auto count = static_cast<int64_t>(logits.tiles.size());
  for (int64_t v = 0; v < count * test.shape.tile_rows; ++v) {
    const bool padding = v >= test.shape.vocab_size;
    for (int64_t t = padding ? 0 : test.tokens; t < test.shape.columns; ++t) {
      ASSERT_EQ(gradients.get(v, t), 0.0) << v << ' ' << t;
    }
    ASSERT_EQ(gradients.get(v, test.shape.columns), 7776.0);  // the gap
  }
}

TEST(CrossEntropy, MatchesPlain) {
  for_each_target([&] {
    for (const Storage in : {Storage::kHalf, Storage::kFloat}) {
      for (const Storage out : {Storage::kHalf, Storage::kFloat}) {
        check({{1000, 400, 64}, 64, in, out});
        check({{700, 700, 37}, 33, in, out});
        check({{5, 8, 16}, 3, in, out});
        check({{33, 16, 1}, 1, in, out});
      }
    }
  });
}

TEST(CrossEntropy, InPlace) {
  for_each_target([&] {
    check({.shape = {1000, 400, 40}, .tokens = 40, .in_place = true});
    check({.shape = {300, 400, 19},
           .tokens = 17,
           .logits = Storage::kFloat,
           .gradients = Storage::kFloat,
           .in_place = true});
  });
}

TEST(CrossEntropy, HugeLogits) {
  for_each_target([&] {
    check({.shape = {500, 128, 32},
           .tokens = 32,
           .logits = Storage::kFloat,
           .gradients = Storage::kFloat,
           .spread = 3e4F,
           .offset = 1e6F});
    check({.shape = {500, 128, 32},
           .tokens = 32,
           .spread = 9000.0F,
           .offset = -2e4F});
  });
}

struct Small {
  Tiles logits{Storage::kFloat, {600, 600, 2}};
  Tiles gradients{Storage::kFloat, {600, 600, 2}};
  std::vector<double> losses = {-1, -1};

  Small() {
    for (int64_t v = 0; v < 600; ++v) {
      logits.set(v, 0, 0.01F * static_cast<float>(v));
      logits.set(v, 1, -0.01F * static_cast<float>(v));
    }
  }
  void run() {
    ThreadPool pool(2);
    const std::vector<int32_t> targets = {1, 2};
    cross_entropy(pool, logits.shape, logits.tiles, targets, losses,
                  gradients.tiles, 1.0F);
  }
};

TEST(CrossEntropy, NanStaysInItsToken) {
  for_each_target([&] {
    for (const int64_t at : {0, 1, 31, 32, 300, 599}) {
      Small test;
      test.logits.set(at, 0, std::numeric_limits<float>::quiet_NaN());
      test.run();
      EXPECT_TRUE(std::isnan(test.losses[0])) << at;
      EXPECT_TRUE(std::isnan(test.gradients.get(5, 0)));
      EXPECT_TRUE(std::isfinite(test.losses[1]));
      EXPECT_TRUE(std::isfinite(test.gradients.get(5, 1)));
    }
  });
}

TEST(CrossEntropy, MinusInfinityIsProbabilityZero) {
  for_each_target([&] {
    Small test;
    for (int64_t v = 3; v < 600; ++v) {
      test.logits.set(v, 0, -std::numeric_limits<float>::infinity());
    }
    test.logits.set(0, 0, -std::numeric_limits<float>::infinity());
    test.run();
    EXPECT_NEAR(test.losses[0], std::log1p(std::exp(0.01)), 1e-6);
    EXPECT_EQ(test.gradients.get(400, 0), 0.0);
    EXPECT_NEAR(test.gradients.get(1, 0), -1 / (1 + std::exp(-0.01)), 1e-6);
  });
}

TEST(CrossEntropy, PlusInfinityIsNan) {
  Small test;
  test.logits.set(9, 0, std::numeric_limits<float>::infinity());
  test.run();
  EXPECT_TRUE(std::isnan(test.losses[0]));
}

TEST(CrossEntropy, ThreadsDoNotChangeTheResult) {
  Tiles logits(Storage::kHalf, {5000, 2000, 48});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int64_t v = 0; v < 5000; ++v) {
    for (int64_t t = 0; t < 48; ++t) logits.set(v, t, normal(random));
  }
  std::vector<int32_t> targets(48);
  for (size_t t = 0; t < 48; ++t) targets[t] = static_cast<int32_t>(t * 100);
  std::vector<double> one(48);
  std::vector<double> four(48);
  ThreadPool pool1(1);
  ThreadPool pool4(4);
  cross_entropy(pool1, logits.shape, logits.tiles, targets, one, {}, 1.0F);
  cross_entropy(pool4, logits.shape, logits.tiles, targets, four, {}, 1.0F);
  EXPECT_EQ(one, four);
}

}  // namespace
}  // namespace aneroid::cpu
