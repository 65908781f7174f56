// Training in the engine's own arithmetic: what it changes, what breaks
// without loss scaling.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/weights.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/train/trainer.h"

namespace aneroid {
namespace {

constexpr int64_t kSequence = 256;

// A small Llama with a full vocabulary.
model::ModelConfig fresh_config() {
  model::ModelConfig config;
  config.name = "small";
  config.hidden_size = 192;
  config.intermediate_size = 512;
  config.num_hidden_layers = 4;
  config.num_attention_heads = 3;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  config.vocab_size = 32000;
  config.max_position_embeddings = kSequence;
  return config;
}

// Uniform in [-s, s), as the published static pipeline begins: s = 0.02 for the
// embedding, 1/sqrt(D) for matrices, 1/sqrt(H) for the first two of the FFN.
// The residual stream grows with every layer, so gradients are small.
model::Weights published_weights(
    const model::ModelConfig& config,
    const std::vector<model::ParameterSpec>& table) {
  model::Weights weights = model::initialise(config, 3);
  Random random(42);
  for (size_t p = 0; p < table.size(); ++p) {
    const std::string& role = table[p].role;
    if (table[p].shape.size() == 1) continue;
    double s = 1.0 / std::sqrt(static_cast<double>(config.hidden_size));
    if (role == "embed_tokens") s = 0.02;
    if (role == "gate_proj" || role == "up_proj") {
      s = 1.0 / std::sqrt(static_cast<double>(config.intermediate_size));
    }
    for (float& value : weights[p].data) {
      value = static_cast<float>(s * (2 * random.uniform() - 1));
    }
  }
  return weights;
}

class ExactTraining : public testing::Test {
 protected:
  // Gradients of one micro-step, the loss scale taken out again.
  std::vector<std::vector<double>> gradients(const std::string& numerics,
                                             double scale) {
    auto device =
        runtime::open_device("emulator", {.numerics = numerics}, pool_).value();
    train::TrainerOptions options;
    options.sequence = kSequence;
    options.loss_scale = scale;
    auto trainer =
        train::Trainer::create(*device, pool_, config_, weights_, options)
            .value();
    Random random(5);
    std::vector<int32_t> inputs;
    std::vector<int32_t> targets;
    for (int64_t i = 0; i < kSequence; ++i) {
      inputs.push_back(static_cast<int32_t>(random.below(32000)));
      targets.push_back(static_cast<int32_t>(random.below(32000)));
    }
    telemetry::TimeTable time;
    const auto loss = trainer->micro_step(inputs, targets, true, time);
    EXPECT_TRUE(loss) << to_string(loss.error());
    EXPECT_NEAR(*loss, std::log(32000.0), 0.1);
    std::vector<std::vector<double>> result;
    for (size_t p = 0; p < table_.size(); ++p) {
      const std::vector<float>& from = trainer->gradients()[p];
      result.emplace_back(from.begin(), from.end());
      for (double& value : result.back()) value /= scale;
    }
    return result;
  }

  static double norm(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return std::sqrt(sum);
  }

  cpu::ThreadPool pool_{2};
  model::ModelConfig config_ = fresh_config();
  std::vector<model::ParameterSpec> table_ = model::parameter_table(config_);
  model::Weights weights_ = published_weights(config_, table_);
};

// The published failure. A gradient that has to pass a matrix product is made
// of products below 2^-17, which the engine drops: queries, keys, values, the
// FFN's first two matrices and every gain of the layers stay as they were. Only
// the embedding, and the two matrices that write into the residual stream,
// learn.
TEST_F(ExactTraining, WithoutLossScalingTransformerGradientsAreZero) {
  const auto unscaled = gradients("exact", 1);
  for (size_t p = 0; p < table_.size(); ++p) {
    const std::string& role = table_[p].role;
    const bool outside = table_[p].layer < 0;
    if (outside || role == "o_proj" || role == "down_proj") {
      EXPECT_GT(norm(unscaled[p]), 0.0) << table_[p].name;
    } else {
      EXPECT_EQ(norm(unscaled[p]), 0.0) << table_[p].name;
    }
  }
}

TEST_F(ExactTraining, WithOurScaleGradientsAreThoseOfTheReference) {
  const auto reference = gradients("reference", 1);
  const auto exact = gradients("exact", train::TrainerOptions{}.loss_scale);
  double worst = 0;
  for (size_t p = 0; p < table_.size(); ++p) {
    double difference = 0;
    for (size_t i = 0; i < reference[p].size(); ++i) {
      const double d = exact[p][i] - reference[p][i];
      difference += d * d;
    }
    const double relative = std::sqrt(difference) / norm(reference[p]);
    worst = std::max(worst, relative);
    EXPECT_LT(relative, 0.02) << table_[p].name;
  }
  std::printf("exact: largest relative gradient error of a tensor %.2e\n",
              worst);
}

}  // namespace
}  // namespace aneroid
