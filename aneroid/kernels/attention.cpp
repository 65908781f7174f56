// The attention programs: norm, projections, RoPE, grouped-query attention and
// residual.
//
// Query head h uses key/value head h div R. The R heads of one group lie next
// to each other, so [1, NH, S, HD] read as [1, KV, R S, HD] stacks a group's
// queries under one another: each group is one matrix product with its
// key/value head, nothing is tiled, and in the gradients of k and v the sum
// over the group is the sum over the rows.
#include <cmath>

#include "aneroid/kernels/norm.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {
namespace {

using mil::Var;

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

struct Rotation {
  Var cosine;  // [1, channels / 2, 1, S]
  Var sine;
};

// Tables for the Q query channels: row h HD/2 + i holds the angle
// t theta^(-2i/HD) of pair i in every head h.
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

// Heads repeat, so the first K/2 rows are the tables of the key channels.
Rotation key_rotation(KernelWriter& w, const Sizes& n, const Rotation& query) {
  if (n.key == n.query) return query;
  const Shape size = {1, n.key / 2, 1, n.columns};
  return {w.mil().slice(query.cosine, {0, 0, 0, 0}, size),
          w.mil().slice(query.sine, {0, 0, 0, 0}, size)};
}

enum class Turn { kForward, kBack };

// Turns each pair of channels (2i, 2i+1) by its angle.
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

// [1, Q, 1, S] <-> [1, KV, R S, HD]: the queries of each group, stacked.
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
// [1, K, 1, S] <-> [1, KV, HD, S].
Var split_heads(KernelWriter& w, const Sizes& n, const Var& x) {
  return w.mil().reshape(x, {1, n.kv_heads, n.head_dim, n.columns});
}
Var merge_heads(KernelWriter& w, const Sizes& n, const Var& x) {
  return w.mil().reshape(x, {1, n.key, 1, n.columns});
}

// P = softmax(scale q^T k + mask), [1, KV, R S, S].
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

}  // namespace

Result<KernelProgram> attention_forward(const model::ModelConfig& config,
                                        int64_t sequence) {
  constexpr auto kName = "attn_fwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w, KernelWriter::open(kName, n.columns,
                                                    {{"x", n.model, n.columns},
                                                     gain_block(n.model),
                                                     {"wq", n.model, n.query},
                                                     {"wk", n.model, n.key},
                                                     {"wv", n.model, n.key},
                                                     {"wo", n.query, n.model}},
                                                    {{"x2", n.model},
                                                     {"xn", n.model},
                                                     {"q", n.query},
                                                     {"k", n.key},
                                                     {"v", n.key},
                                                     {"a", n.query}}));
  mil::Builder& b = w.mil();
  const Var x = w.activation("x");
  const Var xn = rms_norm(w, x, w.gain(), config.rms_norm_eps);

  const Rotation turn = rotation_tables(w, n, config.rope_theta);
  const Var q =
      rotate(w, w.transposed_times(w.weight("wq"), xn), turn, Turn::kForward);
  const Var k = rotate(w, w.transposed_times(w.weight("wk"), xn),
                       key_rotation(w, n, turn), Turn::kForward);
  const Var v = w.transposed_times(w.weight("wv"), xn);

  const Var p = probabilities(w, n, stack_groups(w, n, q), split_heads(w, n, k),
                              score_scale(w, n));
  const Var scaled_v = b.mul(split_heads(w, n, v), w.scalar(kValueScale));
  const Var scaled_a = b.matmul(p, scaled_v, false, true);
  const Var a =
      b.mul(unstack_groups(w, n, scaled_a), w.scalar(1.0 / kValueScale));

  const Var x2 = b.add(x, w.transposed_times(w.weight("wo"), a));
  return w.finish({x2, xn, q, k, v, a});
}

Result<KernelProgram> attention_backward(const model::ModelConfig& config,
                                         int64_t sequence) {
  constexpr auto kName = "attn_bwd";
  ANEROID_ASSIGN(const Sizes n, check_sizes(kName, config, sequence));
  ANEROID_ASSIGN(KernelWriter w,
                 KernelWriter::open(kName, n.columns,
                                    {{"dx2", n.model, n.columns},
                                     {"x", n.model, n.columns},
                                     {"q", n.query, n.columns},
                                     {"k", n.key, n.columns},
                                     {"v", n.key, n.columns},
                                     gain_block(n.model),
                                     {"wo", n.model, n.query},
                                     {"wq", n.query, n.model},
                                     {"wk", n.key, n.model},
                                     {"wv", n.key, n.model}},
                                    {{"dx", n.model},
                                     {"dxn", n.model},
                                     {"dq", n.query},
                                     {"dk", n.key},
                                     {"dv", n.key}}));
  mil::Builder& b = w.mil();
  const Var dx2 = w.activation("dx2");
  const Var x = w.activation("x");
  const Var q = stack_groups(w, n, w.activation("q"));
  const Var k = split_heads(w, n, w.activation("k"));
  const Var v = split_heads(w, n, w.activation("v"));
  const Var da = stack_groups(w, n, w.transposed_times(w.weight("wo"), dx2));

  // a = P v; P = softmax(scores); scores = scale q^T k.
  const Var scale = score_scale(w, n);
  const Var p = probabilities(w, n, q, k, scale);
  const Var dv = merge_heads(w, n, b.matmul(da, p, true));
  const Var dp = b.matmul(da, v);
  const Var row_mean = b.reduce_sum(b.mul(p, dp), {-1});
  const Var ds = b.mul(b.mul(p, b.sub(dp, row_mean)), scale);
  const Var dq_turned = unstack_groups(w, n, b.matmul(ds, k, false, true));
  const Var dk_turned = merge_heads(w, n, b.matmul(q, ds, true));

  const Rotation turn = rotation_tables(w, n, config.rope_theta);
  const Var dq = rotate(w, dq_turned, turn, Turn::kBack);
  const Var dk = rotate(w, dk_turned, key_rotation(w, n, turn), Turn::kBack);

  const Var from_q = w.transposed_times(w.weight("wq"), dq);
  const Var from_k = w.transposed_times(w.weight("wk"), dk);
  const Var from_v = w.transposed_times(w.weight("wv"), dv);
  const Var dxn = b.add(b.add(from_q, from_k), from_v);
  const Var dx =
      b.add(dx2, rms_norm_backward(w, dxn, x, w.gain(), config.rms_norm_eps));
  return w.finish({dx, dxn, dq, dk, dv});
}

}  // namespace aneroid::kernels
