// Each program, run by the interpreter in reference numerics, against its
// plain definition; what fp16 leaves of it; and proof that the mistakes known
// from earlier trainers would be seen.
#include <functional>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/kernels/products.h"
#include "aneroid/kernels/run_program.h"
#include "aneroid/kernels/test_support.h"

namespace aneroid::kernels {
namespace {

using plain::Blocks;
using plain::Matrix;

// Of reference numerics, relative to the largest value of the block (7e-7 when
// this was written).
constexpr double kTolerance = 1e-5;
// A wrong formula must miss by this much to count as caught.
constexpr double kClearlyWrong = 1000.0 * kTolerance;

void expect_close(const Blocks& actual, const Blocks& expected,
                  double tolerance = kTolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, values] : expected) {
    EXPECT_LE(relative_error(actual.at(name), values), tolerance)
        << "block " << name;
  }
}

struct Case {
  const char* name;
  model::ModelConfig config;
  int64_t sequence;
  double activation = 1.0;  // deviation of the inputs
};

std::vector<Case> cases() {
  model::ModelConfig base = make_config(64, 172, 8, 4, 8);
  model::ModelConfig far = base;
  far.rope_theta = 1e6;
  model::ModelConfig coarse = base;
  coarse.rms_norm_eps = 1.3e-6;
  return {
      {"mha", make_config(64, 96, 4, 4, 16), 32},
      {"gqa2", base, 40},
      {"gqa4", make_config(64, 96, 8, 2, 8), 40},
      {"one_kv_head", make_config(32, 64, 4, 1, 8), 32},
      {"wide_query", make_config(32, 64, 4, 2, 16), 40},
      {"narrow_query", make_config(96, 64, 4, 2, 8), 32},
      {"model_over_hidden", make_config(64, 24, 4, 2, 16), 7},
      {"tall_hidden", make_config(32, 320, 2, 2, 16), 7},
      {"odd_sizes", make_config(44, 50, 3, 1, 6), 33},
      {"one_position", base, 1},
      {"long_wavelengths", far, 40},
      // Epsilon and the mean square are of one size, so that a rounded
      // epsilon would be seen.
      {"small_activations", coarse, 32, 1e-3},
      {"large_activations", base, 32, 50.0},
  };
}

class Programs : public testing::TestWithParam<Case> {
 protected:
  const model::ModelConfig& config() const { return GetParam().config; }
  int64_t sequence() const { return GetParam().sequence; }
  double activation() const { return GetParam().activation; }
  Matrix gradient(uint64_t seed) const {
    Random random(seed);
    return random_matrix(random, config().hidden_size, sequence(), 1.0);
  }
};

TEST_P(Programs, Attention) {
  const Blocks in = attention_inputs(config(), sequence(), 1, activation());
  const Blocks expected = plain::attention_forward(config(), in);
  const auto forward = attention_forward(config(), sequence());
  ASSERT_TRUE(forward) << to_string(forward.error());
  expect_close(run(*forward, in, sequence()), expected);

  const Blocks back = attention_backward_inputs(in, expected, gradient(2));
  const auto backward = attention_backward(config(), sequence());
  ASSERT_TRUE(backward) << to_string(backward.error());
  expect_close(run(*backward, back, sequence()),
               plain::attention_backward(config(), back));
}

TEST_P(Programs, FeedForward) {
  const Blocks in = ffn_inputs(config(), sequence(), 3, activation());
  const Blocks expected = plain::ffn_forward(config(), in);
  const auto forward = ffn_forward(config(), sequence());
  ASSERT_TRUE(forward) << to_string(forward.error());
  expect_close(run(*forward, in, sequence()), expected);

  const Blocks back = ffn_backward_inputs(in, expected, gradient(4));
  const auto backward = ffn_backward(config(), sequence());
  ASSERT_TRUE(backward) << to_string(backward.error());
  expect_close(run(*backward, back, sequence()),
               plain::ffn_backward(config(), back));
}

TEST_P(Programs, FinalNorm) {
  const Blocks all = attention_inputs(config(), sequence(), 5, activation());
  const Blocks in = {{"x", all.at("x")}, {"gain", all.at("gain")}};
  const auto forward = final_norm_forward(config(), sequence());
  ASSERT_TRUE(forward) << to_string(forward.error());
  expect_close(run(*forward, in, sequence()),
               plain::final_norm_forward(config(), in));

  Blocks back = in;
  back["dxf"] = gradient(6);
  const auto backward = final_norm_backward(config(), sequence());
  ASSERT_TRUE(backward) << to_string(backward.error());
  expect_close(run(*backward, back, sequence()),
               plain::final_norm_backward(config(), back));
}

TEST_P(Programs, Classifier) {
  const int64_t tile = vocabulary_tiles(config().vocab_size).size;
  Random random(7);
  const Matrix e = random_matrix(random, tile, config().hidden_size, 0.1);
  const Blocks in = {{"xf", gradient(8)}, {"e", e}};
  const auto forward = classifier_forward(config(), sequence());
  ASSERT_TRUE(forward) << to_string(forward.error());
  expect_close(run(*forward, in, sequence()), plain::classifier_forward(in));

  const Blocks back = {
      {"dlogits", random_matrix(random, tile, sequence(), 1.0)}, {"e", e}};
  const auto backward = classifier_backward(config(), sequence());
  ASSERT_TRUE(backward) << to_string(backward.error());
  expect_close(run(*backward, back, sequence()),
               plain::classifier_backward(back));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Programs, testing::ValuesIn(cases()),
                         [](const auto& shape) {
                           return std::string(shape.param.name);
                         });

// --- Mistakes of earlier trainers -------------------------------------------
// The program must agree with the right formula and be far from the wrong one
// on the same inputs.

model::ModelConfig grouped_config() { return make_config(64, 96, 8, 4, 8); }
constexpr int64_t kSequence = 32;

// Weights of the same model with a key/value head for every query head, where
// query head h gets the rows of head map(h).
Matrix spread_heads(const Matrix& weight, const model::ModelConfig& config,
                    const std::function<int64_t(int64_t)>& map) {
  Matrix out(config.query_dim(), weight.columns);
  for (int64_t row = 0; row < out.rows; ++row) {
    const int64_t head = row / config.head_dim;
    for (int64_t column = 0; column < out.columns; ++column) {
      out(row, column) =
          weight(map(head) * config.head_dim + row % config.head_dim, column);
    }
  }
  return out;
}

TEST(KnownMistakes, QueryHeadsShareConsecutively) {
  const model::ModelConfig config = grouped_config();
  const Blocks in = attention_inputs(config, kSequence, 11);
  const auto program = attention_forward(config, kSequence);
  ASSERT_TRUE(program);
  const Matrix x2 = run(*program, in, kSequence).at("x2");

  model::ModelConfig every = config;
  every.num_key_value_heads = every.num_attention_heads;
  const auto with = [&](const std::function<int64_t(int64_t)>& map) {
    Blocks spread = in;
    spread["wk"] = spread_heads(in.at("wk"), config, map);
    spread["wv"] = spread_heads(in.at("wv"), config, map);
    return plain::attention_forward(every, spread).at("x2");
  };
  const int64_t ratio = config.group_size();
  const int64_t kv = config.num_key_value_heads;
  EXPECT_LE(relative_error(x2, with([&](int64_t h) { return h / ratio; })),
            kTolerance);
  EXPECT_GT(relative_error(x2, with([&](int64_t h) { return h % kv; })),
            kClearlyWrong);
}

TEST(KnownMistakes, QueriesAndKeysAreRotated) {
  const model::ModelConfig config = grouped_config();
  const Blocks in = attention_inputs(config, kSequence, 12);
  const auto program = attention_forward(config, kSequence);
  ASSERT_TRUE(program);
  const Matrix a = run(*program, in, kSequence).at("a");

  const Matrix xn =
      plain::rms_norm(in.at("x"), in.at("gain"), config.rms_norm_eps);
  const auto project = [&](const char* w) {
    return plain::multiply(in.at(w), xn);
  };
  const auto turned = [&](const char* w) {
    return plain::rotate(project(w), config, 1.0);
  };
  EXPECT_LE(relative_error(a, plain::attend(turned("wq"), turned("wk"),
                                            project("wv"), config)),
            kTolerance);
  EXPECT_GT(relative_error(a, plain::attend(project("wq"), project("wk"),
                                            project("wv"), config)),
            kClearlyWrong);
}

// dq and dk must be turned back, or they are gradients of another weight.
TEST(KnownMistakes, GradientsAreTurnedBack) {
  const model::ModelConfig config = grouped_config();
  const Blocks in = attention_inputs(config, kSequence, 13);
  Random random(14);
  const Matrix dx2 = random_matrix(random, 64, kSequence, 1.0);
  const Blocks back =
      attention_backward_inputs(in, plain::attention_forward(config, in), dx2);
  const auto program = attention_backward(config, kSequence);
  ASSERT_TRUE(program);
  const Blocks out = run(*program, back, kSequence);
  const plain::AttentionGradient turned = plain::attend_gradient(
      plain::multiply(plain::transpose(in.at("wo")), dx2), back.at("q"),
      back.at("k"), back.at("v"), config);
  for (const auto& [name, gradient] :
       {std::pair{"dq", &turned.dq}, std::pair{"dk", &turned.dk}}) {
    EXPECT_LE(
        relative_error(out.at(name), plain::rotate(*gradient, config, -1.0)),
        kTolerance);
    EXPECT_GT(relative_error(out.at(name), *gradient), kClearlyWrong);
  }
}

TEST(KnownMistakes, GainDoesNotScaleTheNormsCorrection) {
  const model::ModelConfig config = grouped_config();
  const Blocks all = attention_inputs(config, kSequence, 15);
  const Matrix& x = all.at("x");
  const Matrix& gain = all.at("gain");
  Random random(16);
  Matrix dxf = random_matrix(random, 64, kSequence, 0.5);
  dxf = plain::add(dxf, x);  // a gradient along x makes the correction large
  const auto program = final_norm_backward(config, kSequence);
  ASSERT_TRUE(program);
  const Matrix dx =
      run(*program, {{"dxf", dxf}, {"x", x}, {"gain", gain}}, kSequence)
          .at("dx");

  const double eps = config.rms_norm_eps;
  EXPECT_LE(relative_error(dx, plain::rms_norm_gradient(dxf, x, gain, eps)),
            kTolerance);
  // gain r (dy - x dot) instead of r (gain dy - x dot).
  Matrix wrong(64, kSequence);
  for (int64_t t = 0; t < kSequence; ++t) {
    double square = 0.0;
    double dot = 0.0;
    for (int64_t c = 0; c < 64; ++c) {
      square += x(c, t) * x(c, t);
      dot += gain(c, 0) * dxf(c, t) * x(c, t);
    }
    const double r = 1.0 / std::sqrt(square / 64.0 + eps);
    for (int64_t c = 0; c < 64; ++c) {
      wrong(c, t) = gain(c, 0) * r * (dxf(c, t) - x(c, t) * dot * r * r / 64.0);
    }
  }
  EXPECT_GT(relative_error(dx, wrong), kClearlyWrong);
}

// The tables are fp32 for a reason: fp16 ones would miss the tolerance.
TEST(KnownMistakes, HalfPrecisionTablesWouldNotDo) {
  double worst = 0.0;
  for (int t = 0; t < 512; ++t) {
    const double exact = std::cos(t);
    worst = std::max(worst, std::abs(to_float(to_half_even(exact)) - exact));
  }
  EXPECT_GT(worst, kTolerance);
}

// --- fp16 -------------------------------------------------------------------

// Every op rounded to fp16, as the engine stores values: nothing overflows,
// nothing vanishes.
TEST(HalfPrecision, WholeKernelsKeepThreeDigits) {
  const model::ModelConfig config = make_config(64, 172, 8, 4, 8);
  constexpr auto kFp16 = interp::Rounding::kFp16;
  constexpr double kHalfTolerance = 1e-2;
  Random random(21);
  const Matrix dy = random_matrix(random, 64, 40, 1.0);

  const Blocks attn = attention_inputs(config, 40, 22);
  const Blocks attn_out = plain::attention_forward(config, attn);
  expect_close(run(*attention_forward(config, 40), attn, 40, kFp16), attn_out,
               kHalfTolerance);
  const Blocks attn_back = attention_backward_inputs(attn, attn_out, dy);
  expect_close(run(*attention_backward(config, 40), attn_back, 40, kFp16),
               plain::attention_backward(config, attn_back), kHalfTolerance);

  const Blocks ffn = ffn_inputs(config, 40, 23);
  const Blocks ffn_out = plain::ffn_forward(config, ffn);
  expect_close(run(*ffn_forward(config, 40), ffn, 40, kFp16), ffn_out,
               kHalfTolerance);
  const Blocks ffn_back = ffn_backward_inputs(ffn, ffn_out, dy);
  expect_close(run(*ffn_backward(config, 40), ffn_back, 40, kFp16),
               plain::ffn_backward(config, ffn_back), kHalfTolerance);
}

struct NormCase {
  const char* name;
  double activation;
  double gradient;
};
class HalfPrecisionNorm : public testing::TestWithParam<NormCase> {};

// D = 768: without the scaling, the sum of squares overflows at an rms of 9.
TEST_P(HalfPrecisionNorm, HoldsOverTheRangeOfTraining) {
  const model::ModelConfig config = make_config(768, 64, 2, 2, 16);
  constexpr int64_t kColumns = 32;
  Random random(31);
  Blocks in = {
      {"x", random_matrix(random, 768, kColumns, GetParam().activation)},
      {"gain", random_input(random, "gain", 768, 1, 1.0)}};
  for (double& value : in["x"].data) value = to_float(to_half_even(value));
  const auto forward = final_norm_forward(config, kColumns);
  ASSERT_TRUE(forward);
  expect_close(run(*forward, in, kColumns, interp::Rounding::kFp16),
               plain::final_norm_forward(config, in), 1e-2);
  in["dxf"] = random_matrix(random, 768, kColumns, GetParam().gradient);
  // Something for the correction to subtract.
  for (size_t i = 0; i < in["dxf"].data.size(); ++i) {
    double& value = in["dxf"].data[i];
    value += GetParam().gradient / GetParam().activation * in["x"].data[i];
    value = to_float(to_half_even(value));
  }
  const auto backward = final_norm_backward(config, kColumns);
  ASSERT_TRUE(backward);
  expect_close(run(*backward, in, kColumns, interp::Rounding::kFp16),
               plain::final_norm_backward(config, in), 1e-2);
}

INSTANTIATE_TEST_SUITE_P(
    Ranges, HalfPrecisionNorm,
    testing::Values(NormCase{"ordinary", 1.0, 1.0},
                    NormCase{"fresh_embedding", 0.02, 0.1},
                    NormCase{"large_activations", 100.0, 1.0},
                    NormCase{"large_gradients", 1.0, 1000.0},
                    NormCase{"small_gradients", 1.0, 1e-3}),
    [](const auto& shape) { return std::string(shape.param.name); });

TEST(Products, AreThoseOfAStep) {
  model::ModelConfig config = make_config(768, 2048, 12, 12, 64);
  config.vocab_size = 32000;
  config.num_hidden_layers = 12;
  // 6 x 256 x (12 x 7,077,888 + 24,576,000), and 12 x 256^2 x 768 x 12.
  EXPECT_DOUBLE_EQ(training_flops(config, 256), 168208367616.0 + 7247757312.0);
  double all = 0;
  int64_t rows = 0;
  for (const TrainingProduct& product : training_products(config, 256)) {
    all += product.flops() * static_cast<double>(product.count);
    rows += product.count;
    if (product.name == "q, k, v, o, dx of q, dx of k, dx of v, dx of o") {
      EXPECT_EQ(product.count, 96);
    }
  }
  // The backward pass computes the scores again: 2 x 256^2 x 768 x 12 more.
  EXPECT_DOUBLE_EQ(all, training_flops(config, 256) + 1207959552.0);
  // The classifier in four tiles of 8000.
  EXPECT_EQ(rows, 3 * (12 * 7 + 4) + 7 * 144);
}

}  // namespace
}  // namespace aneroid::kernels
