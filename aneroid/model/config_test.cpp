#include "aneroid/model/config.h"

#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "aneroid/model/test_support.h"

namespace aneroid::model {
namespace {

using Json = nlohmann::json;

Json good() { return to_json(*preset("stories260k")); }

// The error must carry the label, the place with the field, and `words`.
void expect_refused(const Json& json, const std::string& field,
                    const std::string& words) {
  const auto config = config_from_json(json, "c.json");
  ASSERT_FALSE(config) << field << " accepted: " << json.dump();
  EXPECT_EQ(config.error().label, "config");
  EXPECT_EQ(config.error().place, "c.json: " + field);
  EXPECT_NE(config.error().message.find(words), std::string::npos)
      << config.error().message;
}

TEST(Config, PresetsAreValidAndNamedAsTheirFiles) {
  const std::vector<std::string> expected = {
      "storybook", "stories260k", "stories15m", "stories42m", "stories110m"};
  EXPECT_EQ(preset_names(), expected);
  for (const std::string& name : preset_names()) {
    const auto config = preset(name);
    ASSERT_TRUE(config) << to_string(config.error());
    EXPECT_EQ(config->name, name);
    EXPECT_EQ(config->query_dim(), config->hidden_size);
  }
}

TEST(Config, UnknownPresetListsTheOthers) {
  const auto config = preset("stories111m");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().label, "config");
  EXPECT_EQ(config.error().place, "stories111m");
  EXPECT_NE(config.error().message.find("storybook, stories260k"),
            std::string::npos);
}

TEST(Config, JsonRoundTrip) {
  for (const std::string& name : preset_names()) {
    ModelConfig config = *preset(name);
    config.tie_word_embeddings = false;
    config.rope_theta = 500000.0;
    const auto again = config_from_json(to_json(config), "x");
    ASSERT_TRUE(again) << to_string(again.error());
    EXPECT_EQ(*again, config);
  }
}

TEST(Config, FillsWhatHuggingFaceLeavesOut) {
  Json json = {{"hidden_size", 64},         {"intermediate_size", 172},
               {"num_hidden_layers", 5},    {"num_attention_heads", 8},
               {"vocab_size", 512},         {"max_position_embeddings", 512},
               {"head_dim", nullptr},       {"rope_scaling", nullptr},
               {"torch_dtype", "bfloat16"}, {"hidden_act", "silu"},
               {"bos_token_id", 1}};
  auto config = config_from_json(json, "x");
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->num_key_value_heads, 8);
  EXPECT_EQ(config->head_dim, 8);
  EXPECT_EQ(config->rms_norm_eps, 1e-5);
  EXPECT_TRUE(config->tie_word_embeddings);

  json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  config = config_from_json(json, "x");
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(config->rope_theta, 5e5);
}

TEST(Config, EveryRequiredFieldIsMissedByName) {
  for (const char* field :
       {"hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "vocab_size", "max_position_embeddings"}) {
    Json json = good();
    json.erase(field);
    expect_refused(json, field, "missing");
  }
}

TEST(Config, EverySizeRefusesWrongTypesAndRanges) {
  for (const char* field :
       {"hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
        "max_position_embeddings"}) {
    Json json = good();
    json[field] = "64";
    expect_refused(json, field, "must be an integer, is \"64\"");
    json[field] = 64.5;
    expect_refused(json, field, "must be an integer, is 64.5");
    json[field] = Json::array({1});
    expect_refused(json, field, "must be an integer, is of type array");
    for (const int64_t value : {int64_t{0}, int64_t{-4}, INT64_MIN, INT64_MAX,
                                int64_t{1} << 31, int64_t{1} << 62}) {
      json[field] = value;
      expect_refused(json, field, "must be from 1 to");
    }
    json[field] = UINT64_MAX;
    expect_refused(json, field, "18446744073709551615");
  }
}

TEST(Config, EveryRealRefusesWrongTypesAndRanges) {
  for (const char* field :
       {"rms_norm_eps", "rope_theta", "initializer_range"}) {
    Json json = good();
    json[field] = "small";
    expect_refused(json, field, "must be a number, is \"small\"");
    for (const double value :
         {0.0, -1.0, 1e300, std::numeric_limits<double>::infinity(),
          std::numeric_limits<double>::quiet_NaN()}) {
      json[field] = value;
      expect_refused(json, field, "must be from");
    }
  }
}

TEST(Config, OtherFieldsRefuseWrongTypes) {
  Json json = good();
  json["tie_word_embeddings"] = 1;
  expect_refused(json, "tie_word_embeddings", "must be true or false, is 1");
  json = good();
  json["name"] = 5;
  expect_refused(json, "name", "must be a string");
  json["name"] = std::string(300, 'x');
  expect_refused(json, "name", "256 bytes");
  json["name"] = "\xFF";
  expect_refused(json, "name", "UTF-8");
}

TEST(Config, RelationsBetweenSizes) {
  Json json = good();
  json["num_key_value_heads"] = 3;
  expect_refused(json, "num_key_value_heads", "divide num_attention_heads (8)");
  json = good();
  json["head_dim"] = 7;
  expect_refused(json, "head_dim", "even");
  json = good();
  json.erase("head_dim");
  json["hidden_size"] = 65;
  expect_refused(json, "head_dim", "does not divide hidden_size (65)");
}

TEST(Config, TheProductOfAllLimitsIsRefusedNotOverflowed) {
  Json json = good();
  json["hidden_size"] = 1 << 16;
  json["intermediate_size"] = 1 << 18;
  json["num_hidden_layers"] = 1 << 10;
  json["num_attention_heads"] = 1 << 10;
  json["num_key_value_heads"] = 1 << 10;
  json["head_dim"] = 1 << 10;
  json["vocab_size"] = 1 << 21;
  expect_refused(json, "num_hidden_layers", "parameters; at most 17179869184");
}

TEST(Config, RefusesRelativesThatComputeSomethingElse) {
  const std::vector<std::pair<const char*, Json>> cases = {
      {"model_type", "gemma"},
      {"hidden_act", "gelu"},
      {"attention_bias", true},
      {"mlp_bias", true}};
  for (const auto& [field, value] : cases) {
    Json json = good();
    json[field] = value;
    expect_refused(json, field, "only");
  }
  Json json = good();
  json["rope_scaling"] = {{"rope_type", "llama3"}, {"factor", 8}};
  expect_refused(json, "rope_scaling: rope_type", "\"llama3\"");
  json["rope_scaling"] = {{"type", "linear"}};
  expect_refused(json, "rope_scaling: type", "\"linear\"");
  json["rope_scaling"] = 2;
  expect_refused(json, "rope_scaling", "must be an object");
}

class ConfigFileTest : public FolderTest {};

TEST_F(ConfigFileTest, LoadsFilesAndRefusesDamagedOnes) {
  const std::string path = at("config.json").string();
  const auto load = [&](const std::string& text) {
    write(path, text);
    return load_config(path);
  };
  const std::string text = good().dump(2);
  const auto config = load(text);
  ASSERT_TRUE(config) << to_string(config.error());
  EXPECT_EQ(*config, *preset("stories260k"));

  const auto refused = [&](const std::string& content,
                           const std::string& words) {
    const auto bad = load(content);
    ASSERT_FALSE(bad) << content.substr(0, 80);
    EXPECT_EQ(bad.error().label, "config");
    EXPECT_EQ(bad.error().place.substr(0, path.size()), path);
    EXPECT_NE(bad.error().message.find(words), std::string::npos)
        << bad.error().message;
  };
  for (size_t size = 0; size < text.size(); ++size) {
    refused(text.substr(0, size), "not valid JSON");
  }
  refused("[1]", "must be a JSON object, is an array");
  refused("{\"hidden_size\": 1e999}", "no double");
  refused("{\"hidden_size\": 1, \"hidden_size\": 2}", "'hidden_size' twice");
  refused("{\"a\": \"\xC3\x28\"}", "not valid JSON");
  std::string deep = "{\"a\": ";
  deep += std::string(100000, '[') + std::string(100000, ']') + "}";
  refused(deep, "nests deeper");
  EXPECT_EQ(load_config("/nonexistent/c.json").error().label, "file");
}

}  // namespace
}  // namespace aneroid::model
