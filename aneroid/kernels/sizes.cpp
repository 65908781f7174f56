#include "aneroid/kernels/sizes.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/kernels/pipeline.h"

namespace aneroid::kernels {
namespace {

Status check_sequence(std::string_view kernel, const model::ModelConfig& config,
                      int64_t sequence) {
  const int64_t longest =
      std::min(config.max_position_embeddings, kMaxSequence);
  if (sequence >= 1 && sequence <= longest) return {};
  return input_error(
      "kernel", std::string(kernel),
      fmt::format("sequence length {} is outside 1..{} (the model has {} "
                  "positions, a kernel at most {}); choose a length in that "
                  "range",
                  sequence, longest, config.max_position_embeddings,
                  kMaxSequence));
}

Status check_contractions(std::string_view kernel, const Sizes& n) {
  const struct {
    const char* what;
    int64_t length;
    const char* remedy;
  } rows[] = {
      {"hidden_size", n.model, "use a smaller hidden_size"},
      {"num_attention_heads * head_dim", n.query, "use fewer or smaller heads"},
      {"intermediate_size", n.hidden, "use a smaller intermediate_size"},
      {"group size * padded sequence", n.group * n.columns,
       "shorten the sequence or use more key/value heads"},
  };
  for (const auto& row : rows) {
    if (row.length <= kMaxContraction) continue;
    return input_error(
        "kernel", std::string(kernel),
        fmt::format("{} is {}, but a product on the engine sums "
                    "at most {} terms (rule C041); {}",
                    row.what, row.length, kMaxContraction, row.remedy));
  }
  return {};
}

// Zero columns (padding) reach the norm, where only epsilon keeps
// (mean + eps)^-1/2 finite.
Status check_epsilon(std::string_view kernel,
                     const model::ModelConfig& config) {
  if (to_float(to_half_even(config.rms_norm_eps)) > 0.0F) return {};
  return input_error(
      "kernel", std::string(kernel),
      fmt::format("rms_norm_eps {} rounds to zero in fp16, whose smallest step "
                  "is 5.96e-8; use 1e-7 or more",
                  config.rms_norm_eps));
}

}  // namespace

Result<Sizes> check_sizes(std::string_view kernel,
                          const model::ModelConfig& config, int64_t sequence) {
  ANEROID_TRY(model::check(config));
  ANEROID_TRY(check_sequence(kernel, config, sequence));
  ANEROID_TRY(check_epsilon(kernel, config));
  Sizes n;
  n.model = config.hidden_size;
  n.query = config.query_dim();
  n.key = config.key_value_dim();
  n.hidden = config.intermediate_size;
  n.columns = padded_columns(sequence);
  n.heads = config.num_attention_heads;
  n.kv_heads = config.num_key_value_heads;
  n.head_dim = config.head_dim;
  n.group = config.group_size();
  ANEROID_TRY(check_contractions(kernel, n));
  return n;
}

Status check_dimension(std::string_view kernel, std::string_view what,
                       int64_t value) {
  if (value <= kMaxDimension) return {};
  return input_error(
      "kernel", std::string(kernel),
      fmt::format("{} would be {}, but no dimension may exceed {} on the "
                  "engine (rule C031); use a smaller model",
                  what, value, kMaxDimension));
}

}  // namespace aneroid::kernels
