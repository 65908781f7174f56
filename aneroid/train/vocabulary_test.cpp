#include "aneroid/train/vocabulary.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/train/update.h"

namespace aneroid::train {
namespace {

constexpr int64_t kWhole = 12;

model::ModelConfig config_of(bool tied) {
  model::ModelConfig config;
  config.hidden_size = 6;
  config.intermediate_size = 8;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 1;
  config.num_key_value_heads = 1;
  config.head_dim = 6;
  config.vocab_size = kWhole;
  config.max_position_embeddings = 8;
  config.tie_word_embeddings = tied;
  return config;
}

VocabularyMap some_ids() {
  std::vector<bool> used(kWhole, false);
  for (const size_t id : {1, 4, 5, 10}) used[id] = true;
  return VocabularyMap(used);
}

// Positive, so that it may stand for second moments.
model::Weights random_arrays(const model::ModelConfig& config, uint64_t seed) {
  Random random(seed);
  model::Weights arrays = model::initialise(config, 1);
  for (model::Tensor& tensor : arrays) {
    for (float& value : tensor.data) {
      value = static_cast<float>(0.1 + random.uniform());
    }
  }
  return arrays;
}

// The same as moments of the type.
model::Moments random_moments(const model::ModelConfig& config, uint64_t seed,
                              DataType type) {
  const auto table = model::parameter_table(config);
  const model::Weights arrays = random_arrays(config, seed);
  model::Moments moments(table, DataType::kFp32);
  for (size_t p = 0; p < arrays.size(); ++p) {
    std::ranges::copy(arrays[p].data, moments.values<float>(p));
  }
  return model::converted(std::move(moments), table, type);
}

std::vector<float> flat(const model::MomentViews& views) {
  std::vector<float> values;
  for (const auto& view : views) {
    const auto row = model::to_floats(view);
    values.insert(values.end(), row.begin(), row.end());
  }
  return values;
}

std::vector<float> flat(const model::WeightViews& views) {
  std::vector<float> values;
  for (const auto view : views) {
    values.insert(values.end(), view.begin(), view.end());
  }
  return values;
}

TEST(VocabularyMap, NumbersTheUsedIdsInTheirOrder) {
  const VocabularyMap map = some_ids();
  EXPECT_EQ(map.whole(), kWhole);
  EXPECT_EQ(map.compact(), 4);
  EXPECT_EQ(map.to_whole(), (std::vector<int32_t>{1, 4, 5, 10}));
  EXPECT_EQ(map.to_compact(),
            (std::vector<int32_t>{-1, 0, -1, -1, 1, 2, -1, -1, -1, -1, 3, -1}));
}

TEST(VocabularyMap, LooksAtEveryTokenOfAShard) {
  // Longer than a piece of the scan; the rarest ids stand first and last.
  std::vector<int32_t> tokens(200001, 5);
  tokens.front() = 11;
  tokens.back() = 0;
  const auto shard = data::TokenShard::from_tokens(tokens, kWhole, "test");
  ASSERT_TRUE(shard);
  EXPECT_EQ(VocabularyMap::of(*shard).to_whole(),
            (std::vector<int32_t>{0, 5, 11}));
}

// Tied embeddings, and the type of the moments.
class WholeVocabularyTest
    : public testing::TestWithParam<std::tuple<bool, DataType>> {
 protected:
  static bool tied() { return std::get<0>(GetParam()); }
  static DataType type() { return std::get<1>(GetParam()); }
  cpu::ThreadPool pool_{2};
  model::ModelConfig config_ = config_of(tied());
};

TEST_P(WholeVocabularyTest, CompactArraysAreThoseOfTheSmallerModel) {
  const auto weights = random_arrays(config_, 1);
  const WholeVocabulary vocabulary(pool_, config_, some_ids(), weights);
  EXPECT_EQ(vocabulary.map().compact(vocabulary.config()).vocab_size, 4);
  const auto table =
      model::parameter_table(vocabulary.map().compact(vocabulary.config()));
  const model::Weights compact = vocabulary.map().compact(weights);
  ASSERT_EQ(compact.size(), table.size());
  int tables = 0;
  for (size_t p = 0; p < table.size(); ++p) {
    EXPECT_EQ(compact[p].shape, table[p].shape);
    ASSERT_EQ(static_cast<int64_t>(compact[p].data.size()), table[p].count());
    if (compact[p].data == weights[p].data) continue;
    ++tables;
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(compact[p].data[2 * 6 + i], weights[p].data[5 * 6 + i]);
    }
  }
  EXPECT_EQ(tables, tied() ? 1 : 2);
}

TEST_P(WholeVocabularyTest, WholeArraysAreWhatWasTakenApart) {
  const auto weights = random_arrays(config_, 1);
  const auto first = random_moments(config_, 2, type());
  const auto second = random_moments(config_, 3, type());
  WholeVocabulary vocabulary(pool_, config_, some_ids(), weights, type());
  vocabulary.restore(weights, first, second);
  const auto compact = vocabulary.map().compact(weights);
  const auto compact_first = vocabulary.map().compact(first, config_);
  const auto compact_second = vocabulary.map().compact(second, config_);
  const auto views = vocabulary.whole(compact, compact_first, compact_second);
  EXPECT_EQ(flat(views.weights), flat(model::views(weights)));
  EXPECT_EQ(flat(views.first_moments), flat(model::views(first)));
  EXPECT_EQ(flat(views.second_moments), flat(model::views(second)));
}

TEST_P(WholeVocabularyTest, UnusedRowsGetEveryUpdateWithoutAGradient) {
  auto weights = random_arrays(config_, 1);
  auto first = random_moments(config_, 2, type());
  auto second = random_moments(config_, 3, type());
  WholeVocabulary vocabulary(pool_, config_, some_ids(), weights, type());
  vocabulary.restore(weights, first, second);
  const auto compact_weights = vocabulary.map().compact(weights);
  const auto compact_first = vocabulary.map().compact(first, config_);
  const auto compact_second = vocabulary.map().compact(second, config_);
  // More than are made up for at once.
  const size_t count = config_.vocab_size * config_.hidden_size;
  const std::vector<float> zeros(count, 0.0F);
  for (int i = 1; i <= 150; ++i) {
    const auto t = static_cast<float>(i);
    const cpu::AdamW adamw{.lr = 0.01F / t,
                           .weight_decay = 0.1F,
                           .bias_correction1 = 1.0F - std::pow(0.9F, t),
                           .bias_correction2 = 1.0F - std::pow(0.95F, t),
                           .update = static_cast<uint64_t>(i)};
    vocabulary.update(adamw);
    update_run(weights[0].data.data(), first, second, 0, {}, zeros.data(),
               count, adamw);
  }
  const auto views =
      vocabulary.whole(compact_weights, compact_first, compact_second);
  const auto found_first = model::to_floats(views.first_moments[0]);
  const auto found_second = model::to_floats(views.second_moments[0]);
  const auto want_first = model::to_floats(first.view(0));
  const auto want_second = model::to_floats(second.view(0));
  const auto kept_second = model::to_floats(compact_second.view(0));
  for (size_t id = 0; id < kWhole; ++id) {
    const int32_t compact = some_ids().to_compact()[id];
    for (size_t i = 0; i < 6; ++i) {
      const size_t at = id * 6 + i;
      if (compact >= 0) {  // the trainer's, untouched here
        const size_t there = static_cast<size_t>(compact) * 6 + i;
        EXPECT_EQ(views.weights[0][at], compact_weights[0].data[there]);
        EXPECT_EQ(found_second[at], kept_second[there]);
      } else {
        EXPECT_EQ(views.weights[0][at], weights[0].data[at]);
        EXPECT_EQ(found_first[at], want_first[at]);
        EXPECT_EQ(found_second[at], want_second[at]);
      }
    }
  }
}

TEST_P(WholeVocabularyTest, WithoutMomentsUnusedRowsOnlyDecay) {
  const auto weights = random_arrays(config_, 1);
  WholeVocabulary vocabulary(pool_, config_, some_ids(), weights, type());
  vocabulary.update({.lr = 0.5F, .weight_decay = 0.1F});
  const auto compact = vocabulary.map().compact(vocabulary.config());
  const model::Moments zeros(model::parameter_table(compact), type());
  const auto views =
      vocabulary.whole(model::initialise(compact, 1), zeros, zeros);
  EXPECT_FLOAT_EQ(views.weights[0][0], 0.95F * weights[0].data[0]);
  EXPECT_EQ(model::to_floats(views.first_moments[0])[0], 0.0F);
}

INSTANTIATE_TEST_SUITE_P(TiedAndNot, WholeVocabularyTest,
                         testing::Combine(testing::Bool(),
                                          testing::Values(DataType::kFp32,
                                                          DataType::kBf16)));

}  // namespace
}  // namespace aneroid::train
