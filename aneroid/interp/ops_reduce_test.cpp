#include <cmath>

#include "aneroid/base/random.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::bool_value;
using mil::float_value;
using mil::int_value;
using mil::ints_value;

TEST(Reduce, MatchesHandComputedValues) {
  struct Case {
    const char* op;
    std::vector<double> rows;     // over axis 1
    std::vector<double> columns;  // over axis 0
  };
  const HostTensor x = fp32({2, 3}, {1, -2, 3, 4, 5, -6});
  for (const Case& c : std::vector<Case>{
           {"reduce_sum", {2, 3}, {5, 3, -3}},
           {"reduce_mean", {2.0 / 3, 1}, {2.5, 1.5, -1.5}},
           {"reduce_max", {3, 5}, {4, 5, 3}},
           {"reduce_min", {-2, -6}, {1, -2, -6}},
           {"reduce_prod", {-6, -120}, {4, -10, -18}},
           {"reduce_sum_square", {14, 77}, {17, 29, 45}},
           {"reduce_l1_norm", {6, 15}, {5, 7, 9}},
           {"reduce_l2_norm",
            {std::sqrt(14), std::sqrt(77)},
            {std::sqrt(17), std::sqrt(29), std::sqrt(45)}},
           {"reduce_log_sum",
            {std::log(2), std::log(3)},
            {std::log(5), std::log(3), NAN}},
           {"reduce_log_sum_exp",
            {3.1328452, 5.3132739},
            {4.0485874, 5.0009115, 3.0001234}},
       }) {
    expect_op(c.op, {{"x", x}}, {{"axes", ints_value({-1})}},
              fp32({2}, c.rows));
    expect_op(c.op, {{"x", x}},
              {{"axes", ints_value({0})}, {"keep_dims", bool_value(true)}},
              fp32({1, 3}, c.columns));
  }
}

TEST(Reduce, AllAxesByDefault) {
  expect_op("reduce_sum", {{"x", iota({2, 3})}}, {}, fp32({}, {15}));
  expect_op("reduce_mean", {{"x", iota({2, 3})}},
            {{"keep_dims", bool_value(true)}}, fp32({1, 1}, {2.5}));
  expect_op("reduce_max", {{"x", fp32({}, {3})}}, {}, fp32({}, {3}));
}

TEST(Reduce, TakesSeveralAxes) {
  expect_op("reduce_sum", {{"x", iota({2, 2, 2})}},
            {{"axes", ints_value({2, 0})}}, fp32({2}, {10, 18}));
}

TEST(Reduce, EmptyAndSpecialValues) {
  expect_op("reduce_sum", {{"x", fp32({0, 2}, {})}},
            {{"axes", ints_value({0})}}, fp32({2}, {0, 0}));
  expect_op("reduce_max", {{"x", fp32({3}, {1, NAN, 2})}}, {}, fp32({}, {NAN}));
  // Shifted: e^1000 would overflow.
  expect_op("reduce_log_sum_exp", {{"x", fp32({2}, {1000, 1000})}}, {},
            fp32({}, {1000.6931472}), 1e-4);
  expect_op("reduce_log_sum_exp", {{"x", fp32({2}, {-kInf, -kInf})}}, {},
            fp32({}, {-kInf}));
}

TEST(Reduce, RefusesBadAxes) {
  expect_refusal("reduce_sum", {{"x", iota({2, 3})}},
                 {{"axes", ints_value({2})}}, "axis 2 of a tensor of rank 2");
  expect_refusal("reduce_sum", {{"x", iota({2, 3})}},
                 {{"axes", ints_value({1, -1})}}, "named twice");
}

TEST(Softmax, NormalisesAlongTheAxis) {
  const HostTensor x = fp32({2, 2}, {0, std::log(3), 1, 1});
  expect_op("softmax", {{"x", x}}, {}, fp32({2, 2}, {0.25, 0.75, 0.5, 0.5}));
  expect_op("softmax", {{"x", x}}, {{"axis", int_value(0)}},
            fp32({2, 2}, {0.2689414, 0.5246331, 0.7310586, 0.4753669}));
  // Large and masked entries.
  expect_op("softmax", {{"x", fp32({3}, {5000, 5000, -kInf})}}, {},
            fp32({3}, {0.5, 0.5, 0}));
  expect_refusal("softmax", {{"x", x}}, {{"axis", int_value(2)}}, "axis 2");
}

TEST(Softmax, SumsToOneAndIgnoresShifts) {
  Random random(5);
  HostTensor x = iota({3, 4, 5});
  for (double& value : x.data) value = random.normal();
  HostTensor shifted = x;
  for (double& value : shifted.data) value += 7.0;
  for (int axis = 0; axis < 3; ++axis) {
    const Constants constants = {{"axis", int_value(axis)}};
    const auto run = [&](const HostTensor& in) {
      return run_one("softmax", {{"x", in}}, constants, DataType::kFp32,
                     x.shape)
          .value();
    };
    const HostTensor y = run(x);
    expect_near(run(shifted), y, 1e-5);
    Shape sums = {3, 4, 5};
    sums.erase(sums.begin() + axis);
    const auto count = static_cast<size_t>(element_count(sums).value());
    expect_op("reduce_sum", {{"x", y}}, {{"axes", ints_value({axis})}},
              fp32(sums, std::vector<double>(count, 1.0)));
  }
}

TEST(LayerNorm, NormalisesScalesAndShifts) {
  const HostTensor x = fp32({2, 2}, {1, 3, -4, 4});
  const Constants options = {{"axes", ints_value({1})},
                             {"epsilon", float_value(DataType::kFp32, 0)}};
  expect_op("layer_norm", {{"x", x}}, options, fp32({2, 2}, {-1, 1, -1, 1}));
  expect_op(
      "layer_norm",
      {{"x", x}, {"gamma", fp32({2}, {2, 3})}, {"beta", fp32({2}, {1, 0})}},
      options, fp32({2, 2}, {-1, 3, -1, 3}));
  expect_op("layer_norm", {{"x", fp32({2}, {5, 5})}}, {}, fp32({2}, {0, 0}));
  expect_refusal("layer_norm", {{"x", x}, {"gamma", iota({3})}}, options,
                 "shape [3], the normalised axes [2]");
}

TEST(LayerNorm, AxesNeedNotBeLast) {
  const HostTensor x = fp32({1, 2, 1, 2}, {1, 10, 3, 30});
  expect_op(
      "layer_norm", {{"x", x}, {"gamma", fp32({2}, {1, 2})}},
      {{"axes", ints_value({1})}, {"epsilon", float_value(DataType::kFp32, 0)}},
      fp32({1, 2, 1, 2}, {-1, -1, 2, 2}));
}

}  // namespace
}  // namespace aneroid::interp
