#include "aneroid/infer/decoder.h"

#include <cassert>

namespace aneroid::infer {

Decoder::Decoder(cpu::ThreadPool& pool, const model::ModelConfig& config,
                 const model::Weights& weights, cpu::GemvStorage storage,
                 int64_t context)
    : pool_(pool),
      config_(config),
      context_(context),
      rotation_(context, config.head_dim, config.rope_theta) {
  const auto table = model::parameter_table(config);
  const auto tensor = [&](std::string_view role,
                          int64_t layer) -> const model::Tensor& {
    const int64_t row = model::find_parameter(table, role, layer);
    assert(row >= 0);
    return weights[static_cast<size_t>(row)];
  };
  const auto matrix = [&](std::string_view role, int64_t layer) {
    const model::Tensor& t = tensor(role, layer);
    cpu::GemvMatrix result(t.data, t.shape[0], t.shape[1], storage);
    weight_bytes_ += result.bytes();
    return result;
  };
  for (int64_t l = 0; l < config.num_hidden_layers; ++l) {
    layers_.push_back(
        {tensor("input_layernorm", l).data,
         tensor("post_attention_layernorm", l).data, matrix("q_proj", l),
         matrix("k_proj", l), matrix("v_proj", l), matrix("o_proj", l),
         matrix("gate_proj", l), matrix("up_proj", l), matrix("down_proj", l)});
  }
  final_gain_ = tensor("norm", -1).data;
  embedding_ = matrix("embed_tokens", -1);
  if (!config.tie_word_embeddings) {
    weight_bytes_ -=
        embedding_.bytes() - embedding_.bytes() / config.vocab_size;
    head_ = matrix("lm_head", -1);
  }

  const auto size = [](int64_t n) { return static_cast<size_t>(n); };
  const int64_t cache =
      config.num_hidden_layers * context * config.key_value_dim();
  key_cache_.resize(size(cache));
  value_cache_.resize(size(cache));
  x_.resize(size(config.hidden_size));
  normed_.resize(size(config.hidden_size));
  q_.resize(size(config.query_dim()));
  a_.resize(size(config.query_dim()));
  h1_.resize(size(config.intermediate_size));
  h3_.resize(size(config.intermediate_size));
  logits_.resize(size(config.vocab_size));
  scores_.resize(size(config.num_attention_heads * context));
}

float* Decoder::keys(int64_t layer) {
  return key_cache_.data() + layer * context_ * config_.key_value_dim();
}

float* Decoder::values(int64_t layer) {
  return value_cache_.data() + layer * context_ * config_.key_value_dim();
}

void Decoder::add_attention(int64_t l) {
  const Layer& layer = layers_[static_cast<size_t>(l)];
  const int64_t stride = config_.key_value_dim();
  float* k = keys(l) + position_ * stride;
  float* v = values(l) + position_ * stride;
  rms_norm(x_, layer.input_gain, config_.rms_norm_eps, normed_);
  multiply({{&layer.q, normed_.data(), q_.data()},
            {&layer.k, normed_.data(), k},
            {&layer.v, normed_.data(), v}});
  rotation_.apply(position_, q_);
  rotation_.apply(position_, {k, static_cast<size_t>(stride)});
  // Captures no more than a std::function holds without allocating.
  pool_.run(config_.num_attention_heads, [this, l](int64_t h, int) {
    // Query head h shares key/value head h / group.
    const int64_t row = config_.key_value_dim();
    const int64_t column = h / config_.group_size() * config_.head_dim;
    const auto head_dim = static_cast<size_t>(config_.head_dim);
    const auto at = static_cast<size_t>(h) * head_dim;
    attend(std::span(q_).subspan(at, head_dim), {keys(l) + column, row},
           {values(l) + column, row}, position_ + 1,
           scores_.data() + h * context_, std::span(a_).subspan(at, head_dim));
  });
  multiply({{&layer.o, a_.data(), normed_.data()}});
  add(normed_, x_);
}

void Decoder::add_feed_forward(int64_t l) {
  const Layer& layer = layers_[static_cast<size_t>(l)];
  rms_norm(x_, layer.post_gain, config_.rms_norm_eps, normed_);
  multiply({{&layer.gate, normed_.data(), h1_.data()},
            {&layer.up, normed_.data(), h3_.data()}});
  swiglu(h3_, h1_);
  multiply({{&layer.down, h1_.data(), normed_.data()}});
  add(normed_, x_);
}

std::span<const float> Decoder::step(int32_t token) {
  assert(position_ < context_);
  embedding_.row(token, x_.data());
  for (int64_t l = 0; l < config_.num_hidden_layers; ++l) {
    add_attention(l);
    add_feed_forward(l);
  }
  rms_norm(x_, final_gain_, config_.rms_norm_eps, normed_);
  const cpu::GemvMatrix& head =
      config_.tie_word_embeddings ? embedding_ : head_;
  multiply({{&head, normed_.data(), logits_.data()}});
  ++position_;
  return logits_;
}

}  // namespace aneroid::infer
