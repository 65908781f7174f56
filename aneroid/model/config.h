// What a model is: sizes in the names of Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "aneroid/base/diagnostic.h"

namespace aneroid::model {

// A Llama-style decoder: pre-norm RMSNorm, RoPE, grouped-query attention,
// SwiGLU, no biases.
struct ModelConfig {
  std::string name = "custom";
  int64_t hidden_size = 0;          // D
  int64_t intermediate_size = 0;    // H
  int64_t num_hidden_layers = 0;    // L
  int64_t num_attention_heads = 0;  // NH
  int64_t num_key_value_heads = 0;  // KV; divides NH
  int64_t head_dim = 0;             // HD, even; D / NH when the file has none
  int64_t vocab_size = 0;           // V
  int64_t max_position_embeddings = 0;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;
  bool tie_word_embeddings = true;
  double initializer_range = 0.02;

  int64_t query_dim() const { return num_attention_heads * head_dim; }
  int64_t key_value_dim() const { return num_key_value_heads * head_dim; }
  // Query heads that share one key/value head: head h uses h / ratio.
  int64_t group_size() const {
    return num_attention_heads / num_key_value_heads;
  }
  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// Sizes positive and within limits, KV divides NH, HD even, ... Error
// ("config") names the field, its value and what would be right.
Status check(const ModelConfig& config);

Result<ModelConfig> config_from_json(const nlohmann::json& json,
                                     std::string_view place);
nlohmann::json to_json(const ModelConfig& config);
Result<ModelConfig> load_config(const std::filesystem::path& path);

// Built-in presets (model/presets/*.json): stories260k, stories15m,
// stories42m, stories110m, and the built-in stories' own small model.
std::vector<std::string> preset_names();
// Error ("config") lists the presets there are.
Result<ModelConfig> preset(std::string_view name);

}  // namespace aneroid::model
