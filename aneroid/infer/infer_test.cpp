#include <array>
#include <cmath>
#include <map>

#include <gtest/gtest.h>

#include "aneroid/infer/decoder.h"
#include "aneroid/infer/sampler.h"

namespace aneroid::infer {
namespace {

TEST(SamplerTest, GreedyTakesTheFirstOfTheLargest) {
  Sampler sampler({.temperature = 0});
  EXPECT_EQ(sampler.choose(std::array{0.0F, 3.0F, 3.0F, -1.0F}), 1);
  EXPECT_EQ(sampler.choose(std::array{NAN, 1.0F, 2.0F}), 2);
}

TEST(SamplerTest, FollowsTheDistribution) {
  Sampler sampler({.temperature = 1, .top_p = 1, .seed = 5});
  const std::array logits{std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  std::map<int32_t, int> counts;
  for (int i = 0; i < 20000; ++i) ++counts[sampler.choose(logits)];
  EXPECT_NEAR(counts[0] / 20000.0, 0.5, 0.02);
  EXPECT_NEAR(counts[1] / 20000.0, 0.3, 0.02);
  EXPECT_NEAR(counts[2] / 20000.0, 0.2, 0.02);
}

TEST(SamplerTest, TopKAndTopPCutTheTail) {
  const std::array logits{std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  Sampler two({.temperature = 1, .top_k = 2, .top_p = 1});
  Sampler most({.temperature = 1, .top_p = 0.7});
  Sampler first({.temperature = 1, .top_p = 0.4});
  for (int i = 0; i < 500; ++i) {
    EXPECT_LT(two.choose(logits), 2);
    EXPECT_LT(most.choose(logits), 2);
    EXPECT_EQ(first.choose(logits), 0);
  }
}

TEST(SamplerTest, SameSeedSameChoices) {
  Sampler a({.seed = 9});
  Sampler b({.seed = 9});
  const std::array logits{0.1F, 0.2F, 0.3F, 0.4F};
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.choose(logits), b.choose(logits));
}

TEST(SamplerTest, NeverChoosesWhatIsNotAllowed) {
  const std::array logits{9.0F, 8.0F, 1.0F, 9.5F, 1.5F};
  const std::vector<bool> allowed{false, false, true, false, true};
  Sampler greedy({.temperature = 0}, allowed);
  EXPECT_EQ(greedy.choose(logits), 4);
  Sampler wild({.temperature = 1, .top_p = 1, .seed = 3}, allowed);
  std::map<int32_t, int> counts;
  for (int i = 0; i < 1000; ++i) ++counts[wild.choose(logits)];
  EXPECT_EQ(counts[2] + counts[4], 1000);
  EXPECT_GT(counts[2], 300);  // 1 / (1 + e^0.5) = 0.38
  EXPECT_LT(counts[2], 460);
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  EXPECT_TRUE(check({}));
  const auto place = [](const SamplerOptions& options) {
    return check(options).error().place;
  };
  EXPECT_EQ(place({.temperature = -1}), "--temperature");
  EXPECT_EQ(place({.temperature = NAN}), "--temperature");
  EXPECT_EQ(place({.top_k = -2}), "--top-k");
  EXPECT_EQ(place({.top_p = 0}), "--top-p");
  EXPECT_EQ(place({.top_p = 1.5}), "--top-p");
}

model::ModelConfig tiny_config() {
  model::ModelConfig config;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 20;
  config.max_position_embeddings = 16;
  return config;
}

TEST(DecoderTest, ForgetsNothingAndStartsAfresh) {
  cpu::ThreadPool pool(2);
  const auto config = tiny_config();
  const auto weights = model::initialise(config, 3);
  Decoder decoder(pool, config, weights, cpu::GemvStorage::kFloat, 8);
  std::vector<std::vector<float>> first;
  for (const int32_t token : {1, 5, 7}) {
    const auto logits = decoder.step(token);
    first.emplace_back(logits.begin(), logits.end());
  }
  EXPECT_EQ(decoder.position(), 3);
  decoder.clear();
  size_t i = 0;
  for (const int32_t token : {1, 5, 7}) {
    const auto logits = decoder.step(token);
    EXPECT_EQ(std::vector<float>(logits.begin(), logits.end()), first[i++]);
  }
  // Another history gives other logits for the same last token.
  decoder.clear();
  decoder.step(1);
  decoder.step(6);
  const auto other = decoder.step(7);
  EXPECT_NE(std::vector<float>(other.begin(), other.end()), first[2]);
}

TEST(DecoderTest, CountsTheBytesItReads) {
  cpu::ThreadPool pool(1);
  const auto config = tiny_config();
  const auto weights = model::initialise(config, 3);
  const Decoder half(pool, config, weights, cpu::GemvStorage::kHalf, 8);
  const Decoder full(pool, config, weights, cpu::GemvStorage::kFloat, 8);
  int64_t matrices = 0;
  for (const auto& tensor : weights) {
    if (tensor.shape.size() == 2) {
      matrices += static_cast<int64_t>(tensor.data.size());
    }
  }
  EXPECT_EQ(half.weight_bytes(), 2 * matrices);
  EXPECT_EQ(full.weight_bytes(), 4 * matrices);

  // An embedding that is not also the head is looked up, not streamed.
  auto untied = config;
  untied.tie_word_embeddings = false;
  const Decoder apart(pool, untied, model::initialise(untied, 3),
                      cpu::GemvStorage::kHalf, 8);
  EXPECT_EQ(apart.weight_bytes(), 2 * (matrices + untied.hidden_size));
}

TEST(DecoderTest, ThreadsDoNotChangeTheLogits) {
  const auto config = tiny_config();
  const auto weights = model::initialise(config, 3);
  const auto logits = [&](int threads, cpu::GemvStorage storage) {
    cpu::ThreadPool pool(threads);
    Decoder decoder(pool, config, weights, storage, 8);
    decoder.step(2);
    const auto last = decoder.step(9);
    return std::vector<float>(last.begin(), last.end());
  };
  for (const auto storage : {cpu::GemvStorage::kFloat, cpu::GemvStorage::kHalf,
                             cpu::GemvStorage::kInt8}) {
    EXPECT_EQ(logits(1, storage), logits(3, storage));
  }
}

}  // namespace
}  // namespace aneroid::infer
