#include "aneroid/numerics/activation.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/numerics/activation_tables.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

constexpr Half kOne{0x3C00};
constexpr Half kInfinity{0x7C00};
constexpr Half kMinusInfinity{0xFC00};

std::vector<Function> all_functions() {
  std::vector<Function> functions;
  functions.reserve(kFunctions);
  for (int i = 0; i < kFunctions; ++i) {
    functions.push_back(static_cast<Function>(i));
  }
  return functions;
}

double at(Function function, double x) {
  return static_cast<double>(to_float(activate(function, to_half_even(x))));
}

// The largest |function - exact| over all fp16 numbers of [low, high].
template <typename Exact>
double largest_error(Function function, double low, double high, Exact exact) {
  double largest = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const Half half{static_cast<uint16_t>(bits)};
    const auto x = static_cast<double>(to_float(half));
    if (!(x >= low && x <= high)) continue;
    const auto y = static_cast<double>(to_float(map(function)[bits]));
    largest = std::max(largest, std::fabs(y - exact(x)));
  }
  return largest;
}

TEST(Activation, NamesGoBothWays) {
  for (const Function function : all_functions()) {
    EXPECT_EQ(info(function).function, function);
    EXPECT_EQ(function_from_name(info(function).name), function);
  }
  EXPECT_EQ(function_from_name("softplus"), std::nullopt);
}

TEST(Activation, MapIsTheDefinitionOfEveryPattern) {
  for (const Function function : all_functions()) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const Half x{static_cast<uint16_t>(bits)};
      ASSERT_EQ(map(function)[bits], activate(function, x))
          << info(function).name << " of " << bits;
      ASSERT_NE(map(function)[bits].bits, 0x8000)
          << "minus zero: " << info(function).name << " of " << bits;
    }
  }
}

TEST(Activation, EveryKnotIsReturnedAsItIs) {
  for (const Function function :
       {Function::kSigmoid, Function::kGelu, Function::kSilu}) {
    const KnotTable& table = knot_table(function);
    ASSERT_EQ(table.knots.size(), 33U);
    for (size_t k = 0; k < table.knots.size(); ++k) {
      const double x = table.first + table.step * static_cast<double>(k);
      EXPECT_EQ(at(function, x), table.at(k)) << info(function).name << x;
    }
  }
}

// Published single values.
TEST(Activation, ReturnsMeasuredValues) {
  EXPECT_EQ(at(Function::kGelu, -0x1p-16), -1595 * 0x1p-21) << "-0.000761";
  EXPECT_NEAR(at(Function::kGelu, 0.25), 0.1436, 5e-5);
  EXPECT_NEAR(at(Function::kSilu, -2.289e-5), -0.00171, 5e-6);
  EXPECT_NEAR(at(Function::kSilu, 0.5), 0.296, 5e-4);
  EXPECT_EQ(at(Function::kSigmoid, -9.9375), 0);
  EXPECT_GT(at(Function::kSigmoid, -9.9296875), 0) << "the tail is not cut";
  EXPECT_NEAR(at(Function::kSin, -3.140625), -0.000946, 5e-7);
  EXPECT_NEAR(at(Function::kInverse, 0.01587), 62.6, 0.05);
  EXPECT_NEAR(at(Function::kLog, 1.00390625), 0.00373, 5e-6);
}

TEST(Activation, ErrorsAreThePublishedOnes) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const auto tanh = [](double x) { return std::tanh(x); };
  const auto erf = [](double x) { return std::erf(x); };
  const auto exp = [](double x) { return std::exp(x); };
  const auto log = [](double x) { return std::log(x); };
  const auto root = [](double x) { return std::sqrt(x); };
  const auto reciprocal_root = [](double x) { return 1 / std::sqrt(x); };
  const auto inverse = [](double x) { return 1 / x; };
  const auto sin = [](double x) { return std::sin(x); };
  const double low = 0x1p-10;
  EXPECT_NEAR(largest_error(Function::kSigmoid, -12, 12, sigmoid), 3.355e-3,
              5e-7);
  EXPECT_NEAR(largest_error(Function::kTanh, -6, 6, tanh), 1.613e-3, 5e-7);
  EXPECT_NEAR(largest_error(Function::kErf, -4, 4, erf), 8.642e-4, 5e-8);
  EXPECT_NEAR(largest_error(Function::kExp, -12, 10, exp), 100.8, 5e-2);
  EXPECT_NEAR(largest_error(Function::kLog, low, 1000, log), 6.638e-3, 5e-7);
  EXPECT_NEAR(largest_error(Function::kSqrt, low, 1000, root), 1.810e-2, 5e-6);
  EXPECT_NEAR(largest_error(Function::kRsqrt, 0x1p-6, 1000, reciprocal_root),
              8.139e-3, 5e-7);
  EXPECT_NEAR(largest_error(Function::kInverse, 0x1p-6, 1000, inverse),
              4.375e-1, 5e-5);
  EXPECT_NEAR(largest_error(Function::kSin, -8, 8, sin), 6.329e-4, 5e-8);
}

TEST(Activation, OddFunctionsAreOdd) {
  for (const Function function : {Function::kTanh, Function::kErf,
                                  Function::kSin, Function::kReciprocal}) {
    for (uint16_t bits = 1; bits < 0x7C00; ++bits) {
      const float plus = to_float(activate(function, {bits}));
      const float minus =
          to_float(activate(function, {static_cast<uint16_t>(bits | 0x8000U)}));
      ASSERT_EQ(minus, -plus) << info(function).name << " of " << bits;
    }
  }
}

TEST(Activation, SaturatingFunctionsNeverFall) {
  for (const Function function :
       {Function::kSigmoid, Function::kTanh, Function::kErf}) {
    float before = -1;
    for (int step = -8192; step <= 8192; ++step) {
      const float y = static_cast<float>(at(function, step / 512.0));
      ASSERT_GE(y, before) << info(function).name << " at " << step / 512.0;
      before = y;
    }
    EXPECT_EQ(before, 1.0F);
  }
}

TEST(Activation, EndsOfTheDomain) {
  EXPECT_EQ(activate(Function::kExp, kMinusInfinity).bits, 0);
  EXPECT_EQ(activate(Function::kExp, kInfinity), kInfinity);
  EXPECT_EQ(at(Function::kExp, 0), 1);
  EXPECT_EQ(at(Function::kExp2, -3), 0.125);
  EXPECT_EQ(activate(Function::kLog, {0}), kMinusInfinity);
  EXPECT_EQ(activate(Function::kLog, kOne).bits, 0);
  EXPECT_EQ(activate(Function::kLog, {0xBC00}).bits, 0x7E00);
  EXPECT_EQ(activate(Function::kSqrt, {0x8000}).bits, 0) << "-0 is 0";
  EXPECT_EQ(activate(Function::kSqrt, {0xBC00}).bits, 0x7E00);
  EXPECT_EQ(activate(Function::kRsqrt, {0}), kInfinity);
  // Infinity is the number 65536, and so are its root and its reciprocal.
  EXPECT_EQ(activate(Function::kSqrt, kInfinity), to_half_even(256));
  EXPECT_EQ(activate(Function::kReciprocal, kInfinity), to_half_even(0x1p-16));
  EXPECT_EQ(activate(Function::kReciprocal, {0}), kInfinity);
  EXPECT_NEAR(at(Function::kInverse, 0), 65536.0 / 7, 4) << "the epsilon";
  EXPECT_EQ(at(Function::kGelu, 5), 5);
  EXPECT_EQ(at(Function::kGelu, -5), 0);
  EXPECT_EQ(at(Function::kSilu, -12), 0);
  EXPECT_EQ(at(Function::kCos, 0), 1);
  EXPECT_NEAR(at(Function::kCos, 3), std::cos(3), 1e-3);
}

TEST(Reciprocal, ReadsTheSumAsFp16) {
  for (const double sum : {1.0, 3.0, 100.3, 2049.0, 32767.5}) {
    EXPECT_EQ(reciprocal(sum),
              activate(Function::kReciprocal, to_half_away(sum)));
    EXPECT_NEAR(static_cast<double>(to_float(reciprocal(sum))) * sum, 1, 2e-3);
  }
}

}  // namespace
}  // namespace aneroid::numerics
