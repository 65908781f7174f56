// A model small enough to check everything on, and what goes with it. Shared by
// the tests of this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "aneroid/base/random.h"
#include "aneroid/data/loader.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid {

// Two query heads per key/value head, rectangular everywhere, 50 ids.
inline model::ModelConfig tiny_config(int64_t width, int64_t hidden,
                                      bool tied = true, int64_t layers = 2) {
  model::ModelConfig config;
  config.name = "tiny";
  config.hidden_size = width;
  config.intermediate_size = hidden;
  config.num_hidden_layers = layers;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.head_dim = 8;
  config.vocab_size = 50;
  config.max_position_embeddings = 64;
  config.tie_word_embeddings = tied;
  return config;
}

// Weights large enough that everything matters; gains away from 1.
inline model::Weights lively_weights(const model::ModelConfig& config) {
  model::Weights weights = model::initialise(config, 11);
  Random random(12);
  for (model::Tensor& tensor : weights) {
    for (float& value : tensor.data) {
      value = tensor.shape.size() == 1
                  ? static_cast<float>(0.6 + 0.9 * random.uniform())
                  : static_cast<float>(0.25 * random.normal());
    }
  }
  return weights;
}

inline data::Batch batch_of(int64_t size, int64_t length, int64_t vocab) {
  Random random(5);
  data::Batch batch{size, length, {}, {}};
  for (int64_t i = 0; i < size * length; ++i) {
    for (auto* ids : {&batch.inputs, &batch.targets}) {
      ids->push_back(
          static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab))));
    }
  }
  return batch;
}

// Another device under a test's own rules: override what differs.
class ForwardingDevice : public device::Device {
 public:
  explicit ForwardingDevice(device::Device& real) : real_(real) {}
  const device::DeviceInfo& info() const override { return real_.info(); }
  int compiled() const override { return real_.compiled(); }
  Result<std::unique_ptr<device::Surface>> allocate(DataType dtype,
                                                    int64_t elements) override {
    return real_.allocate(dtype, elements);
  }
  Result<std::unique_ptr<device::Executable>> compile(
      const device::ModelSource& source) override {
    return real_.compile(source);
  }

 private:
  device::Device& real_;
};

}  // namespace aneroid
