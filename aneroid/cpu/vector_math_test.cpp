#include "aneroid/cpu/vector_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kExact = 0.0;
constexpr double kClose = 4e-7;

// Edge values, a fine grid where functions bend, and all magnitudes.
std::vector<float> inputs() {
  std::vector<float> values = {
      0.0F,   -0.0F,   kInf,    -kInf,    kNan,        1e-45F,   -1e-45F,
      1e-38F, -1e-38F, 3.4e38F, -3.4e38F, 88.72F,      88.7229F, 89.0F,
      -87.4F, -88.0F,  -103.9F, -104.1F,  0.99999994F, 1.0F,     1.0000001F,
      9.0F,   9.2F,    -20.0F,  1e-8F,    -1e-20F};
  for (int i = -40000; i <= 40000; ++i) {
    values.push_back(static_cast<float>(i) / 3000.0F);
  }
  std::mt19937 random(3);
  for (int i = 0; i < 100000; ++i) {
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  }
  return values;
}

// Equal, both NaN, or within `relative` of each other. `steps` of the
// subnormals are allowed too when `relative` is not exact.
bool matches(float got, double want, double relative, double steps = 1) {
  if (std::isnan(want)) return std::isnan(got);
  const auto rounded = static_cast<float>(want);
  if (std::isinf(rounded) || std::isinf(got)) {
    // Near the overflow threshold either side is right.
    return got == rounded ||
           (relative > 0 && std::fabs(std::fabs(want) - 3.4028235e38) < 1e32);
  }
  if (relative == kExact) return got == rounded;
  return std::fabs(static_cast<double>(got) - want) <=
         relative * std::fabs(want) + steps * 1.5e-45;
}

struct UnaryCase {
  const char* name;
  UnaryOp op;
  double (*plain)(double);
  double relative;
};

double sigmoid_plain(double x) { return 1 / (1 + std::exp(-x)); }

constexpr UnaryCase kUnaryCases[] = {
    {"copy", UnaryOp::kCopy, [](double x) { return x; }, kExact},
    {"sqrt", UnaryOp::kSqrt, [](double x) { return std::sqrt(x); }, kExact},
    {"rsqrt", UnaryOp::kRsqrt, [](double x) { return 1 / std::sqrt(x); }, 1e-7},
    {"exp", UnaryOp::kExp, [](double x) { return std::exp(x); }, kClose},
    {"log", UnaryOp::kLog, [](double x) { return std::log(x); }, kClose},
    {"abs", UnaryOp::kAbs, [](double x) { return std::fabs(x); }, kExact},
    {"square", UnaryOp::kSquare, [](double x) { return x * x; }, kExact},
    {"sigmoid", UnaryOp::kSigmoid, sigmoid_plain, kClose},
    {"silu", UnaryOp::kSilu, [](double x) { return x * sigmoid_plain(x); },
     kClose},
    {"tanh", UnaryOp::kTanh, [](double x) { return std::tanh(x); }, kClose},
    {"relu", UnaryOp::kRelu,
     [](double x) { return std::isnan(x) || x > 0 ? x : 0.0; }, kExact},
    {"gelu", UnaryOp::kGelu,
     [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }, 5e-6},
    {"erf", UnaryOp::kErf, [](double x) { return std::erf(x); }, kClose},
    {"neg", UnaryOp::kNeg, [](double x) { return -x; }, kExact},
    {"reciprocal", UnaryOp::kReciprocal, [](double x) { return 1 / x; },
     kExact},
};

TEST(VectorMath, UnaryMatchesPlain) {
  const std::vector<float> x = inputs();
  std::vector<float> got(x.size());
  for_each_target([&] {
    for (const UnaryCase& test : kUnaryCases) {
      apply(test.op, x.data(), got.data(), x.size());
      int bad = 0;
      for (size_t i = 0; i < x.size() && bad < 5; ++i) {
        const double want = test.plain(static_cast<double>(x[i]));
        // silu and gelu multiply x by a factor that may be subnormal itself.
        const double steps = 1 + std::fabs(static_cast<double>(x[i]));
        if (matches(got[i], want, test.relative, steps)) continue;
        ++bad;
        ADD_FAILURE() << test.name << '(' << x[i] << ") = " << got[i]
                      << ", expected " << want;
      }
    }
  });
}

TEST(VectorMath, UnaryInPlaceAtEveryLength) {
  const std::vector<float> x = inputs();
  for_each_target([&] {
    for (const UnaryCase& test : kUnaryCases) {
      std::vector<float> whole(80);
      apply(test.op, x.data() + 100, whole.data(), whole.size());
      for (size_t n = 0; n < whole.size(); ++n) {
        std::vector<float> some(x.begin() + 100, x.begin() + 180);
        apply(test.op, some.data(), some.data(), n);
        for (size_t i = 0; i < some.size(); ++i) {
          ASSERT_EQ(std::bit_cast<uint32_t>(some[i]),
                    std::bit_cast<uint32_t>(i < n ? whole[i] : x[100 + i]))
              << test.name << ' ' << n << ' ' << i;
        }
      }
    }
  });
}

struct BinaryCase {
  const char* name;
  BinaryOp op;
  float (*plain)(float, float);
};

float with_nan(float a, float b, float chosen) {
  return std::isnan(a) || std::isnan(b) ? kNan : chosen;
}

constexpr BinaryCase kBinaryCases[] = {
    {"add", BinaryOp::kAdd, [](float a, float b) { return a + b; }},
    {"sub", BinaryOp::kSub, [](float a, float b) { return a - b; }},
    {"mul", BinaryOp::kMul, [](float a, float b) { return a * b; }},
    {"div", BinaryOp::kDiv, [](float a, float b) { return a / b; }},
    {"max", BinaryOp::kMax,
     [](float a, float b) { return with_nan(a, b, a > b ? a : b); }},
    {"min", BinaryOp::kMin,
     [](float a, float b) { return with_nan(a, b, a < b ? a : b); }},
    {"pow", BinaryOp::kPow, [](float a, float b) { return std::pow(a, b); }},
};

TEST(VectorMath, BinaryMatchesPlainInEveryForm) {
  const std::vector<float> edges = {0.0F, -0.0F, 1.0F,  -1.0F,  kInf, -kInf,
                                    kNan, 2.5F,  -0.5F, 1e-40F, 3e38F};
  std::vector<float> a;
  std::vector<float> b;
  for (const float x : edges) {
    for (const float y : edges) {
      a.push_back(x);
      b.push_back(y);
    }
  }
  std::mt19937 random(5);
  std::uniform_real_distribution<float> uniform(-4, 4);
  for (int i = 0; i < 1000; ++i) {
    a.push_back(uniform(random));
    b.push_back(uniform(random));
  }
  const size_t n = a.size();
  for_each_target([&] {
    for (const BinaryCase& test : kBinaryCases) {
      const auto check = [&](Operand x, Operand y, const char* form) {
        std::vector<float> got(n);
        apply(test.op, x, y, got.data(), n);
        for (size_t i = 0; i < n; ++i) {
          const float u = x.data[x.one ? 0 : i];
          const float v = y.data[y.one ? 0 : i];
          ASSERT_TRUE(matches(got[i], static_cast<double>(test.plain(u, v)),
                              test.op == BinaryOp::kPow ? 1.3e-7 : kExact))
              << test.name << ' ' << form << ' ' << u << ", " << v << " = "
              << got[i];
        }
      };
      check({a.data()}, {b.data()}, "arrays");
      for (const float one : {0.5F, -0.5F, -1.0F, 1.0F, 2.0F, 3.0F, kNan}) {
        check({a.data()}, {&one, true}, "array, one");
        check({&one, true}, {b.data()}, "one, array");
        check({&one, true}, {&one, true}, "one, one");
      }
      std::vector<float> in_place = a;
      apply(test.op, {in_place.data()}, {b.data()}, in_place.data(), n);
      std::vector<float> apart(n);
      apply(test.op, {a.data()}, {b.data()}, apart.data(), n);
      for (size_t i = 0; i < n; ++i) {
        if (std::isnan(apart[i])) continue;
        ASSERT_EQ(in_place[i], apart[i]) << test.name;
      }
    }
  });
}

TEST(VectorMath, SumIsInDoublePrecision) {
  for_each_target([&] {
    for (size_t n = 0; n < 100; ++n) {
      std::vector<float> x(n);
      double want = 0;
      for (size_t i = 0; i < n; ++i) {
        x[i] = static_cast<float>(i) * (i % 2 == 0 ? 1e7F : 1e-3F);
        want += static_cast<double>(x[i]);
      }
      ASSERT_NEAR(row_sum(x.data(), n), want, 1e-12 * want) << n;
    }
  });
}

TEST(VectorMath, MaxFindsEveryPositionAndNan) {
  for_each_target([&] {
    EXPECT_EQ(row_max(nullptr, 0), -kInf);
    for (size_t n = 1; n < 70; ++n) {
      for (size_t at = 0; at < n; ++at) {
        std::vector<float> x(n, -7.0F);
        x[at] = -3.0F;
        ASSERT_EQ(row_max(x.data(), n), -3.0F) << n << ' ' << at;
        x[at] = kNan;
        ASSERT_TRUE(std::isnan(row_max(x.data(), n))) << n << ' ' << at;
      }
    }
  });
}

TEST(VectorMath, Softmax) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 5);
  for_each_target([&] {
    for (const size_t n : {1UL, 2UL, 15UL, 16UL, 33UL, 256UL, 1000UL}) {
      std::vector<float> x(n);
      for (float& value : x) value = normal(random) + 900.0F;
      if (n > 2) x[1] = -kInf;
      double largest = -std::numeric_limits<double>::infinity();
      for (const float value : x) {
        largest = std::max(largest, static_cast<double>(value));
      }
      double sum = 0;
      for (const float value : x) {
        sum += std::exp(static_cast<double>(value) - largest);
      }
      std::vector<float> got(n);
      row_softmax(x.data(), got.data(), n);
      for (size_t i = 0; i < n; ++i) {
        const double want = std::exp(static_cast<double>(x[i]) - largest) / sum;
        ASSERT_NEAR(static_cast<double>(got[i]), want, 5e-7 * want + 1e-40);
      }
      row_softmax(x.data(), x.data(), n);  // in place
      ASSERT_EQ(x, got);
    }
    std::vector<float> bad = {1.0F, kNan, 2.0F};
    row_softmax(bad.data(), bad.data(), 3);
    for (const float value : bad) EXPECT_TRUE(std::isnan(value));
  });
}

}  // namespace
}  // namespace aneroid::cpu
