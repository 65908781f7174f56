#include "aneroid/kernels/attention_parts.h"

#include <cmath>
#include <vector>

namespace aneroid::kernels {

using mil::Var;

namespace {

// What the causal mask adds to a forbidden score. Far below any score, so that
// its exponential is 0; and yet score + mask stays a number, where fp16's
// lowest, -65504, would become -infinity with a score under -16.
constexpr float kMasked = -30000.0F;

// A softmax over long rows has small probabilities, and the engine drops
// products below 2^-17 (rules N03, N04). Values are therefore scaled up before
// the product with P and the result down after it; 64 is exact and leaves room
// for values up to 512 in the engine's accumulators (rule N02).
constexpr double kValueScale = 64.0;

Var causal_mask(KernelWriter& w, const Sizes& n) {
  const int64_t s = n.columns;
  std::vector<float> mask(static_cast<size_t>(s * s), 0.0F);
  for (int64_t row = 0; row < s; ++row) {
    for (int64_t column = row + 1; column < s; ++column) {
      mask[static_cast<size_t>(row * s + column)] = kMasked;
    }
  }
  return w.half_table("mask", {1, 1, s, s}, mask);
}

}  // namespace

Rotation rotation_tables(KernelWriter& w, const Sizes& n, double theta) {
  const int64_t pairs = n.head_dim / 2;
  std::vector<float> cosine;
  std::vector<float> sine;
  cosine.reserve(static_cast<size_t>(n.query / 2 * n.columns));
  sine.reserve(cosine.capacity());
  for (int64_t row = 0; row < n.query / 2; ++row) {
    const auto pair = static_cast<double>(row % pairs);
    const double frequency =
        std::pow(theta, -pair / static_cast<double>(pairs));
    for (int64_t t = 0; t < n.columns; ++t) {
      const double angle = static_cast<double>(t) * frequency;
      cosine.push_back(static_cast<float>(std::cos(angle)));
      sine.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  const Shape shape = {1, n.query / 2, 1, n.columns};
  return {w.float_table("rope_cos", shape, cosine),
          w.float_table("rope_sin", shape, sine)};
}

Rotation key_rotation(KernelWriter& w, const Sizes& n, const Rotation& query) {
  if (n.key == n.query) return query;
  const Shape size = {1, n.key / 2, 1, n.columns};
  return {w.mil().slice(query.cosine, {0, 0, 0, 0}, size),
          w.mil().slice(query.sine, {0, 0, 0, 0}, size)};
}

Var rotate(KernelWriter& w, const Var& x, const Rotation& by, Turn turn) {
  mil::Builder& b = w.mil();
  const int64_t channels = x.type.shape[1];
  const int64_t s = x.type.shape[3];
  const Var pairs = b.reshape(x, {1, channels / 2, 2, s});
  const Var even = b.slice(pairs, {0, 0, 0, 0}, {1, channels / 2, 1, s});
  const Var odd = b.slice(pairs, {0, 0, 1, 0}, {1, channels / 2, 1, s});
  const Var even_cos = b.mul(even, by.cosine);
  const Var even_sin = b.mul(even, by.sine);
  const Var odd_cos = b.mul(odd, by.cosine);
  const Var odd_sin = b.mul(odd, by.sine);
  const bool forward = turn == Turn::kForward;
  const Var new_even =
      forward ? b.sub(even_cos, odd_sin) : b.add(even_cos, odd_sin);
  const Var new_odd =
      forward ? b.add(odd_cos, even_sin) : b.sub(odd_cos, even_sin);
  return b.reshape(b.concat({new_even, new_odd}, 2), {1, channels, 1, s});
}

Var stack_groups(KernelWriter& w, const Sizes& n, const Var& x) {
  mil::Builder& b = w.mil();
  const Var heads = b.reshape(x, {1, n.heads, n.head_dim, n.columns});
  return b.reshape(b.transpose(heads, {0, 1, 3, 2}),
                   {1, n.kv_heads, n.group * n.columns, n.head_dim});
}
Var unstack_groups(KernelWriter& w, const Sizes& n, const Var& x) {
  mil::Builder& b = w.mil();
  const Var heads = b.reshape(x, {1, n.heads, n.columns, n.head_dim});
  return b.reshape(b.transpose(heads, {0, 1, 3, 2}),
                   {1, n.query, 1, n.columns});
}
Var split_heads(KernelWriter& w, const Sizes& n, const Var& x) {
  return w.mil().reshape(x, {1, n.kv_heads, n.head_dim, n.columns});
}
Var merge_heads(KernelWriter& w, const Sizes& n, const Var& x) {
  return w.mil().reshape(x, {1, n.key, 1, n.columns});
}

Var probabilities(KernelWriter& w, const Sizes& n, const Var& stacked_q,
                  const Var& split_k, const Var& scale) {
  mil::Builder& b = w.mil();
  const Var scores = b.reshape(b.matmul(stacked_q, split_k),
                               {1, n.heads, n.columns, n.columns});
  const Var masked = b.add(b.mul(scores, scale), causal_mask(w, n));
  return b.reshape(b.softmax(masked, -1),
                   {1, n.kv_heads, n.group * n.columns, n.columns});
}

Var score_scale(KernelWriter& w, const Sizes& n) {
  return w.scalar(1.0 / std::sqrt(static_cast<double>(n.head_dim)));
}

Var weighted_values(KernelWriter& w, const Sizes& n, const Var& p,
                    const Var& split_v) {
  mil::Builder& b = w.mil();
  const Var scaled_v = b.mul(split_v, w.scalar(kValueScale));
  const Var scaled_a = b.matmul(p, scaled_v, false, true);
  return b.mul(unstack_groups(w, n, scaled_a), w.scalar(1.0 / kValueScale));
}

}  // namespace aneroid::kernels
