// One position of a Llama at a time on the CPU, with a key/value cache.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "aneroid/cpu/gemv.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/infer/decode_ops.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid::infer {

// Thread-compatible; step() allocates nothing. Its logits do not depend on the
// number of threads. Symbols as in docs/pipeline.md.
class Decoder {
 public:
  // Matrices are kept in `storage`, gains and cache in fp32.
  Decoder(cpu::ThreadPool& pool, const model::ModelConfig& config,
          const model::Weights& weights, cpu::GemvStorage storage,
          int64_t context);

  // Logits [V] after `token` at position(); advances. The id must be valid and
  // position() below the context.
  std::span<const float> step(int32_t token);

  void clear() { position_ = 0; }
  int64_t position() const { return position_; }
  int64_t context() const { return context_; }
  // Cache of a layer: position t at row t, [context, K]. Rows below
  // `positions` are declared filled by set_position.
  float* keys(int64_t layer);
  float* values(int64_t layer);
  void set_position(int64_t positions) { position_ = positions; }
  // Bytes of matrices that one step reads: all, except an embedding that is
  // not also the head, of which it reads one row.
  int64_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Layer {
    std::vector<float> input_gain;
    std::vector<float> post_gain;
    cpu::GemvMatrix q, k, v, o, gate, up, down;
  };
  // x += what attention and the feed-forward network add to it.
  void add_attention(int64_t layer);
  void add_feed_forward(int64_t layer);
  void multiply(std::initializer_list<cpu::GemvProduct> products) {
    cpu::multiply(pool_, {products.begin(), products.size()});
  }

  cpu::ThreadPool& pool_;
  model::ModelConfig config_;
  int64_t context_;
  Rotation rotation_;
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
