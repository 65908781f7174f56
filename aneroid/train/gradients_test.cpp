#include "aneroid/train/gradients.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"

namespace aneroid::train {
namespace {

constexpr int64_t kSequence = 9;

model::ModelConfig small_config() {
  model::ModelConfig config;
  config.hidden_size = 12;
  config.intermediate_size = 20;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 1;
  config.head_dim = 6;
  config.vocab_size = 15;
  return config;
}

// [rows, kSequence] in fp32, as reference numerics keep it.
struct Block {
  Block(Random& random, int64_t row_count) : rows(row_count) {
    for (int64_t i = 0; i < rows * kSequence; ++i) {
      values.push_back(static_cast<float>(random.normal()));
    }
  }
  pipeline::BlockView view() const {
    return {
        {values.data(), cpu::Storage::kFloat, kSequence, 1}, rows, kSequence};
  }
  double at(int64_t row, int64_t column) const {
    return static_cast<double>(
        values[static_cast<size_t>(row * kSequence + column)]);
  }
  int64_t rows;
  std::vector<float> values;
};

// sum_t dxn[c, t] g[c] x[c, t] / rms(x[:, t]): what the gains are multiplied
// into, as a number to differentiate.
double through_norm(const Block& dxn, const Block& x,
                    const std::vector<double>& gains, double epsilon) {
  double total = 0;
  for (int64_t t = 0; t < kSequence; ++t) {
    double square = 0;
    for (int64_t c = 0; c < x.rows; ++c) square += x.at(c, t) * x.at(c, t);
    const double r =
        1.0 / std::sqrt(square / static_cast<double>(x.rows) + epsilon);
    for (int64_t c = 0; c < x.rows; ++c) {
      total += dxn.at(c, t) * gains[static_cast<size_t>(c)] * x.at(c, t) * r;
    }
  }
  return total;
}

TEST(GainGradient, IsTheDerivative) {
  Random random(1);
  const Block dxn(random, 12);
  const Block x(random, 12);
  constexpr double kEpsilon = 1e-5;
  std::vector<double> gains(12, 1.5);
  std::vector<float> gradient(12, 7.0F);
  gain_gradient({0, dxn.view(), x.view()}, kEpsilon, false, gradient.data());
  for (size_t c = 0; c < gains.size(); ++c) {
    const double before = through_norm(dxn, x, gains, kEpsilon);
    gains[c] += 1.0;  // linear in the gains: any step will do
    const double after = through_norm(dxn, x, gains, kEpsilon);
    gains[c] -= 1.0;
    EXPECT_NEAR(gradient[c], after - before, 1e-5) << c;
  }
  std::vector<float> twice = gradient;
  gain_gradient({0, dxn.view(), x.view()}, kEpsilon, true, twice.data());
  for (size_t c = 0; c < twice.size(); ++c) {
    EXPECT_FLOAT_EQ(twice[c], 2 * gradient[c]);
  }
}

class GradientsTest : public testing::Test {
 protected:
  size_t parameter(std::string_view role, int64_t layer) const {
    return static_cast<size_t>(model::find_parameter(table_, role, layer));
  }

  cpu::ThreadPool pool_{2};
  model::ModelConfig config_ = small_config();
  std::vector<model::ParameterSpec> table_ = model::parameter_table(config_);
  Gradients gradients_{pool_, config_, cpu::Accumulate::kDouble};
};

// A weight [rows, cols] has dW = dy x^T: rows follow dy, and a rectangular
// weight tells it from its transpose.
TEST_F(GradientsTest, WeightsAreOuterProductsAndAddUp) {
  Random random(2);
  const size_t w1 = parameter("gate_proj", 0);
  const int64_t rows = config_.intermediate_size;
  const int64_t cols = config_.hidden_size;
  const Block dy(random, rows);
  const Block x(random, cols);
  const std::vector<int32_t> tokens(kSequence, 0);
  const std::vector<float> dx(
      static_cast<size_t>(kSequence * config_.hidden_size), 0.0F);
  for (const int round : {1, 2}) {
    gradients_.begin(round == 1);
    gradients_.sink().weight({w1, 0, dy.view(), x.view(), 0.25F});
    gradients_.finish(tokens, dx);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        double sum = 0;
        for (int64_t t = 0; t < kSequence; ++t) sum += dy.at(r, t) * x.at(c, t);
        ASSERT_NEAR(gradients_[w1][static_cast<size_t>(r * cols + c)],
                    0.25 * round * sum, 1e-4);
      }
    }
  }
}

TEST_F(GradientsTest, EmbeddingRowsCollectTheirTokens) {
  const auto embedding = parameter("embed_tokens", -1);
  const auto width = static_cast<size_t>(config_.hidden_size);
  // Token 3 twice, token 14 once.
  const std::vector<int32_t> tokens = {3, 14, 3};
  std::vector<float> dx(tokens.size() * width);
  for (size_t i = 0; i < dx.size(); ++i) dx[i] = static_cast<float>(i);
  gradients_.begin(true);
  gradients_.finish(tokens, dx);
  for (size_t i = 0; i < width; ++i) {
    EXPECT_EQ(gradients_[embedding][3 * width + i], dx[i] + dx[2 * width + i]);
    EXPECT_EQ(gradients_[embedding][14 * width + i], dx[width + i]);
    EXPECT_EQ(gradients_[embedding][4 * width + i], 0.0F);
  }
}

TEST_F(GradientsTest, TheNormSeesEveryOverflow) {
  const std::vector<int32_t> tokens = {1};
  std::vector<float> dx(static_cast<size_t>(config_.hidden_size), 0.0F);
  dx[0] = 3;
  dx[1] = -4;
  gradients_.begin(true);
  gradients_.finish(tokens, dx);
  EXPECT_DOUBLE_EQ(gradients_.norm(), 5.0);
  gradients_[parameter("down_proj", 0)].back() =
      std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(gradients_.norm()));
}

TEST_F(GradientsTest, FactorsThatAreNotFiniteAreFound) {
  Random random(3);
  const size_t w1 = parameter("gate_proj", 0);
  const size_t gain = parameter("input_layernorm", 0);
  const Block dy(random, config_.intermediate_size);
  const Block x(random, config_.hidden_size);
  Block bad_dy = dy;
  Block bad_x = x;
  bad_dy.values.back() = std::numeric_limits<float>::infinity();
  bad_x.values.back() = std::numeric_limits<float>::quiet_NaN();
  const std::vector<int32_t> tokens = {1};
  std::vector<float> dx(static_cast<size_t>(config_.hidden_size), 0.0F);
  const auto finite = [&](const Block& a, const Block& b, const Block& dxn,
                          bool check = true) {
    gradients_.begin(true, check);
    const pipeline::GradientSink sink = gradients_.sink();
    sink.weight({w1, 0, a.view(), b.view(), 1.0F});
    sink.weight({w1, 0, dy.view(), b.view(), 1.0F});  // shares an operand
    sink.gain({gain, dxn.view(), x.view()});
    gradients_.finish(tokens, dx);
    return gradients_.finite();
  };
  EXPECT_TRUE(finite(dy, x, x));
  EXPECT_FALSE(finite(bad_dy, x, x));
  EXPECT_FALSE(finite(dy, bad_x, x));
  EXPECT_FALSE(finite(dy, x, bad_x));
  EXPECT_TRUE(finite(dy, x, x)) << "forgets the last pass";
  EXPECT_TRUE(finite(bad_dy, x, x, false)) << "not asked for";
  dx[1] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(finite(dy, x, x));
}

}  // namespace
}  // namespace aneroid::train
