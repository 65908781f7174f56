#include "aneroid/infer/decoder.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace aneroid::infer {
namespace {

void rms_norm(std::span<const float> x, std::span<const float> gain,
              double epsilon, std::span<float> result) {
  double sum = 0;
  for (const float value : x) sum += double{value} * value;
  const auto r = static_cast<float>(
      1.0 / std::sqrt(sum / static_cast<double>(x.size()) + epsilon));
  for (size_t i = 0; i < x.size(); ++i) result[i] = x[i] * r * gain[i];
}

// Interleaved pairs (2i, 2i + 1) of every head.
void rotate(float* heads, int64_t count, int64_t head_dim, double theta,
            int64_t position) {
  for (int64_t i = 0; i < head_dim; i += 2) {
    const double angle = static_cast<double>(position) *
                         std::pow(theta, -static_cast<double>(i) /
                                             static_cast<double>(head_dim));
    const auto c = static_cast<float>(std::cos(angle));
    const auto s = static_cast<float>(std::sin(angle));
    for (int64_t h = 0; h < count; ++h) {
      float* pair = heads + h * head_dim + i;
      const float even = pair[0];
      const float odd = pair[1];
      pair[0] = even * c - odd * s;
      pair[1] = even * s + odd * c;
    }
  }
}

}  // namespace

Decoder::Decoder(cpu::ThreadPool& pool, const model::ModelConfig& config,
                 const model::Weights& weights, cpu::Storage storage,
                 int64_t context)
    : pool_(pool), config_(config), context_(context) {
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
  if (!config.tie_word_embeddings) head_ = matrix("lm_head", -1);

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

void Decoder::attend(int64_t layer) {
  const int64_t head_dim = config_.head_dim;
  const int64_t stride = config_.key_value_dim();
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  const float* keys_of = keys(layer);
  const float* values_of = values(layer);
  pool_.run(config_.num_attention_heads, [&](int64_t h, int) {
    // Query head h shares key/value head h / group.
    const int64_t column = h / config_.group_size() * head_dim;
    const float* q = q_.data() + h * head_dim;
    float* scores = scores_.data() + h * context_;
    float largest = -INFINITY;
    for (int64_t t = 0; t <= position_; ++t) {
      scores[t] = cpu::dot(q, keys_of + t * stride + column, head_dim) * scale;
      largest = std::max(largest, scores[t]);
    }
    double sum = 0;
    for (int64_t t = 0; t <= position_; ++t) {
      scores[t] = std::exp(scores[t] - largest);
      sum += scores[t];
    }
    float* a = a_.data() + h * head_dim;
    std::fill_n(a, head_dim, 0.0F);
    const auto inverse = static_cast<float>(1.0 / sum);
    for (int64_t t = 0; t <= position_; ++t) {
      const float p = scores[t] * inverse;
      const float* v = values_of + t * stride + column;
      for (int64_t i = 0; i < head_dim; ++i) a[i] += p * v[i];
    }
  });
}

std::span<const float> Decoder::step(int32_t token) {
  assert(position_ < context_);
  const double epsilon = config_.rms_norm_eps;
  const int64_t kv_row = position_ * config_.key_value_dim();
  embedding_.row(token, x_.data());
  for (int64_t l = 0; l < config_.num_hidden_layers; ++l) {
    const Layer& layer = layers_[static_cast<size_t>(l)];
    float* k = keys(l) + kv_row;
    float* v = values(l) + kv_row;
    rms_norm(x_, layer.input_gain, epsilon, normed_);
    layer.q.multiply(pool_, normed_.data(), q_.data());
    layer.k.multiply(pool_, normed_.data(), k);
    layer.v.multiply(pool_, normed_.data(), v);
    rotate(q_.data(), config_.num_attention_heads, config_.head_dim,
           config_.rope_theta, position_);
    rotate(k, config_.num_key_value_heads, config_.head_dim, config_.rope_theta,
           position_);
    attend(l);
    layer.o.multiply(pool_, a_.data(), normed_.data());
    for (size_t i = 0; i < x_.size(); ++i) x_[i] += normed_[i];
    rms_norm(x_, layer.post_gain, epsilon, normed_);
    layer.gate.multiply(pool_, normed_.data(), h1_.data());
    layer.up.multiply(pool_, normed_.data(), h3_.data());
    for (size_t i = 0; i < h1_.size(); ++i) {
      h1_[i] = h1_[i] / (1.0F + std::exp(-h1_[i])) * h3_[i];
    }
    layer.down.multiply(pool_, h1_.data(), normed_.data());
    for (size_t i = 0; i < x_.size(); ++i) x_[i] += normed_[i];
  }
  rms_norm(x_, final_gain_, epsilon, normed_);
  const cpu::GemvMatrix& head =
      config_.tie_word_embeddings ? embedding_ : head_;
  head.multiply(pool_, normed_.data(), logits_.data());
  ++position_;
  return logits_;
}

}  // namespace aneroid::infer
