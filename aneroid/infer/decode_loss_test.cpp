// The decoder against an independent implementation's figures, and what the
// storage of the weights costs.
#include "aneroid/infer/decode_loss.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "aneroid/model/weights.h"

namespace aneroid::infer {
namespace {

namespace fs = std::filesystem;

fs::path data_folder() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");  // NOLINT
  return folder != nullptr ? folder : "../shared/data";
}

class Stories260k : public testing::Test {
 protected:
  void SetUp() override {
    const fs::path golden = data_folder() / "golden/stories260K-nll.json";
    if (!fs::exists(golden)) GTEST_SKIP() << "skipped: no shared data";
    std::ifstream file(golden);
    const auto json = nlohmann::json::parse(file);
    tokens_ = json.at("tokens").get<std::vector<int32_t>>();
    expected_ = json.at("mean_nll").get<double>();
    auto model = model::load_model(data_folder() / "models/stories260K.bin");
    ASSERT_TRUE(model) << to_string(model.error());
    model_ = *std::move(model);
  }
  double loss(cpu::GemvStorage storage) {
    cpu::ThreadPool pool(2);
    Decoder decoder(pool, model_.config, model_.weights, storage, 512);
    return mean_nll(decoder, tokens_);
  }

  model::LoadedModel model_;
  std::vector<int32_t> tokens_;
  double expected_ = 0;
};

TEST_F(Stories260k, LossIsThePublishedOneInEveryStorage) {
  EXPECT_NEAR(loss(cpu::GemvStorage::kFloat), expected_, 2e-5);
  EXPECT_NEAR(loss(cpu::GemvStorage::kHalf), expected_, 2e-3);
  // Up to half a step of 1/127 of a row's largest weight is lost.
  EXPECT_NEAR(loss(cpu::GemvStorage::kInt8), expected_, 0.01);
}

TEST(DecodeLoss, OfUniformLogitsIsLnV) {
  model::ModelConfig config;
  config.hidden_size = 8;
  config.intermediate_size = 8;
  config.num_hidden_layers = 1;
  config.num_attention_heads = 2;
  config.num_key_value_heads = 2;
  config.head_dim = 4;
  config.vocab_size = 12;
  config.max_position_embeddings = 4;
  model::Weights weights = model::initialise(config, 1);
  for (auto& tensor : weights) {
    if (tensor.name == "model.norm.weight") {
      tensor.data.assign(tensor.data.size(), 0);
    }
  }
  cpu::ThreadPool pool(1);
  Decoder decoder(pool, config, weights, cpu::GemvStorage::kFloat, 4);
  // More tokens than the context holds: three windows.
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_NEAR(mean_nll(decoder, tokens), std::log(12.0), 1e-9);
  EXPECT_EQ(decoder.position(), 0);
}

}  // namespace
}  // namespace aneroid::infer
