// Proves the oracle: every gradient of plain.h against central differences of
// its forward function, including the weight and gain gradients that a trainer
// forms from the kernels' outputs.
#include "aneroid/kernels/plain.h"

#include <functional>

#include <gtest/gtest.h>

#include "aneroid/kernels/test_support.h"

namespace aneroid::kernels {
namespace {

using plain::Blocks;
using plain::Matrix;

constexpr double kTolerance = 1e-7;

double dot(const Matrix& a, const Matrix& b) {
  double sum = 0.0;
  for (size_t i = 0; i < a.data.size(); ++i) sum += a.data[i] * b.data[i];
  return sum;
}

using Loss = std::function<double(const Blocks&)>;

// d loss / d block by central differences.
Matrix differences(const Loss& loss, Blocks blocks, const std::string& name) {
  constexpr double kStep = 1e-5;
  Matrix& block = blocks.at(name);
  Matrix out(block.rows, block.columns);
  for (size_t i = 0; i < out.data.size(); ++i) {
    const double at = block.data[i];
    block.data[i] = at + kStep;
    const double above = loss(blocks);
    block.data[i] = at - kStep;
    const double below = loss(blocks);
    block.data[i] = at;
    out.data[i] = (above - below) / (2.0 * kStep);
  }
  return out;
}

// Each block's gradient, by name, against the differences of `loss`.
void expect_gradients(const Loss& loss, const Blocks& at,
                      const Blocks& gradients) {
  for (const auto& [name, gradient] : gradients) {
    EXPECT_LT(relative_error(gradient, differences(loss, at, name)), kTolerance)
        << "gradient of " << name;
  }
}

Matrix outer(const Matrix& a, const Matrix& b) {  // a b^T
  return plain::multiply(a, plain::transpose(b));
}

struct Shape4 {
  const char* name;
  model::ModelConfig config;
};

class PlainGradients : public testing::TestWithParam<Shape4> {
 protected:
  static constexpr int64_t kSequence = 5;
  const model::ModelConfig& config() const { return GetParam().config; }
};

TEST_P(PlainGradients, Attention) {
  const Blocks in = attention_inputs(config(), kSequence, 1);
  Random random(2);
  const Matrix dx2 =
      random_matrix(random, config().hidden_size, kSequence, 1.0);
  const Loss loss = [&](const Blocks& blocks) {
    return dot(dx2, plain::attention_forward(config(), blocks).at("x2"));
  };
  const Blocks out = plain::attention_forward(config(), in);
  const Blocks gradient = plain::attention_backward(
      config(), attention_backward_inputs(in, out, dx2));
  const Matrix& xn = out.at("xn");
  expect_gradients(
      loss, in,
      {{"x", gradient.at("dx")},
       {"gain", plain::rms_norm_gain_gradient(gradient.at("dxn"), in.at("x"),
                                              config().rms_norm_eps)},
       {"wq", outer(gradient.at("dq"), xn)},
       {"wk", outer(gradient.at("dk"), xn)},
       {"wv", outer(gradient.at("dv"), xn)},
       {"wo", outer(dx2, out.at("a"))}});
}

TEST_P(PlainGradients, AttentionCore) {
  Random random(3);
  const int64_t q = config().query_dim();
  const int64_t k = config().key_value_dim();
  const Blocks in = {{"q", random_matrix(random, q, kSequence, 1.0)},
                     {"k", random_matrix(random, k, kSequence, 1.0)},
                     {"v", random_matrix(random, k, kSequence, 1.0)}};
  const Matrix da = random_matrix(random, q, kSequence, 1.0);
  const Loss loss = [&](const Blocks& blocks) {
    return dot(da, plain::attend(blocks.at("q"), blocks.at("k"), blocks.at("v"),
                                 config()));
  };
  const plain::AttentionGradient gradient =
      plain::attend_gradient(da, in.at("q"), in.at("k"), in.at("v"), config());
  expect_gradients(
      loss, in, {{"q", gradient.dq}, {"k", gradient.dk}, {"v", gradient.dv}});
}

TEST_P(PlainGradients, FeedForward) {
  const Blocks in = ffn_inputs(config(), kSequence, 4);
  Random random(5);
  const Matrix dy = random_matrix(random, config().hidden_size, kSequence, 1.0);
  const Loss loss = [&](const Blocks& blocks) {
    return dot(dy, plain::ffn_forward(config(), blocks).at("y"));
  };
  const Blocks out = plain::ffn_forward(config(), in);
  const Blocks gradient =
      plain::ffn_backward(config(), ffn_backward_inputs(in, out, dy));
  const Matrix& xn2 = out.at("xn2");
  expect_gradients(
      loss, in,
      {{"x2", gradient.at("dx2")},
       {"gain", plain::rms_norm_gain_gradient(gradient.at("dxn2"), in.at("x2"),
                                              config().rms_norm_eps)},
       {"w1", outer(gradient.at("dh1"), xn2)},
       {"w3", outer(gradient.at("dh3"), xn2)},
       {"w2", outer(out.at("g"), dy)}});
}

TEST_P(PlainGradients, FinalNorm) {
  const Blocks all = attention_inputs(config(), kSequence, 6);
  const Blocks in = {{"x", all.at("x")}, {"gain", all.at("gain")}};
  Random random(7);
  const Matrix dxf =
      random_matrix(random, config().hidden_size, kSequence, 1.0);
  const Loss loss = [&](const Blocks& blocks) {
    return dot(dxf, plain::final_norm_forward(config(), blocks).at("xf"));
  };
  const Blocks gradient = plain::final_norm_backward(
      config(), {{"dxf", dxf}, {"x", in.at("x")}, {"gain", in.at("gain")}});
  expect_gradients(loss, in,
                   {{"x", gradient.at("dx")},
                    {"gain", plain::rms_norm_gain_gradient(
                                 dxf, in.at("x"), config().rms_norm_eps)}});
}

TEST_P(PlainGradients, Classifier) {
  Random random(8);
  const int64_t d = config().hidden_size;
  const Blocks in = {{"xf", random_matrix(random, d, kSequence, 1.0)},
                     {"e", random_matrix(random, 9, d, 1.0)}};
  const Matrix dlogits = random_matrix(random, 9, kSequence, 1.0);
  const Loss loss = [&](const Blocks& blocks) {
    return dot(dlogits, plain::classifier_forward(blocks).at("logits"));
  };
  const Blocks gradient =
      plain::classifier_backward({{"dlogits", dlogits}, {"e", in.at("e")}});
  expect_gradients(
      loss, in,
      {{"xf", gradient.at("dxf")}, {"e", outer(dlogits, in.at("xf"))}});
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PlainGradients,
    testing::Values(Shape4{"mha", make_config(8, 12, 2, 2, 4)},
                    Shape4{"gqa2", make_config(8, 12, 4, 2, 2)},
                    Shape4{"gqa4", make_config(8, 6, 4, 1, 4)},
                    Shape4{"wide_query", make_config(6, 20, 4, 2, 4)},
                    Shape4{"narrow_query", make_config(12, 5, 1, 1, 6)}),
    [](const auto& shape) { return std::string(shape.param.name); });

// Values one can work out by hand.
TEST(Plain, RotationTurnsPairsByPositionTimesFrequency) {
  model::ModelConfig config = make_config(4, 4, 1, 1, 4);
  config.rope_theta = 100.0;  // frequencies 1 and 1/10
  Matrix x(4, 2);
  x(0, 1) = 1.0;
  x(2, 1) = 1.0;
  const Matrix y = plain::rotate(x, config, 1.0);
  EXPECT_NEAR(y(0, 1), std::cos(1.0), 1e-15);
  EXPECT_NEAR(y(1, 1), std::sin(1.0), 1e-15);
  EXPECT_NEAR(y(2, 1), std::cos(0.1), 1e-15);
  EXPECT_NEAR(y(3, 1), std::sin(0.1), 1e-15);
  EXPECT_LT(relative_error(plain::rotate(y, config, -1.0), x), 1e-15);
}

TEST(Plain, AttentionSeesOnlyThePast) {
  const model::ModelConfig config = make_config(4, 4, 2, 1, 2);
  Random random(9);
  const Matrix q = random_matrix(random, 4, 3, 1.0);
  const Matrix k = random_matrix(random, 2, 3, 1.0);
  Matrix v = random_matrix(random, 2, 3, 1.0);
  const Matrix before = plain::attend(q, k, v, config);
  EXPECT_DOUBLE_EQ(before(0, 0), v(0, 0));
  EXPECT_DOUBLE_EQ(before(3, 0), v(1, 0));
  v(0, 2) += 1.0;
  const Matrix after = plain::attend(q, k, v, config);
  for (int64_t c = 0; c < 4; ++c) {
    EXPECT_EQ(before(c, 0), after(c, 0));
    EXPECT_EQ(before(c, 1), after(c, 1));
  }
  EXPECT_GT(after(0, 2), before(0, 2));
}

TEST(Plain, RmsNormOfAConstantColumnIsItsSignTimesTheGain) {
  Matrix x(3, 1);
  Matrix gain(3, 1);
  for (int64_t c = 0; c < 3; ++c) {
    x(c, 0) = -5.0;
    gain(c, 0) = static_cast<double>(c);
  }
  const Matrix y = plain::rms_norm(x, gain, 0.0);
  for (int64_t c = 0; c < 3; ++c) {
    EXPECT_DOUBLE_EQ(y(c, 0), -static_cast<double>(c));
  }
}

}  // namespace
}  // namespace aneroid::kernels
