// The dimensions of one kernel request, checked once.
#pragma once

#include <cstdint>
#include <string_view>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"

namespace aneroid::kernels {

// No dimension of a tensor may be larger (rule C031).
inline constexpr int64_t kMaxDimension = 65536;
// No matrix product may sum over more terms (rule C041).
inline constexpr int64_t kMaxContraction = 32768;
// Scores and mask grow with the square of the sequence.
inline constexpr int64_t kMaxSequence = 4096;

struct Sizes {
  int64_t model = 0;     // D
  int64_t query = 0;     // Q = NH * HD
  int64_t key = 0;       // K = KV * HD
  int64_t hidden = 0;    // H
  int64_t columns = 0;   // S, the padded sequence
  int64_t heads = 0;     // NH
  int64_t kv_heads = 0;  // KV
  int64_t head_dim = 0;  // HD
  int64_t group = 0;     // R = NH / KV
};

// Errors: those of model::check, and "kernel" (place: the kernel's name) for a
// sequence out of range, sizes over the engine's limits, and an epsilon that
// fp16 would round to zero.
Result<Sizes> check_sizes(std::string_view kernel,
                          const model::ModelConfig& config, int64_t sequence);

// Error "kernel" when a dimension of a surface is over kMaxDimension.
Status check_dimension(std::string_view kernel, std::string_view what,
                       int64_t value);

}  // namespace aneroid::kernels
