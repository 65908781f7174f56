#include <numeric>

#include "aneroid/base/random.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::bool_value;
using mil::int_value;
using mil::ints_value;
using mil::string_value;

HostTensor random_tensor(Random& random, Shape shape) {
  HostTensor tensor = iota(std::move(shape));
  for (double& value : tensor.data) value = static_cast<float>(random.normal());
  return tensor;
}

// A convolution of any number of spatial dimensions, written from the
// definition: for every output element, a sum over channels and taps.
struct Definition {
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pad;  // before, after per dimension
  int64_t groups = 1;
};

double element(const HostTensor& t, const Shape& index) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= t.shape[i]) return 0.0;
    offset = offset * t.shape[i] + index[i];
  }
  return t.data[static_cast<size_t>(offset)];
}

// The index after `index` in row-major order; false at the end.
bool advance(Shape& index, const Shape& shape) {
  for (size_t i = shape.size(); i > 0; --i) {
    if (++index[i - 1] < shape[i - 1]) return true;
    index[i - 1] = 0;
  }
  return false;
}

HostTensor conv_by_definition(const HostTensor& x, const HostTensor& w,
                              const HostTensor& bias, const Definition& d) {
  const size_t spatial = d.strides.size();
  HostTensor y = fp32({x.shape[0], w.shape[0]}, {});
  for (size_t i = 0; i < spatial; ++i) {
    const int64_t reach = (w.shape[2 + i] - 1) * d.dilations[i] + 1;
    y.shape.push_back(
        (x.shape[2 + i] + d.pad[2 * i] + d.pad[2 * i + 1] - reach) /
            d.strides[i] +
        1);
  }
  const int64_t per_group = w.shape[0] / d.groups;
  Shape out(2 + spatial, 0);
  do {
    double sum = bias.data[static_cast<size_t>(out[1])];
    Shape tap_shape(w.shape.begin() + 1, w.shape.end());
    Shape tap(1 + spatial, 0);
    do {
      Shape from = {out[0], out[1] / per_group * w.shape[1] + tap[0]};
      Shape weight = {out[1], tap[0]};
      for (size_t i = 0; i < spatial; ++i) {
        from.push_back(out[2 + i] * d.strides[i] - d.pad[2 * i] +
                       tap[1 + i] * d.dilations[i]);
        weight.push_back(tap[1 + i]);
      }
      sum += element(x, from) * element(w, weight);
    } while (advance(tap, tap_shape));
    y.data.push_back(sum);
  } while (advance(out, y.shape));
  return y;
}

TEST(Conv, OneByOneIsAMatrixProduct) {
  expect_op("conv",
            {{"x", fp32({1, 2, 1, 3}, {1, 2, 3, 4, 5, 6})},
             {"weight", fp32({2, 2, 1, 1}, {1, 10, 100, 1000})}},
            {}, fp32({1, 2, 1, 3}, {41, 52, 63, 4100, 5200, 6300}));
}

TEST(Conv, PadTypes) {
  const HostTensor x = fp32({1, 1, 4}, {1, 2, 3, 4});
  const HostTensor w = fp32({1, 1, 2}, {1, 10});
  const auto check = [&](const char* type, const HostTensor& y) {
    expect_op("conv", {{"x", x}, {"weight", w}},
              {{"pad_type", string_value(type)}, {"pad", ints_value({2, 1})}},
              y);
  };
  check("valid", fp32({1, 1, 3}, {21, 32, 43}));
  check("same", fp32({1, 1, 4}, {21, 32, 43, 4}));
  check("same_lower", fp32({1, 1, 4}, {10, 21, 32, 43}));
  check("custom", fp32({1, 1, 6}, {0, 10, 21, 32, 43, 4}));
}

TEST(Conv, EqualsItsDefinitionInAllVariants) {
  Random random(11);
  for (int round = 0; round < 60; ++round) {
    const size_t spatial = 1 + random.below(3);
    Definition d;
    d.groups = static_cast<int64_t>(1 + random.below(3));
    Shape x_shape = {static_cast<int64_t>(1 + random.below(2)),
                     d.groups * static_cast<int64_t>(1 + random.below(3))};
    Shape w_shape = {d.groups * static_cast<int64_t>(1 + random.below(3)),
                     x_shape[1] / d.groups};
    for (size_t i = 0; i < spatial; ++i) {
      x_shape.push_back(static_cast<int64_t>(5 + random.below(4)));
      w_shape.push_back(static_cast<int64_t>(1 + random.below(3)));
      d.strides.push_back(static_cast<int64_t>(1 + random.below(3)));
      d.dilations.push_back(static_cast<int64_t>(1 + random.below(2)));
      d.pad.push_back(static_cast<int64_t>(random.below(3)));
      d.pad.push_back(static_cast<int64_t>(random.below(3)));
    }
    const HostTensor x = random_tensor(random, x_shape);
    const HostTensor w = random_tensor(random, w_shape);
    const HostTensor bias = random_tensor(random, {w_shape[0]});
    expect_op("conv", {{"x", x}, {"weight", w}, {"bias", bias}},
              {{"strides", ints_value(d.strides)},
               {"dilations", ints_value(d.dilations)},
               {"pad", ints_value(d.pad)},
               {"pad_type", string_value("custom")},
               {"groups", int_value(static_cast<int32_t>(d.groups))}},
              conv_by_definition(x, w, bias, d), 1e-5);
  }
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const HostTensor x = iota({1, 4, 2, 2});
  const auto refuse = [&](const HostTensor& weight, const Constants& constants,
                          const std::string& part) {
    expect_refusal("conv", {{"x", x}, {"weight", weight}}, constants, part);
  };
  refuse(iota({2, 3, 1, 1}), {}, "4 input channels in 1 groups");
  refuse(iota({2, 4, 1, 1}), {{"groups", int_value(3)}}, "in 3 groups");
  refuse(iota({2, 4, 1, 1}), {{"groups", int_value(0)}}, "in 0 groups");
  refuse(iota({2, 4, 3, 1}), {}, "a kernel of 3 (dilation 1)");
  refuse(iota({2, 4, 0, 1}), {}, "a kernel of 0");
  refuse(iota({2, 4, 1}), {}, "must both have rank");
  refuse(iota({2, 4, 1, 1}), {{"strides", ints_value({1, 0})}},
         "strides holds 0");
  refuse(iota({2, 4, 1, 1}), {{"strides", ints_value({1})}},
         "strides has 1 elements");
  refuse(iota({2, 4, 1, 1}), {{"pad_type", string_value("full")}},
         "pad_type \"full\"");
  expect_refusal(
      "conv", {{"x", x}, {"weight", iota({2, 4, 1, 1})}, {"bias", iota({3})}},
      {}, "bias has 3 elements");
}

TEST(Conv, HostileSizesEndInAnError) {
  const Constants huge = {
      {"pad_type", string_value("custom")},
      {"pad", ints_value({2147483647, 2147483647, 2147483647, 2147483647})}};
  expect_refusal("conv",
                 {{"x", iota({1, 1, 1, 1})}, {"weight", iota({1, 1, 1, 1})}},
                 huge, "exceeds the limit");
  expect_refusal(
      "conv",
      {{"x", fp32({int64_t{1} << 62, 1, 0}, {})}, {"weight", iota({1, 1, 1})}},
      {}, "");
}

TEST(Matmul, MultipliesAndTransposes) {
  const HostTensor a = fp32({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor b = fp32({3, 2}, {1, 0, 0, 1, 1, 1});
  const HostTensor product = fp32({2, 2}, {4, 5, 10, 11});
  const HostTensor a_t = fp32({3, 2}, {1, 4, 2, 5, 3, 6});
  const HostTensor b_t = fp32({2, 3}, {1, 0, 1, 0, 1, 1});
  const auto flags = [](bool x, bool y) {
    return Constants{{"transpose_x", bool_value(x)},
                     {"transpose_y", bool_value(y)}};
  };
  expect_op("matmul", {{"x", a}, {"y", b}}, {}, product);
  expect_op("matmul", {{"x", a_t}, {"y", b}}, flags(true, false), product);
  expect_op("matmul", {{"x", a}, {"y", b_t}}, flags(false, true), product);
  expect_op("matmul", {{"x", a_t}, {"y", b_t}}, flags(true, true), product);
}

TEST(Matmul, BroadcastsBatchesAndTakesVectors) {
  const HostTensor x = fp32({2, 1, 1, 2}, {1, 2, 3, 4});
  const HostTensor y = fp32({3, 2, 1}, {1, 0, 0, 1, 1, 1});
  expect_op("matmul", {{"x", x}, {"y", y}}, {},
            fp32({2, 3, 1, 1}, {1, 2, 3, 3, 4, 7}));
  const HostTensor v = fp32({2}, {1, 10});
  const HostTensor m = fp32({2, 2}, {1, 2, 3, 4});
  expect_op("matmul", {{"x", v}, {"y", m}}, {}, fp32({2}, {31, 42}));
  expect_op("matmul", {{"x", m}, {"y", v}}, {}, fp32({2}, {21, 43}));
  expect_op("matmul", {{"x", v}, {"y", v}}, {}, fp32({}, {101}));
  expect_op("matmul", {{"x", iota({2, 0})}, {"y", iota({0, 2})}}, {},
            fp32({2, 2}, {0, 0, 0, 0}));
}

TEST(Matmul, AccumulatesWide) {
  // In fp32 a sum of 2^24 ones plus one more would stay at 2^24.
  HostTensor x = fp32({1, 3}, {16777216, 1, 1});
  HostTensor ones = fp32({3, 1}, {1, 1, 1});
  expect_op("matmul", {{"x", x}, {"y", ones}}, {}, fp32({1, 1}, {16777218}), 0);
}

TEST(Matmul, RefusesWhatDoesNotFit) {
  expect_refusal("matmul", {{"x", iota({2, 3})}, {"y", iota({2, 3})}}, {},
                 "inner dimensions 3 and 2 differ");
  expect_refusal("matmul", {{"x", iota({2, 2, 2})}, {"y", iota({3, 2, 2})}}, {},
                 "do not broadcast");
  expect_refusal("matmul", {{"x", iota({})}, {"y", iota({2, 2})}}, {},
                 "scalar");
  expect_refusal("matmul", {{"x", iota({2, 2})}}, {}, "'y' is missing");
}

TEST(Linear, IsXTimesWeightTransposedPlusBias) {
  expect_op("linear",
            {{"x", fp32({2, 2}, {1, 2, 3, 4})},
             {"weight", fp32({3, 2}, {1, 0, 0, 1, 1, 1})},
             {"bias", fp32({3}, {10, 20, 30})}},
            {}, fp32({2, 3}, {11, 22, 33, 13, 24, 37}));
  expect_op("linear",
            {{"x", fp32({2}, {1, 2})}, {"weight", fp32({1, 2}, {3, 4})}}, {},
            fp32({1}, {11}));
  expect_refusal("linear", {{"x", iota({2, 3})}, {"weight", iota({3, 2})}}, {},
                 "does not fit weight");
  expect_refusal(
      "linear",
      {{"x", iota({2, 2})}, {"weight", iota({3, 2})}, {"bias", iota({2})}}, {},
      "bias has 2 elements");
}

}  // namespace
}  // namespace aneroid::interp
