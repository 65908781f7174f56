#include <cmath>

#include "aneroid/base/random.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::float_value;
using mil::string_value;

TEST(Unary, MatchesHandComputedValues) {
  struct Case {
    const char* op;
    std::vector<double> x;
    std::vector<double> y;
  };
  const std::vector<Case> cases = {
      {"abs", {-2, 0, 3}, {2, 0, 3}},
      {"atan", {0, 1, -1}, {0, 0.7853982, -0.7853982}},
      {"ceil", {-1.5, 0.2, 2}, {-1, 1, 2}},
      {"cos", {0, 3.1415927, 1}, {1, -1, 0.5403023}},
      {"erf", {0, 1, -0.5}, {0, 0.8427008, -0.5204999}},
      {"exp", {0, 1, -1}, {1, 2.7182818, 0.3678794}},
      {"exp2", {0, 3, -1}, {1, 8, 0.5}},
      {"floor", {-1.5, 0.2, 2}, {-2, 0, 2}},
      {"inverse", {1, 2, -4}, {0.99990001, 0.49997500, -0.25000625}},
      {"log", {1, 2.7182818, 10}, {0, 1, 2.3025851}},
      {"relu", {-1, 0, 2}, {0, 0, 2}},
      {"relu6", {-1, 3, 7}, {0, 3, 6}},
      {"round", {0.5, 1.5, -2.5}, {0, 2, -2}},
      {"rsqrt", {1, 4, 0.25}, {1, 0.5, 2}},
      {"sigmoid", {0, 2, -2}, {0.5, 0.8807971, 0.1192029}},
      {"sign", {-3, 0, 9}, {-1, 0, 1}},
      {"silu", {0, 1, -1}, {0, 0.7310586, -0.2689414}},
      {"sin", {0, 1, -1}, {0, 0.8414710, -0.8414710}},
      {"softplus", {0, 1, -20}, {0.6931472, 1.3132617, 2.0611537e-9}},
      {"softsign", {0, 1, -3}, {0, 0.5, -0.75}},
      {"sqrt", {0, 4, 2}, {0, 2, 1.4142136}},
      {"square", {-3, 0.5, 2}, {9, 0.25, 4}},
      {"tanh", {0, 1, -0.5}, {0, 0.7615942, -0.4621172}},
  };
  for (const Case& c : cases) {
    expect_op(c.op, {{"x", fp32({3}, c.x)}}, {}, fp32({3}, c.y));
  }
}

TEST(Unary, KeepsInfinitiesAndNans) {
  expect_op("exp", {{"x", fp32({2}, {-kInf, kInf})}}, {}, fp32({2}, {0, kInf}));
  expect_op("log", {{"x", fp32({1}, {-1})}}, {}, fp32({1}, {NAN}));
  expect_op("relu", {{"x", fp32({1}, {NAN})}}, {}, fp32({1}, {NAN}));
  expect_op("log", {{"x", fp32({1}, {0})}}, {}, fp32({1}, {-103.616329}), 1e-4);
}

TEST(Unary, ParametersAreRead) {
  expect_op("clip", {{"x", fp32({3}, {-2, 0.5, 2})}},
            {{"alpha", float_value(DataType::kFp32, -1)},
             {"beta", float_value(DataType::kFp32, 1)}},
            fp32({3}, {-1, 0.5, 1}));
  expect_op("log", {{"x", fp32({1}, {0.5})}},
            {{"epsilon", float_value(DataType::kFp32, 0.5)}}, fp32({1}, {0}));
  expect_op("rsqrt", {{"x", fp32({1}, {3})}},
            {{"epsilon", float_value(DataType::kFp32, 1)}}, fp32({1}, {0.5}));
  expect_op("leaky_relu", {{"x", fp32({2}, {-2, 3})}},
            {{"alpha", float_value(DataType::kFp32, 0.5)}}, fp32({2}, {-1, 3}));
  expect_op("logical_not", {{"x", boolean({2}, {0, 1})}}, {},
            boolean({2}, {1, 0}));
}

TEST(Gelu, HasThreeModes) {
  const HostTensor x = fp32({2}, {1, -0.5});
  expect_op("gelu", {{"x", x}}, {}, fp32({2}, {0.8413447, -0.1542688}));
  expect_op("gelu", {{"x", x}}, {{"mode", string_value("EXACT")}},
            fp32({2}, {0.8413447, -0.1542688}));
  expect_op("gelu", {{"x", x}}, {{"mode", string_value("TANH_APPROXIMATION")}},
            fp32({2}, {0.8411920, -0.1542860}));
  expect_op("gelu", {{"x", x}},
            {{"mode", string_value("SIGMOID_APPROXIMATION")}},
            fp32({2}, {0.8457958, -0.1496116}));
  expect_refusal("gelu", {{"x", x}}, {{"mode", string_value("FAST")}},
                 "mode \"FAST\"");
}

TEST(Binary, MatchesHandComputedValues) {
  struct Case {
    const char* op;
    std::vector<double> z;
  };
  const HostTensor x = fp32({4}, {7, -7, 2, 0});
  const HostTensor y = fp32({4}, {2, 2, -1, 3});
  for (const Case& c : std::vector<Case>{
           {"add", {9, -5, 1, 3}},
           {"sub", {5, -9, 3, -3}},
           {"mul", {14, -14, -2, 0}},
           {"real_div", {3.5, -3.5, -2, 0}},
           {"floor_div", {3, -4, -2, 0}},
           {"mod", {1, 1, 0, 0}},
           {"pow", {49, 49, 0.5, 0}},
           {"maximum", {7, 2, 2, 3}},
           {"minimum", {2, -7, -1, 0}},
       }) {
    expect_op(c.op, {{"x", x}, {"y", y}}, {}, fp32({4}, c.z));
  }
}

TEST(Binary, ComparisonsGiveBools) {
  struct Case {
    const char* op;
    std::vector<double> z;
  };
  const HostTensor x = fp32({4}, {1, 2, 3, NAN});
  const HostTensor y = fp32({4}, {2, 2, 2, 2});
  for (const Case& c : std::vector<Case>{
           {"equal", {0, 1, 0, 0}},
           {"not_equal", {1, 0, 1, 1}},
           {"greater", {0, 0, 1, 0}},
           {"greater_equal", {0, 1, 1, 0}},
           {"less", {1, 0, 0, 0}},
           {"less_equal", {1, 1, 0, 0}},
       }) {
    expect_op(c.op, {{"x", x}, {"y", y}}, {}, boolean({4}, c.z));
  }
  const HostTensor a = boolean({4}, {0, 0, 1, 1});
  const HostTensor b = boolean({4}, {0, 1, 0, 1});
  expect_op("logical_and", {{"x", a}, {"y", b}}, {},
            boolean({4}, {0, 0, 0, 1}));
  expect_op("logical_or", {{"x", a}, {"y", b}}, {}, boolean({4}, {0, 1, 1, 1}));
  expect_op("logical_xor", {{"x", a}, {"y", b}}, {},
            boolean({4}, {0, 1, 1, 0}));
}

TEST(Binary, BroadcastsLikeNumpy) {
  expect_op("add", {{"x", fp32({2, 1}, {10, 20})}, {"y", fp32({3}, {1, 2, 3})}},
            {}, fp32({2, 3}, {11, 12, 13, 21, 22, 23}));
  expect_op("mul",
            {{"x", fp32({}, {2})}, {"y", fp32({1, 2, 1, 2}, {1, 2, 3, 4})}}, {},
            fp32({1, 2, 1, 2}, {2, 4, 6, 8}));
  expect_op("sub", {{"x", fp32({0}, {})}, {"y", fp32({1}, {1})}}, {},
            fp32({0}, {}));
  expect_refusal("add", {{"x", iota({2})}, {"y", iota({3})}}, {},
                 "shapes [2] and [3] do not broadcast: 2 against 3");
  expect_refusal("add", {{"x", iota({2})}, {"y", int32({2}, {1, 2})}}, {},
                 "x is fp32 and y is int32");
}

TEST(Binary, IntegersAreExactAndSaturate) {
  expect_op("add",
            {{"x", int32({2}, {16777217, 2147483647})},
             {"y", int32({2}, {16777217, 1})}},
            {}, int32({2}, {33554434, 2147483647}), 0);
  expect_op("real_div",
            {{"x", int32({3}, {7, -7, 1})}, {"y", int32({3}, {2, 2, 0})}}, {},
            int32({3}, {3, -3, 2147483647}), 0);
}

TEST(Rounding, Fp16IsRoundedHalfAwayOnlyWhenAsked) {
  // 1 + 2^-11 lies midway between two fp16 values.
  const HostTensor x = fp16({2}, {1, 1});
  const HostTensor y = fp16({2}, {0x1p-11, 0x1p-20});
  expect_op("add", {{"x", x}, {"y", y}}, {},
            fp16({2}, {1 + 0x1p-11, 1 + 0x1p-20}), 0);
  Options rounded;
  rounded.rounding = Rounding::kFp16;
  expect_op("add", {{"x", x}, {"y", y}}, {}, fp16({2}, {1 + 0x1p-10, 1}), 0,
            rounded);
  expect_op("mul", {{"x", fp16({1}, {300})}, {"y", fp16({1}, {300})}}, {},
            fp16({1}, {90000}), 0);
  expect_op("mul", {{"x", fp16({1}, {300})}, {"y", fp16({1}, {300})}}, {},
            fp16({1}, {kInf}), 0, rounded);
}

TEST(Select, TakesElementsAndBroadcasts) {
  expect_op("select",
            {{"cond", boolean({2, 1}, {1, 0})},
             {"a", fp32({2}, {1, 2})},
             {"b", fp32({}, {9})}},
            {}, fp32({2, 2}, {1, 2, 9, 9}));
  // The value not taken does not leak.
  expect_op("select",
            {{"cond", boolean({2}, {1, 0})},
             {"a", fp32({2}, {1, NAN})},
             {"b", fp32({2}, {kInf, 2})}},
            {}, fp32({2}, {1, 2}));
  expect_refusal(
      "select",
      {{"cond", boolean({}, {1})}, {"a", fp32({}, {1})}, {"b", int32({}, {1})}},
      {}, "a is fp32 and b is int32");
}

TEST(Properties, IdentitiesHoldOnRandomTensors) {
  Random random(3);
  HostTensor x = fp32({64}, {});
  for (int i = 0; i < 64; ++i) {
    x.data.push_back(static_cast<float>(3.0 * random.normal()));
  }
  const auto run = [](const char* op, const Tensors& in) {
    return run_one(op, in, {}, DataType::kFp32, {64}).value();
  };
  const HostTensor negated = run("mul", {{"x", x}, {"y", fp32({1}, {-1})}});
  // tanh(-x) = -tanh(x), sigmoid(x) + sigmoid(-x) = 1, silu = x * sigmoid.
  const HostTensor zeros = fp32({64}, std::vector<double>(64, 0.0));
  expect_near(run("add", {{"x", run("tanh", {{"x", x}})},
                          {"y", run("tanh", {{"x", negated}})}}),
              zeros);
  expect_near(run("add", {{"x", run("sigmoid", {{"x", x}})},
                          {"y", run("sigmoid", {{"x", negated}})}}),
              fp32({64}, std::vector<double>(64, 1.0)));
  expect_near(run("silu", {{"x", x}}),
              run("mul", {{"x", x}, {"y", run("sigmoid", {{"x", x}})}}));
  expect_near(run("log", {{"x", run("exp", {{"x", x}})}}), x, 1e-5);
}

}  // namespace
}  // namespace aneroid::interp
