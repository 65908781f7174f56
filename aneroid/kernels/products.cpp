#include "aneroid/kernels/products.h"

#include <algorithm>

#include "aneroid/kernels/pipeline.h"

namespace aneroid::kernels {
namespace {

using Kind = TrainingProduct::Kind;

struct Weight {
  const char* name;
  int64_t out;
  int64_t in;
  int64_t count;
};

std::vector<Weight> weights_of(const model::ModelConfig& config) {
  const int64_t d = config.hidden_size;
  const int64_t q = config.query_dim();
  const int64_t k = config.key_value_dim();
  const int64_t h = config.intermediate_size;
  const int64_t layers = config.num_hidden_layers;
  return {{"q", q, d, layers},    {"k", k, d, layers},
          {"v", k, d, layers},    {"o", d, q, layers},
          {"gate", h, d, layers}, {"up", h, d, layers},
          {"down", d, h, layers}, {"classifier", config.vocab_size, d, 1}};
}

void add(std::vector<TrainingProduct>& products, TrainingProduct product) {
  const auto known = std::ranges::find_if(products, [&](const auto& p) {
    return p.kind == product.kind && p.m == product.m && p.n == product.n &&
           p.k == product.k;
  });
  if (known == products.end()) {
    products.push_back(std::move(product));
    return;
  }
  known->count += product.count;
  known->name += ", " + product.name;
}

}  // namespace

std::vector<TrainingProduct> training_products(const model::ModelConfig& config,
                                               int64_t sequence) {
  // Programs take the classifier in tiles.
  const VocabularyTiles tiles = vocabulary_tiles(config.vocab_size);
  std::vector<Weight> weights = weights_of(config);
  weights.back().out = tiles.size;
  weights.back().count = tiles.count;
  const int64_t s = sequence;
  const int64_t hd = config.head_dim;
  const int64_t heads = config.num_hidden_layers * config.num_attention_heads;
  std::vector<TrainingProduct> products;
  for (const Weight& w : weights) {
    add(products, {w.name, Kind::kForward, w.out, s, w.in, w.count});
  }
  for (const Weight& w : weights) {
    add(products, {std::string("dx of ") + w.name, Kind::kForward, w.in, s,
                   w.out, w.count});
  }
  for (const Weight& w : weights) {
    add(products, {std::string("dW of ") + w.name, Kind::kGradient, w.out, w.in,
                   s, w.count});
  }
  // Backward computes the scores again.
  add(products, {"scores, dP", Kind::kAttention, s, s, hd, 3 * heads});
  add(products, {"a, dq", Kind::kAttention, s, hd, s, 2 * heads});
  add(products, {"dk, dv", Kind::kAttention, hd, s, s, 2 * heads});
  return products;
}

double training_flops(const model::ModelConfig& config, int64_t sequence) {
  const auto s = static_cast<double>(sequence);
  double weights = 0;
  for (const Weight& w : weights_of(config)) {
    weights += static_cast<double>(w.count) * static_cast<double>(w.out) *
               static_cast<double>(w.in);
  }
  return 6 * s * weights + 12 * s * s *
                               static_cast<double>(config.query_dim()) *
                               static_cast<double>(config.num_hidden_layers);
}

}  // namespace aneroid::kernels
