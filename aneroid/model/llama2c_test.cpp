#include "aneroid/model/llama2c.h"

#include <cmath>
#include <limits>

#include "aneroid/model/test_support.h"

namespace aneroid::model {
namespace {

class Llama2cTest : public FolderTest {
 protected:
  static ModelConfig config(bool tied = true) {
    ModelConfig config = tiny_config();
    config.name = "custom";  // the format stores no name
    config.hidden_size = config.query_dim();
    config.tie_word_embeddings = tied;
    return config;
  }
  // A valid file with one header field replaced.
  std::string with_field(size_t field, int32_t value) {
    EXPECT_TRUE(save_llama2c(at("h.bin"), config(), initialise(config(), 1)));
    std::string content = read(at("h.bin"));
    std::memcpy(content.data() + 4 * field, &value, sizeof value);
    return content;
  }
  Result<LoadedModel> load(std::string_view content) {
    write(at("m.bin"), content);
    return load_llama2c(at("m.bin"));
  }
};

TEST_F(Llama2cTest, RoundTripTiedAndUntied) {
  for (const bool tied : {true, false}) {
    const Weights weights = initialise(config(tied), 5);
    ASSERT_TRUE(save_llama2c(at("m.bin"), config(tied), weights));
    const auto model = load_llama2c(at("m.bin"));
    ASSERT_TRUE(model) << to_string(model.error());
    EXPECT_EQ(model->config, config(tied));
    ASSERT_EQ(model->weights.size(), weights.size());
    for (size_t i = 0; i < weights.size(); ++i) {
      EXPECT_EQ(model->weights[i].name, weights[i].name);
      EXPECT_EQ(model->weights[i].shape, weights[i].shape);
      EXPECT_EQ(model->weights[i].data, weights[i].data);
    }
  }
}

TEST_F(Llama2cTest, PublishedModelComesBackByteForByte) {
  const auto path = shared_data("models/stories260K.bin");
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "skipped: no shared data";
  const auto model = load_llama2c(path);
  ASSERT_TRUE(model) << to_string(model.error());
  ModelConfig expected = *preset("stories260k");
  expected.name = "custom";
  EXPECT_EQ(model->config, expected);
  ASSERT_TRUE(save_llama2c(at("m.bin"), model->config, model->weights));

  const std::string before = read(path);
  const std::string after = read(at("m.bin"));
  ASSERT_EQ(after.size(), before.size());
  // All up to the rotary tables exactly. Those were made with another library's
  // cosine and sine, good to one unit in the last place: 199 of 4096 differ.
  const size_t tables = 28 + 4 * 260'032;
  EXPECT_EQ(after.substr(0, tables), before.substr(0, tables));
  size_t different = 0;
  for (size_t at = tables; at < before.size(); at += 4) {
    int32_t ours = 0;
    int32_t theirs = 0;
    std::memcpy(&ours, after.data() + at, 4);
    std::memcpy(&theirs, before.data() + at, 4);
    different += ours == theirs ? 0 : 1;
    ASSERT_LE(std::abs(ours - theirs), 1) << "value " << (at - tables) / 4;
  }
  EXPECT_LT(different, 400U);
}

TEST_F(Llama2cTest, RefusesEveryTruncationAndExtraBytes) {
  ASSERT_TRUE(save_llama2c(at("m.bin"), config(), initialise(config(), 1)));
  const std::string whole = read(at("m.bin"));
  for (size_t size = 0; size < whole.size(); size += 101) {
    expect_error(load(whole.substr(0, size)), "llama2c",
                 fmt::format("has {} bytes", size));
  }
  expect_error(load(whole + "x"), "llama2c", "its header needs");
}

TEST_F(Llama2cTest, RefusesBadHeaders) {
  const int32_t least = std::numeric_limits<int32_t>::min();
  const int32_t most = std::numeric_limits<int32_t>::max();
  const char* fields[] = {"hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "vocab_size",
                          "max_position_embeddings"};
  for (size_t field = 0; field < 7; ++field) {
    SCOPED_TRACE(fields[field]);
    for (const int32_t value : {0, least, most}) {
      expect_error(load(with_field(field, value)), "llama2c",
                   "no header of a llama2.c model");
    }
  }
  expect_error(load(with_field(0, 25)), "llama2c", "dim 25 and 4 heads");
  expect_error(load(with_field(4, 3)), "llama2c", "must divide");
  expect_error(load(with_field(2, 3)), "llama2c", "its header needs");
  expect_error(load(with_field(5, -10)), "llama2c", "its header needs");
  expect_error(load(with_field(0, 0x616B3432)), "llama2c", "version 12");
  expect_error(load(std::string(100, 'x')), "llama2c", "no header");
}

TEST_F(Llama2cTest, RefusesValuesThatAreNotFinite) {
  Weights weights = initialise(config(), 1);
  ASSERT_TRUE(save_llama2c(at("m.bin"), config(), weights));
  std::string content = read(at("m.bin"));
  const float bad = std::numeric_limits<float>::infinity();
  std::memcpy(content.data() + 28 + 4 * 13, &bad, 4);
  expect_error(load(content), "weights",
               "tensor model.embed_tokens.weight: error [weights]: is inf at "
               "index 13; 1 of 240");
  weights[1].data[2] = std::nanf("");
  expect_error(save_llama2c(at("n.bin"), config(), weights), "weights",
               "is nan at index 2; 1 of 24");
  EXPECT_FALSE(std::filesystem::exists(at("n.bin")));
}

TEST_F(Llama2cTest, RefusesConfigsTheFormatCannotHold) {
  ModelConfig wide = tiny_config();
  expect_error(save_llama2c(at("m.bin"), wide, initialise(wide, 1)), "llama2c",
               "6 with 8 / 4");
  ModelConfig other = config();
  other.rope_theta = 5e5;
  expect_error(save_llama2c(at("m.bin"), other, initialise(other, 1)),
               "llama2c", "rope_theta 10000; the config has 1e-05 and 500000");
}

}  // namespace
}  // namespace aneroid::model
