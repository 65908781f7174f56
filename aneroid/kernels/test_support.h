// Inputs for the tests of this folder: configurations of every shape, and
// random blocks for every kernel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "aneroid/base/random.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/plain.h"
#include "aneroid/model/config.h"

namespace aneroid::kernels {

inline model::ModelConfig make_config(int64_t d, int64_t h, int64_t heads,
                                      int64_t kv_heads, int64_t head_dim) {
  model::ModelConfig config;
  config.name = "test";
  config.hidden_size = d;
  config.intermediate_size = h;
  config.num_hidden_layers = 1;
  config.num_attention_heads = heads;
  config.num_key_value_heads = kv_heads;
  config.head_dim = head_dim;
  config.vocab_size = 100;
  config.max_position_embeddings = 512;
  return config;
}

inline plain::Matrix random_matrix(Random& random, int64_t rows,
                                   int64_t columns, double deviation) {
  plain::Matrix out(rows, columns);
  for (double& value : out.data) value = deviation * random.normal();
  return out;
}

// A block of inputs that keeps every intermediate around 1: activations and
// gradients N(0, `activation`), matrices N(0, 1/sqrt(columns of the block)),
// gains around 1 but never 1.
inline plain::Matrix random_input(Random& random, const std::string& name,
                                  int64_t rows, int64_t columns,
                                  double activation) {
  if (name == "gain") {
    plain::Matrix gain = random_matrix(random, rows, 1, 0.4);
    for (double& value : gain.data) value += 1.1;
    return gain;
  }
  const bool is_weight = name.front() == 'w' || name == "e";
  const double spread = 1.0 / std::sqrt(static_cast<double>(columns));
  return random_matrix(random, rows, columns,
                       is_weight ? 1.5 * spread : activation);
}

// The inputs of attention_forward, ffn_forward, final norm and classifier.
inline plain::Blocks attention_inputs(const model::ModelConfig& c, int64_t s,
                                      uint64_t seed, double activation = 1.0) {
  Random random(seed);
  const int64_t d = c.hidden_size;
  const auto make = [&](const char* name, int64_t rows, int64_t columns) {
    return random_input(random, name, rows, columns, activation);
  };
  return {{"x", make("x", d, s)},
          {"gain", make("gain", d, 1)},
          {"wq", make("wq", c.query_dim(), d)},
          {"wk", make("wk", c.key_value_dim(), d)},
          {"wv", make("wv", c.key_value_dim(), d)},
          {"wo", make("wo", d, c.query_dim())}};
}
inline plain::Blocks ffn_inputs(const model::ModelConfig& c, int64_t s,
                                uint64_t seed, double activation = 1.0) {
  Random random(seed);
  const int64_t d = c.hidden_size;
  const int64_t h = c.intermediate_size;
  const auto make = [&](const char* name, int64_t rows, int64_t columns) {
    return random_input(random, name, rows, columns, activation);
  };
  return {{"x2", make("x2", d, s)},
          {"gain", make("gain", d, 1)},
          {"w1", make("w1", h, d)},
          {"w3", make("w3", h, d)},
          {"w2", make("w2", h, d)}};
}

// What a trainer hands to the backward kernels: the saved results of the
// forward pass, the gradient at its output, and the same weights.
inline plain::Blocks attention_backward_inputs(const plain::Blocks& in,
                                               const plain::Blocks& out,
                                               const plain::Matrix& dx2) {
  plain::Blocks back = in;
  back["dx2"] = dx2;
  for (const char* name : {"q", "k", "v"}) back[name] = out.at(name);
  return back;
}
inline plain::Blocks ffn_backward_inputs(const plain::Blocks& in,
                                         const plain::Blocks& out,
                                         const plain::Matrix& dy) {
  plain::Blocks back = in;
  back["dy"] = dy;
  for (const char* name : {"h1", "h3"}) back[name] = out.at(name);
  return back;
}

inline double largest(const plain::Matrix& m) {
  double out = 0.0;
  for (const double value : m.data) out = std::max(out, std::abs(value));
  return out;
}
// Largest difference, relative to the largest expected value (absolute when
// all of them are zero); infinite when the sizes differ or a value is not a
// number.
inline double relative_error(const plain::Matrix& actual,
                             const plain::Matrix& expected) {
  if (actual.rows != expected.rows || actual.columns != expected.columns) {
    return HUGE_VAL;
  }
  double worst = 0.0;
  for (size_t i = 0; i < actual.data.size(); ++i) {
    const double error = std::abs(actual.data[i] - expected.data[i]);
    if (!std::isfinite(error)) return HUGE_VAL;
    worst = std::max(worst, error);
  }
  const double scale = largest(expected);
  return scale > 0.0 ? worst / scale : worst;
}

}  // namespace aneroid::kernels
