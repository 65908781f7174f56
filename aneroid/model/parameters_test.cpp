#include "aneroid/model/parameters.h"

#include <cmath>
#include <map>
#include <set>

#include <gtest/gtest.h>

namespace aneroid::model {
namespace {

int64_t table_count(const ModelConfig& config) {
  int64_t total = 0;
  for (const ParameterSpec& row : parameter_table(config)) {
    total += row.count();
  }
  return total;
}

const ParameterSpec& row_of(const std::vector<ParameterSpec>& table,
                            std::string_view role, int64_t layer = -1) {
  const int64_t at = find_parameter(table, role, layer);
  EXPECT_GE(at, 0) << role;
  return table[static_cast<size_t>(at < 0 ? 0 : at)];
}

TEST(Parameters, Stories110mHasThePublishedCount) {
  const ModelConfig config = *preset("stories110m");
  EXPECT_EQ(parameter_count(config), 109'529'856);
  EXPECT_EQ(table_count(config), 109'529'856);
  EXPECT_EQ(row_of(parameter_table(config), "embed_tokens").count(),
            24'576'000);
}

TEST(Parameters, CountsOfTheOtherPresets) {
  // 260,032 is also the number of fp32 values before the RoPE tables of the
  // published stories260K.bin.
  const std::map<std::string, int64_t> expected = {{"stories260k", 260'032},
                                                   {"stories15m", 15'191'712},
                                                   {"stories42m", 41'689'600},
                                                   {"storybook", 869'504}};
  for (const auto& [name, count] : expected) {
    EXPECT_EQ(parameter_count(*preset(name)), count) << name;
  }
}

TEST(Parameters, ClosedFormAgreesWithTheTable) {
  for (const std::string& name : preset_names()) {
    for (const bool tied : {true, false}) {
      ModelConfig config = *preset(name);
      config.tie_word_embeddings = tied;
      EXPECT_EQ(parameter_count(config), table_count(config)) << name;
    }
  }
}

TEST(Parameters, OrderIsThatOfTheFiles) {
  ModelConfig config = *preset("stories260k");
  config.num_hidden_layers = 1;
  config.tie_word_embeddings = false;
  std::vector<std::string> names;
  for (const ParameterSpec& row : parameter_table(config)) {
    names.push_back(row.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{
                       "model.embed_tokens.weight",
                       "model.layers.0.input_layernorm.weight",
                       "model.layers.0.self_attn.q_proj.weight",
                       "model.layers.0.self_attn.k_proj.weight",
                       "model.layers.0.self_attn.v_proj.weight",
                       "model.layers.0.self_attn.o_proj.weight",
                       "model.layers.0.post_attention_layernorm.weight",
                       "model.layers.0.mlp.gate_proj.weight",
                       "model.layers.0.mlp.up_proj.weight",
                       "model.layers.0.mlp.down_proj.weight",
                       "model.norm.weight",
                       "lm_head.weight",
                   }));
}

TEST(Parameters, ShapesFollowGroupedQueriesAndHeadDim) {
  ModelConfig config = *preset("stories260k");
  config.head_dim = 16;  // query width 128, not the hidden size
  const auto table = parameter_table(config);
  EXPECT_EQ(row_of(table, "q_proj", 2).shape, (Shape{128, 64}));
  EXPECT_EQ(row_of(table, "k_proj", 2).shape, (Shape{64, 64}));
  EXPECT_EQ(row_of(table, "o_proj", 2).shape, (Shape{64, 128}));
  EXPECT_EQ(row_of(table, "gate_proj", 2).shape, (Shape{172, 64}));
  EXPECT_EQ(row_of(table, "down_proj", 2).shape, (Shape{64, 172}));
  EXPECT_EQ(row_of(table, "input_layernorm", 2).shape, (Shape{64}));
}

// pipeline.h writes each block's (rows, columns); the block is the tensor or,
// where marked, its transpose.
TEST(Parameters, UsesMatchTheBlocksOfThePipeline) {
  ModelConfig config = *preset("stories260k");
  config.head_dim = 16;
  const int64_t d = config.hidden_size;
  const int64_t h = config.intermediate_size;
  const int64_t q = config.query_dim();
  const int64_t k = config.key_value_dim();
  const int64_t v = config.vocab_size;
  const std::map<std::pair<std::string, std::string>, Shape> blocks = {
      {{"attn", "wq"}, {q, d}}, {{"attn", "wk"}, {k, d}},
      {{"attn", "wv"}, {k, d}}, {{"attn", "wo"}, {d, q}},
      {{"attn", "gain"}, {d}},  {{"ffn", "gain"}, {d}},
      {{"ffn", "w1"}, {h, d}},  {{"ffn", "w3"}, {h, d}},
      {{"ffn", "w2"}, {h, d}},  {{"final_norm", "gain"}, {d}},
      {{"cls", "e"}, {v, d}},
  };
  for (const bool tied : {true, false}) {
    config.tie_word_embeddings = tied;
    std::set<std::pair<std::string, std::string>> seen;
    for (const ParameterSpec& row : parameter_table(config)) {
      if (row.layer > 0) continue;
      if (!row.use) continue;
      const ParameterUse& use = *row.use;
      Shape shape = row.shape;
      if (use.transposed) std::swap(shape.front(), shape.back());
      const auto block = blocks.find({use.surface, use.block});
      ASSERT_NE(block, blocks.end()) << use.surface << " " << use.block;
      EXPECT_EQ(shape, block->second) << use.surface << " " << use.block;
      EXPECT_TRUE(seen.insert(block->first).second) << use.block;
    }
    EXPECT_EQ(seen.size(), blocks.size());
  }
}

TEST(Parameters, OnlyMatricesDecay) {
  for (const ParameterSpec& row : parameter_table(*preset("stories260k"))) {
    EXPECT_EQ(row.decay, row.shape.size() == 2) << row.name;
    EXPECT_EQ(row.init == Init::kOnes, row.shape.size() == 1) << row.name;
  }
}

TEST(Parameters, DeviationsFollowDepthAndWidth) {
  ModelConfig config = *preset("stories110m");
  auto table = parameter_table(config);
  EXPECT_DOUBLE_EQ(row_of(table, "q_proj", 3).init_std, 0.02);
  EXPECT_DOUBLE_EQ(row_of(table, "o_proj", 3).init_std, 0.02 / std::sqrt(24.0));
  EXPECT_DOUBLE_EQ(row_of(table, "down_proj", 3).init_std,
                   0.02 / std::sqrt(24.0));
  // ln V + t^2 / 2 must stay under 10.45 for V = 32000.
  const double t = row_of(table, "embed_tokens").init_std * std::sqrt(768.0);
  EXPECT_LT(std::log(32000.0) + t * t / 2, 10.45);
  EXPECT_NEAR(t, 0.2, 1e-12);

  config.tie_word_embeddings = false;
  table = parameter_table(config);
  EXPECT_DOUBLE_EQ(row_of(table, "embed_tokens").init_std, 0.02);
  EXPECT_NEAR(row_of(table, "lm_head").init_std * std::sqrt(768.0), 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(
      row_of(parameter_table(*preset("stories260k")), "embed_tokens").init_std,
      0.02);
}

TEST(Parameters, InitialValuesHaveTheDeclaredStatistics) {
  const ModelConfig config = *preset("storybook");
  const auto table = parameter_table(config);
  const Weights weights = initialise(config, 7);
  ASSERT_EQ(weights.size(), table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(weights[i].name, table[i].name);
    EXPECT_EQ(weights[i].shape, table[i].shape);
    ASSERT_EQ(static_cast<int64_t>(weights[i].data.size()), table[i].count());
    double sum = 0;
    double squares = 0;
    for (const float value : weights[i].data) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const auto n = static_cast<double>(weights[i].data.size());
    if (table[i].init == Init::kOnes) {
      EXPECT_EQ(sum, n);
      EXPECT_EQ(squares, n);
    } else {
      // Five standard errors.
      const double deviation = table[i].init_std;
      EXPECT_NEAR(sum / n, 0.0, 5 * deviation / std::sqrt(n)) << table[i].name;
      EXPECT_NEAR(std::sqrt(squares / n) / deviation, 1.0, 5 / std::sqrt(2 * n))
          << table[i].name;
    }
  }
}

TEST(Parameters, StreamsDependOnSeedAndNameOnly) {
  ModelConfig config = *preset("stories260k");
  const Weights five = initialise(config, 1);
  EXPECT_EQ(five[2].data, initialise(config, 1)[2].data);
  EXPECT_NE(five[2].data, initialise(config, 2)[2].data);
  EXPECT_NE(five[3].data, five[4].data);  // k and v: same shape, other names
  // A tensor's draw does not depend on the tensors before it.
  config.vocab_size = 256;
  const Weights other = initialise(config, 1);
  EXPECT_NE(other[0].data, five[0].data);
  EXPECT_EQ(other[2].data, five[2].data);
}

TEST(Parameters, FindsByRoleAndLayer) {
  const auto table = parameter_table(*preset("stories260k"));
  EXPECT_EQ(find_parameter(table, "embed_tokens"), 0);
  EXPECT_EQ(find_parameter(table, "q_proj", 1), 11);
  EXPECT_EQ(find_parameter(table, "norm"), 46);
  EXPECT_EQ(find_parameter(table, "lm_head"), -1);
  EXPECT_EQ(find_parameter(table, "q_proj"), -1);
  EXPECT_EQ(find_parameter(table, "q_proj", 5), -1);
}

}  // namespace
}  // namespace aneroid::model
