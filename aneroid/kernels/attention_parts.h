// What the attention programs of all pipelines are made of: causal mask, rotary
// turns, grouped heads and probabilities. Internal to this folder.
//
// Query head h uses key/value head h div R. The R heads of one group lie next
// to each other, so [1, NH, S, HD] read as [1, KV, R S, HD] stacks a group's
// queries under one another: each group is one matrix product with its
// key/value head, nothing is tiled, and in the gradients of k and v the sum
// over the group is the sum over the rows.
#pragma once

#include "aneroid/kernels/sizes.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

struct Rotation {
  mil::Var cosine;  // [1, channels / 2, 1, S]
  mil::Var sine;
};
// Tables for the Q query channels: row h HD/2 + i holds the angle
// t theta^(-2i/HD) of pair i in every head h.
Rotation rotation_tables(KernelWriter& w, const Sizes& n, double theta);
// Heads repeat, so the first K/2 rows are the tables of the key channels.
Rotation key_rotation(KernelWriter& w, const Sizes& n, const Rotation& query);

enum class Turn { kForward, kBack };
// Turns each pair of channels (2i, 2i+1) by its angle.
mil::Var rotate(KernelWriter& w, const mil::Var& x, const Rotation& by,
                Turn turn);

// [1, Q, 1, S] <-> [1, KV, R S, HD]: the queries of each group, stacked.
mil::Var stack_groups(KernelWriter& w, const Sizes& n, const mil::Var& x);
mil::Var unstack_groups(KernelWriter& w, const Sizes& n, const mil::Var& x);
// [1, K, 1, S] <-> [1, KV, HD, S].
mil::Var split_heads(KernelWriter& w, const Sizes& n, const mil::Var& x);
mil::Var merge_heads(KernelWriter& w, const Sizes& n, const mil::Var& x);

// 1 / sqrt(HD).
mil::Var score_scale(KernelWriter& w, const Sizes& n);
// P = softmax(scale q^T k + mask), [1, KV, R S, S].
mil::Var probabilities(KernelWriter& w, const Sizes& n,
                       const mil::Var& stacked_q, const mil::Var& split_k,
                       const mil::Var& scale);
// a = P v, [1, Q, 1, S].
mil::Var weighted_values(KernelWriter& w, const Sizes& n, const mil::Var& p,
                         const mil::Var& split_v);

}  // namespace aneroid::kernels
