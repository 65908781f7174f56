#include "aneroid/model/weights.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "aneroid/base/half.h"
#include "aneroid/model/llama2c.h"
#include "aneroid/model/safetensors.h"
#include "aneroid/model/tensor_io.h"
#include "aneroid/model/test_support.h"

namespace aneroid::model {
namespace {

void expect_same(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].shape, b[i].shape);
    EXPECT_EQ(a[i].data, b[i].data) << a[i].name;
  }
}

class WeightsTest : public FolderTest {
 protected:
  // Writes the tensors without metadata, and config.json beside them.
  std::filesystem::path write_folder(const ModelConfig& config,
                                     const std::vector<TensorView>& tensors,
                                     const Metadata& metadata = {}) {
    write(at("config.json"), to_json(config).dump());
    EXPECT_TRUE(write_safetensors(at("model.safetensors"), tensors, metadata));
    return folder_;
  }
  std::vector<TensorView> stored(const ModelConfig& config,
                                 const Weights& weights) {
    std::vector<TensorView> tensors;
    append_rows(parameter_table(config), views(weights), "", tensors);
    return tensors;
  }
  const Metadata interleaved_ = {{"rope_layout", "interleaved"}};
};

TEST_F(WeightsTest, SafetensorsRoundTripTiedAndUntied) {
  for (const bool tied : {true, false}) {
    ModelConfig config = tiny_config();
    config.tie_word_embeddings = tied;
    config.rope_theta = 12345.5;
    const Weights weights = initialise(config, 3);
    ASSERT_TRUE(save_safetensors(at("w.safetensors"), config, weights));
    for (const auto& path : {at("w.safetensors"), folder_}) {
      const auto model = load_model(path);
      ASSERT_TRUE(model) << to_string(model.error());
      EXPECT_EQ(model->config, config);
      expect_same(model->weights, weights);
    }
  }
}

TEST_F(WeightsTest, HuggingFaceRoundTrip) {
  for (const bool tied : {true, false}) {
    ModelConfig config = tiny_config();
    config.tie_word_embeddings = tied;
    const Weights weights = initialise(config, 3);
    ASSERT_TRUE(save_hugging_face(at("hf"), config, weights));
    const auto model = load_model(at("hf"));
    ASSERT_TRUE(model) << to_string(model.error());
    EXPECT_EQ(model->config, config);
    expect_same(model->weights, weights);
    // What Transformers looks at.
    const auto json = nlohmann::json::parse(read(at("hf/config.json")));
    EXPECT_EQ(json["architectures"][0], "LlamaForCausalLM");
    EXPECT_EQ(json["model_type"], "llama");
    EXPECT_EQ(json["torch_dtype"], "float32");
    EXPECT_EQ(json["tie_word_embeddings"], tied);
    const auto file = SafetensorsFile::open(at("hf/model.safetensors"));
    EXPECT_EQ(file->metadata(), (Metadata{{"format", "pt"}}));
  }
}

// Rotating pairs (2i, 2i+1) of rows in our order must give the same scores as
// rotating (i, i + HD/2) in Hugging Face's order.
TEST_F(WeightsTest, ReorderedRowsRotateToTheSameScores) {
  const ModelConfig config = tiny_config();
  const int64_t d = config.hidden_size;
  const int64_t hd = config.head_dim;
  const Weights ours = initialise(config, 11);
  Tensor q = ours[2];
  Tensor k = ours[3];
  ASSERT_EQ(q.shape, (Shape{24, 8}));
  ASSERT_EQ(k.shape, (Shape{12, 8}));
  Tensor hf_q = q;
  Tensor hf_k = k;
  reorder_rope_rows(hf_q, hd, RopeLayout::kHalfSplit);
  reorder_rope_rows(hf_k, hd, RopeLayout::kHalfSplit);
  EXPECT_NE(hf_q.data, q.data);

  const auto project = [&](const Tensor& w, int64_t head, double phase) {
    std::vector<double> y(static_cast<size_t>(hd), 0.0);
    for (int64_t r = 0; r < hd; ++r) {
      for (int64_t c = 0; c < d; ++c) {
        y[r] += w.data[(head * hd + r) * d + c] *
                std::sin(phase + static_cast<double>(c));
      }
    }
    return y;
  };
  const auto rotate = [&](std::vector<double> y, int64_t position,
                          bool interleaved) {
    for (int64_t i = 0; i < hd / 2; ++i) {
      const double angle =
          static_cast<double>(position) *
          std::pow(config.rope_theta,
                   -2.0 * static_cast<double>(i) / static_cast<double>(hd));
      double& a = y[interleaved ? 2 * i : i];
      double& b = y[interleaved ? 2 * i + 1 : i + hd / 2];
      const double a0 = a;
      a = a0 * std::cos(angle) - b * std::sin(angle);
      b = a0 * std::sin(angle) + b * std::cos(angle);
    }
    return y;
  };
  const auto score = [&](const Tensor& wq, const Tensor& wk, int64_t head,
                         bool interleaved) {
    const auto a = rotate(project(wq, head, 0.3), 7, interleaved);
    const auto b =
        rotate(project(wk, head / config.group_size(), 1.1), 2, interleaved);
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  for (int64_t head = 0; head < config.num_attention_heads; ++head) {
    const double expected = score(q, k, head, true);
    EXPECT_NEAR(score(hf_q, hf_k, head, false), expected,
                1e-12 * std::abs(expected) + 1e-15);
    // The test can fail: without reordering the scores differ.
    EXPECT_GT(std::abs(score(q, k, head, false) - expected),
              1e-3 * std::abs(expected));
  }
  reorder_rope_rows(hf_q, hd, RopeLayout::kInterleaved);
  EXPECT_EQ(hf_q.data, q.data);
}

TEST_F(WeightsTest, MetadataSaysWhetherRowsAreReordered) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  const auto tensors = stored(config, weights);
  const auto load = [&](const Metadata& metadata) {
    return load_model(write_folder(config, tensors, metadata));
  };
  expect_same(load(interleaved_)->weights, weights);
  Weights reordered = weights;
  for (const size_t row : {2, 3, 11, 12}) {
    reorder_rope_rows(reordered[row], config.head_dim,
                      RopeLayout::kInterleaved);
  }
  expect_same(load({})->weights, reordered);
  expect_same(load({{"rope_layout", "half_split"}})->weights, reordered);
  expect_error(load({{"rope_layout", "diagonal"}}), "weights", "\"diagonal\"");
}

TEST_F(WeightsTest, HalfPrecisionIsWidenedExactly) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  for (const DataType type : {DataType::kFp16, DataType::kBf16}) {
    std::vector<std::vector<uint16_t>> bits;
    Weights rounded = weights;
    std::vector<TensorView> tensors = stored(config, weights);
    for (size_t i = 0; i < weights.size(); ++i) {
      std::vector<uint16_t> row;
      for (float& value : rounded[i].data) {
        if (type == DataType::kFp16) {
          row.push_back(to_half_even(value).bits);
          value = to_float(Half{row.back()});
        } else {
          uint32_t whole = 0;
          std::memcpy(&whole, &value, 4);
          row.push_back(static_cast<uint16_t>(whole >> 16));
          whole &= 0xFFFF0000U;
          std::memcpy(&value, &whole, 4);
        }
      }
      bits.push_back(std::move(row));
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      tensors[i].type = type;
      tensors[i].bytes = std::as_bytes(std::span(bits[i]));
    }
    const auto model = load_model(write_folder(config, tensors, interleaved_));
    ASSERT_TRUE(model) << to_string(model.error());
    expect_same(model->weights, rounded);
  }
}

TEST_F(WeightsTest, RefusesEachTensorThatIsMissingOrMisshapen) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  const auto tensors = stored(config, weights);
  for (size_t i = 0; i < tensors.size(); ++i) {
    auto fewer = tensors;
    fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
    expect_error(load_model(write_folder(config, fewer)), "weights",
                 "tensor " + tensors[i].name + ": error [weights]: is missing");
    auto turned = tensors;
    turned[i].shape.push_back(1);
    expect_error(load_model(write_folder(config, turned)), "weights",
                 fmt::format("{}: error [weights]: is {}; the config needs {}",
                             tensors[i].name, to_string(turned[i].shape),
                             to_string(tensors[i].shape)));
  }
}

TEST_F(WeightsTest, RefusesConfigsThatDoNotMatch) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  const auto tensors = stored(config, weights);
  ModelConfig other = config;
  other.num_hidden_layers = 1;
  expect_error(load_model(write_folder(other, tensors)), "weights",
               "not part of the model");
  other.num_hidden_layers = 3;
  expect_error(load_model(write_folder(other, tensors)), "weights",
               "layers.2.input_layernorm.weight: error [weights]: is missing");
  other = config;
  other.num_key_value_heads = 4;
  expect_error(load_model(write_folder(other, tensors)), "weights",
               "k_proj.weight: error [weights]: is [12, 8]; the config needs "
               "[24, 8]");
  other = config;
  other.tie_word_embeddings = false;
  expect_error(load_model(write_folder(other, tensors)), "weights",
               "lm_head.weight: error [weights]: is missing");
}

TEST_F(WeightsTest, ExtraTensorsAreRefusedUnlessHarmless) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  auto tensors = stored(config, weights);
  tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq",
                     DataType::kFp32,
                     {1},
                     tensors[0].bytes.first(4)});
  tensors.push_back(tensors[0]);
  tensors.back().name = "lm_head.weight";  // a copy of the tied embedding
  const auto model = load_model(write_folder(config, tensors, interleaved_));
  ASSERT_TRUE(model) << to_string(model.error());
  expect_same(model->weights, weights);

  const std::vector<float> other(80, 1.0F);
  tensors.back().bytes = std::as_bytes(std::span(other));
  expect_error(load_model(write_folder(config, tensors)), "weights",
               "lm_head.weight\"");
  tensors.back().name = "model.layers.0.self_attn.q_norm.weight";
  expect_error(load_model(write_folder(config, tensors)), "weights",
               "q_norm.weight\": error [weights]: of shape [10, 8] is not");
}

TEST_F(WeightsTest, RefusesOtherTypesAndValuesThatAreNotFinite) {
  const ModelConfig config = tiny_config();
  Weights weights = initialise(config, 3);
  auto tensors = stored(config, weights);
  tensors[1].type = DataType::kInt32;
  expect_error(load_model(write_folder(config, tensors)), "weights",
               "is I32; weights are F32, F16 or BF16");
  tensors[1].type = DataType::kFp32;
  weights[2].data[5] = std::numeric_limits<float>::quiet_NaN();
  weights[2].data[6] = -std::numeric_limits<float>::infinity();
  expect_error(load_model(write_folder(config, tensors)), "weights",
               "q_proj.weight: error [weights]: is nan at index 5; 2 of 192");
  for (const auto& status : {save_safetensors(at("x"), config, weights),
                             save_hugging_face(at("y"), config, weights)}) {
    expect_error(status, "weights", "2 of 192");
  }
  EXPECT_FALSE(std::filesystem::exists(at("x")));
  EXPECT_FALSE(std::filesystem::exists(at("y")));
}

TEST_F(WeightsTest, SavingRefusesWeightsOfAnotherModel) {
  const ModelConfig config = tiny_config();
  Weights weights = initialise(config, 3);
  Weights fewer = weights;
  fewer.pop_back();
  expect_error(save_safetensors(at("x"), config, fewer), "weights",
               "has 19 tensors; the config needs 20");
  std::swap(weights[1], weights[2]);
  expect_error(save_safetensors(at("x"), config, weights), "weights",
               "the config has model.layers.0.input_layernorm.weight [8]");
  std::swap(weights[1], weights[2]);
  weights[1].data.pop_back();
  expect_error(save_safetensors(at("x"), config, weights), "weights",
               "has 7 values; the config needs 8");
  ModelConfig bad = config;
  bad.head_dim = 5;
  expect_error(save_safetensors(at("x"), bad, weights), "config", "even");
}

TEST_F(WeightsTest, ChoosesTheFileByPath) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  expect_error(load_model(folder_), "weights", "0 other");
  ASSERT_TRUE(save_safetensors(at("a.safetensors"), config, weights));
  EXPECT_TRUE(load_model(folder_));
  ASSERT_TRUE(save_safetensors(at("b.safetensors"), config, weights));
  expect_error(load_model(folder_), "weights", "2 other");
  ASSERT_TRUE(save_safetensors(at("model.safetensors"), config, weights));
  EXPECT_TRUE(load_model(folder_));
  expect_error(load_model(at("absent")), "file", "absent");
  ASSERT_TRUE(
      write_safetensors(at("c.safetensors"), stored(config, weights), {}));
  expect_error(load_model(at("c.safetensors")), "weights", "no config.json");
  write(at("config.json"), to_json(config).dump());
  EXPECT_TRUE(load_model(at("c.safetensors")));

  ModelConfig flat = config;
  flat.hidden_size = flat.query_dim();
  ASSERT_TRUE(save_llama2c(at("m.bin"), flat, initialise(flat, 3)));
  EXPECT_TRUE(load_model(at("m.bin")));
}

TEST_F(WeightsTest, HostileConfigsInMetadataAllocateNothing) {
  nlohmann::json json = to_json(tiny_config());
  json["vocab_size"] = 1 << 21;
  ASSERT_TRUE(
      write_safetensors(at("t.safetensors"), {}, {{"config", json.dump()}}));
  expect_error(load_model(at("t.safetensors")), "weights", "is missing");
  for (const char* text : {"", "{", "[]", "{}", "null"}) {
    ASSERT_TRUE(write_safetensors(at("t.safetensors"), {}, {{"config", text}}));
    expect_error(load_model(at("t.safetensors")), "config", "metadata config");
  }
}

TEST_F(WeightsTest, ReadOnlyFolders) {
  const ModelConfig config = tiny_config();
  const Weights weights = initialise(config, 3);
  expect_error(save_safetensors("/proc/none/x", config, weights), "file",
               "cannot write");
  expect_error(save_hugging_face("/proc/none/x", config, weights), "file",
               "cannot make the folder");
}

}  // namespace
}  // namespace aneroid::model
