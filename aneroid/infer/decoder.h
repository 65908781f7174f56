// One position of a Llama at a time on the CPU, with a key/value cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemv.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid::infer {

// Thread-compatible. Symbols as in docs/pipeline.md.
class Decoder {
 public:
  // Weights are kept in `storage`.
  Decoder(cpu::ThreadPool& pool, const model::ModelConfig& config,
          const model::Weights& weights, cpu::Storage storage, int64_t context);

  // Logits [V] after `token` at position(); advances. The id must be valid and
  // position() below the context.
  std::span<const float> step(int32_t token);

  void clear() { position_ = 0; }
  int64_t position() const { return position_; }
  // Cache of a layer: position t at row t, [context, K]. Rows below
  // `positions` are declared filled by set_position.
  float* keys(int64_t layer);
  float* values(int64_t layer);
  void set_position(int64_t positions) { position_ = positions; }
  int64_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Layer {
    std::vector<float> input_gain;
    std::vector<float> post_gain;
    cpu::GemvMatrix q, k, v, o, gate, up, down;
  };
  void attend(int64_t layer);

  cpu::ThreadPool& pool_;
  model::ModelConfig config_;
  int64_t context_;
  std::vector<Layer> layers_;
  std::vector<float> final_gain_;
  cpu::GemvMatrix embedding_;
  cpu::GemvMatrix head_;  // empty when tied
  std::vector<float> key_cache_;
  std::vector<float> value_cache_;
  std::vector<float> x_, normed_, q_, a_, h1_, h3_, logits_;
  std::vector<float> scores_;  // [NH, context]
  int64_t position_ = 0;
  int64_t weight_bytes_ = 0;
};

}  // namespace aneroid::infer
