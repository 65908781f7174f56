// The parameter table: one row per tensor drives loading, initialisation, the
// optimizer, checkpoints, staging into kernels and counting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/dtype.h"
#include "aneroid/base/random.h"
#include "aneroid/model/config.h"

namespace aneroid::model {

enum class Init : uint8_t {
  kNormal,  // mean 0, deviation `init_std`
  kOnes,
};

// Where the kernels read the tensor.
struct ParameterUse {
  std::string surface;      // "attn"; kernels/pipeline.h
  std::string block;        // column block of that surface: "wq"
  bool transposed = false;  // the block holds the tensor's transpose
};

struct ParameterSpec {
  std::string name;  // Hugging Face's: "model.layers.0.self_attn.q_proj.weight"
  Shape shape;       // [out, in] for matrices, [n] for gains
  Init init = Init::kNormal;
  double init_std = 0.0;
  bool decay = false;  // weight decay applies: matrices yes, gains no
  int64_t layer = -1;  // -1 outside the layers
  std::string role;    // "q_proj", "input_layernorm", "embed_tokens", ...
  std::optional<ParameterUse> use;  // none: on the CPU only
  int64_t count() const;
};

// All rows, in the order of the file formats: embedding, then per layer
// input_layernorm, q, k, v, o, post_attention_layernorm, gate (w1), up (w3),
// down (w2), then model.norm and, when untied, lm_head.
std::vector<ParameterSpec> parameter_table(const ModelConfig& config);
int64_t parameter_count(const ModelConfig& config);

// One fp32 array per row, in table order.
struct Tensor {
  std::string name;
  Shape shape;
  std::vector<float> data;
};
using Weights = std::vector<Tensor>;

// Random initialisation: each tensor draws from its own stream, derived from
// the seed and the tensor's name, so results do not depend on order.
Weights initialise(const ModelConfig& config, uint64_t seed);

// Position of a row by role and layer (-1 outside layers); -1 when absent.
int64_t find_parameter(const std::vector<ParameterSpec>& table,
                       std::string_view role, int64_t layer = -1);

}  // namespace aneroid::model
