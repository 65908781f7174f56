// The static programs: legal text, and what they compute, against the plain
// loops of plain.h.
#include <set>
#include <utility>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/blob/blob.h"
#include "aneroid/interp/interp.h"
#include "aneroid/kernels/plain.h"
#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/kernels/test_support.h"
#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"

namespace aneroid::kernels {
namespace {

constexpr int64_t kSequence = 20;  // padded to 32

std::vector<const StaticProgram*> all(const StaticLayer& layer,
                                      const StaticExtras& extras) {
  return {&layer.fwd_attn,      &layer.fwd_ffn,      &layer.ffn_bwd,
          &layer.sdpa_bwd1,     &layer.sdpa_bwd2,    &layer.qkv_bwd,
          &extras.rms_bwd_attn, &extras.rms_bwd_ffn, &extras.final_rms,
          &extras.classifier,   &extras.softmax};
}

// Weights by role, as the model has them: [out, in], gains [n, 1].
using Weights = std::map<std::string, plain::Matrix>;

std::vector<std::byte> weight_file(const plain::Matrix& values) {
  std::vector<Half> halves;
  for (const double value : values.data) halves.push_back(to_half_even(value));
  return blob::single_blob(DataType::kFp16, std::as_bytes(std::span(halves)));
}

// Runs a program on the interpreter; blocks without padding.
plain::Blocks run(const StaticProgram& program, const Weights& weights,
                  const plain::Blocks& blocks) {
  plain::Blocks out;
  const auto parsed = mil::parse(program.mil_text, program.name);
  if (!parsed) {
    ADD_FAILURE() << to_string(parsed.error());
    return out;
  }
  std::vector<double> surface(
      static_cast<size_t>(program.input_channels * program.columns));
  for (const OutputBlock& block : program.inputs) {
    const plain::Matrix& values = blocks.at(block.name);
    EXPECT_EQ(values.rows, block.channels) << block.name;
    for (int64_t c = 0; c < values.rows; ++c) {
      for (int64_t t = 0; t < values.columns; ++t) {
        surface[static_cast<size_t>((block.channel + c) * program.columns +
                                    t)] = values(c, t);
      }
    }
  }
  std::map<std::string, std::vector<std::byte>> files;
  for (const BakedWeight& weight : program.baked) {
    const plain::Matrix& tensor = weights.at(weight.role);
    files[weight.path] =
        weight_file(weight.transposed ? plain::transpose(tensor) : tensor);
  }
  interp::WeightFiles all_files;
  for (const auto* group : {&program.tables, &std::as_const(files)}) {
    for (const auto& [path, bytes] : *group) all_files[path] = bytes;
  }
  interp::Options options;
  options.rounding = interp::Rounding::kFp32;
  const std::string input = parsed->function()->body.inputs[0].var.name;
  const auto results =
      interp::evaluate(*parsed,
                       {{input,
                         {DataType::kFp16,
                          {1, program.input_channels, 1, program.columns},
                          surface}}},
                       all_files, options);
  if (!results || results->size() != 1) {
    ADD_FAILURE() << (results ? "not one output" : to_string(results.error()));
    return out;
  }
  const interp::HostTensor& packed = results->begin()->second;
  for (const OutputBlock& block : program.outputs) {
    // Scores have a column for every position they look at; all of them count.
    plain::Matrix& values = out[block.name];
    values = plain::Matrix(block.channels, kSequence);
    for (int64_t c = 0; c < block.channels; ++c) {
      for (int64_t t = 0; t < kSequence; ++t) {
        values(c, t) = packed.data[static_cast<size_t>(
            (block.channel + c) * program.columns + t)];
      }
    }
  }
  return out;
}

class StaticPrograms : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    // Grouped heads; the query width is not the model's.
    config_ = make_config(24, 40, 4, 2, 8);
    layer_ = static_layer(config_, kSequence, {.rope = GetParam()}).value();
    extras_ = static_extras(config_, kSequence).value();
    Random random(4);
    const int64_t d = config_.hidden_size;
    const auto add = [&](const char* role, int64_t rows, int64_t columns) {
      plain::Matrix m = random_matrix(
          random, rows, columns, 1.5 / std::sqrt(static_cast<double>(columns)));
      for (double& value : m.data) value = to_float(to_half_even(value));
      weights_[role] = m;
    };
    add("q_proj", config_.query_dim(), d);
    add("k_proj", config_.key_value_dim(), d);
    add("v_proj", config_.key_value_dim(), d);
    add("o_proj", d, config_.query_dim());
    add("gate_proj", config_.intermediate_size, d);
    add("up_proj", config_.intermediate_size, d);
    add("down_proj", d, config_.intermediate_size);
    add("embed_tokens", config_.vocab_size, d);
    for (const char* role :
         {"input_layernorm", "post_attention_layernorm", "norm"}) {
      add(role, d, 1);
    }
    x_ = random_matrix(random, d, kSequence, 1.0);
    dy_ = random_matrix(random, d, kSequence, 1.0);
  }

  plain::Matrix rotate(const plain::Matrix& m, double direction) const {
    return GetParam() ? plain::rotate(m, config_, direction) : m;
  }
  plain::Matrix product(const char* role, const plain::Matrix& x) const {
    return plain::multiply(weights_.at(role), x);
  }
  plain::Matrix turned_product(const char* role, const plain::Matrix& x) const {
    return plain::multiply(plain::transpose(weights_.at(role)), x);
  }

  model::ModelConfig config_;
  StaticLayer layer_;
  StaticExtras extras_;
  Weights weights_;
  plain::Matrix x_, dy_;
};

TEST_P(StaticPrograms, TextVerifiesAndIsTheSameEveryTime) {
  const auto again =
      static_layer(config_, kSequence, {.rope = GetParam()}).value();
  const auto extras = static_extras(config_, kSequence).value();
  const auto first = all(layer_, extras_);
  const auto second = all(again, extras);
  for (size_t i = 0; i < first.size(); ++i) {
    SCOPED_TRACE(first[i]->name);
    const auto program = mil::parse(first[i]->mil_text, first[i]->name);
    ASSERT_TRUE(program) << to_string(program.error());
    for (const Diagnostic& finding : mil::verify(*program, first[i]->name)) {
      ADD_FAILURE() << to_string(finding);
    }
    EXPECT_EQ(first[i]->mil_text, second[i]->mil_text);
    EXPECT_EQ(first[i]->tables, second[i]->tables);
  }
}

// The published table: what is baked into which program.
TEST_P(StaticPrograms, BakeThePublishedWeights) {
  const std::pair<const StaticProgram*, size_t> counts[] = {
      {&layer_.fwd_attn, 5},      {&layer_.fwd_ffn, 4},
      {&layer_.ffn_bwd, 3},       {&layer_.sdpa_bwd1, 1},
      {&layer_.sdpa_bwd2, 0},     {&layer_.qkv_bwd, 3},
      {&extras_.rms_bwd_attn, 1}, {&extras_.rms_bwd_ffn, 1},
      {&extras_.final_rms, 1},    {&extras_.classifier, 1},
      {&extras_.softmax, 0}};
  for (const auto& [program, count] : counts) {
    EXPECT_EQ(program->baked.size(), count) << program->name;
    std::set<std::string> paths;
    for (const BakedWeight& weight : program->baked) {
      EXPECT_TRUE(paths.insert(weight.path).second) << weight.path;
      EXPECT_NE(program->mil_text.find(weight.path), std::string::npos);
    }
  }
}

TEST_P(StaticPrograms, AttentionForward) {
  const plain::Blocks out = run(layer_.fwd_attn, weights_, {{"x", x_}});
  const auto xn =
      plain::rms_norm(x_, weights_["input_layernorm"], config_.rms_norm_eps);
  const auto q = rotate(product("q_proj", xn), 1);
  const auto k = rotate(product("k_proj", xn), 1);
  const auto v = product("v_proj", xn);
  const auto a = plain::attend(q, k, v, config_);
  EXPECT_LT(relative_error(out.at("xn"), xn), 1e-5);
  EXPECT_LT(relative_error(out.at("q"), q), 1e-5);
  EXPECT_LT(relative_error(out.at("k"), k), 1e-5);
  EXPECT_LT(relative_error(out.at("v"), v), 1e-5);
  EXPECT_LT(relative_error(out.at("a"), a), 1e-5);
  EXPECT_LT(relative_error(out.at("o"), product("o_proj", a)), 1e-5);
}

TEST_P(StaticPrograms, AttentionBackward) {
  const plain::Blocks forward = run(layer_.fwd_attn, weights_, {{"x", x_}});
  const plain::Blocks first = run(layer_.sdpa_bwd1, weights_,
                                  {{"q", forward.at("q")},
                                   {"k", forward.at("k")},
                                   {"v", forward.at("v")},
                                   {"dx2", dy_}});
  // Rows of scores look at every column of the padded sequence, of which the
  // later ones are masked: what run() cuts off is zero in P.
  const plain::Blocks second = run(layer_.sdpa_bwd2, weights_,
                                   {{"probs", first.at("probs")},
                                    {"dp", first.at("dp")},
                                    {"q", forward.at("q")},
                                    {"k", forward.at("k")}});
  const auto expected =
      plain::attend_gradient(turned_product("o_proj", dy_), forward.at("q"),
                             forward.at("k"), forward.at("v"), config_);
  const auto dq = rotate(expected.dq, -1);
  const auto dk = rotate(expected.dk, -1);
  EXPECT_LT(relative_error(first.at("dv"), expected.dv), 1e-5);
  EXPECT_LT(relative_error(second.at("dq"), dq), 1e-5);
  EXPECT_LT(relative_error(second.at("dk"), dk), 1e-5);

  const plain::Blocks last = run(layer_.qkv_bwd, weights_,
                                 {{"dq", dq}, {"dk", dk}, {"dv", expected.dv}});
  const auto dx = plain::add(
      plain::add(turned_product("q_proj", dq), turned_product("k_proj", dk)),
      turned_product("v_proj", expected.dv));
  EXPECT_LT(relative_error(last.at("dx"), dx), 1e-5);
}

TEST_P(StaticPrograms, FeedForward) {
  const plain::Blocks forward = run(layer_.fwd_ffn, weights_, {{"x2", x_}});
  const plain::Blocks in = {{"x2", x_},
                            {"gain", weights_["post_attention_layernorm"]},
                            {"w1", weights_["gate_proj"]},
                            {"w3", weights_["up_proj"]},
                            {"w2", plain::transpose(weights_["down_proj"])}};
  const plain::Blocks expected = plain::ffn_forward(config_, in);
  for (const char* block : {"xn2", "h1", "h3", "g"}) {
    EXPECT_LT(relative_error(forward.at(block), expected.at(block)), 1e-5)
        << block;
  }
  EXPECT_LT(relative_error(plain::add(x_, forward.at("y")), expected.at("y")),
            1e-5);

  const plain::Blocks back =
      run(layer_.ffn_bwd, weights_,
          {{"dffn", dy_}, {"h1", forward.at("h1")}, {"h3", forward.at("h3")}});
  const plain::Blocks gradient =
      plain::ffn_backward(config_, ffn_backward_inputs(in, expected, dy_));
  EXPECT_LT(relative_error(back.at("dx"), gradient.at("dxn2")), 1e-5);
  EXPECT_LT(relative_error(back.at("dh1"), gradient.at("dh1")), 1e-5);
  EXPECT_LT(relative_error(back.at("dh3"), gradient.at("dh3")), 1e-5);
}

TEST_P(StaticPrograms, Extras) {
  for (const auto& [program, role] :
       {std::pair{&extras_.rms_bwd_attn, "input_layernorm"},
        std::pair{&extras_.rms_bwd_ffn, "post_attention_layernorm"}}) {
    const plain::Blocks out = run(*program, weights_, {{"dy", dy_}, {"x", x_}});
    EXPECT_LT(relative_error(out.at("dx"),
                             plain::rms_norm_gradient(dy_, x_, weights_[role],
                                                      config_.rms_norm_eps)),
              1e-5);
  }
  const auto xn = run(extras_.final_rms, weights_, {{"x", x_}}).at("xn");
  EXPECT_LT(relative_error(xn, plain::rms_norm(x_, weights_["norm"],
                                               config_.rms_norm_eps)),
            1e-5);
  const auto logits =
      run(extras_.classifier, weights_, {{"x", xn}}).at("logits");
  EXPECT_LT(relative_error(logits, product("embed_tokens", xn)), 1e-5);
  const auto probs =
      run(extras_.softmax, weights_, {{"logits", logits}}).at("probs");
  for (int64_t t = 0; t < kSequence; ++t) {
    double sum = 0;
    for (int64_t v = 0; v < config_.vocab_size; ++v)
      sum += std::exp(logits(v, t));
    for (int64_t v = 0; v < config_.vocab_size; ++v) {
      EXPECT_NEAR(probs(v, t), std::exp(logits(v, t)) / sum, 1e-6);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutRope, StaticPrograms,
                         testing::Values(true, false));

TEST(StaticLimits, SurfacesTooLargeForTheEngineAreNamed) {
  // 128 heads of 256 rows: twice that many channels of scores go in.
  const auto refused = static_layer(make_config(256, 256, 128, 128, 2), 256);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().label, "kernel");
  EXPECT_NE(refused.error().place.find("sdpa_bwd"), std::string::npos)
      << to_string(refused.error());
  model::ModelConfig large = make_config(64, 64, 2, 2, 32);
  large.vocab_size = 70000;
  EXPECT_TRUE(static_layer(large, 32));
  const auto classifier = static_extras(large, 32);
  ASSERT_FALSE(classifier);
  EXPECT_EQ(classifier.error().place, "classifier");
}

}  // namespace
}  // namespace aneroid::kernels
