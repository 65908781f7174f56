// Weights in and out of files; docs/checkpoints.md tells users the same.
//
// All of our arrays keep rotary pairs side by side (channels 2i and 2i+1 of a
// head), as llama2.c does. Hugging Face pairs channel i with i + HD/2, so the
// rows of q_proj and k_proj are reordered on the way in and out.
#pragma once

#include <filesystem>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid::model {

struct LoadedModel {
  ModelConfig config;
  Weights weights;
  // Of a checkpoint whose training left out ids: those it did not. Empty: all.
  std::vector<bool> used_ids = {};
};

// Reads, by what `path` is:
//   a folder        model.safetensors, else checkpoint.safetensors, else the
//                   only *.safetensors file in it; read as such a file
//   *.safetensors   config from its metadata, else from config.json beside it;
//                   a training checkpoint gives its weights only
//   any other file  by its first bytes, a checkpoint of the forerunners (its
//                   weights only; blzt.h), else llama2.c's version 0
// fp16 and bf16 become fp32. Rows are reordered unless the metadata says
// rope_layout = interleaved. Errors: "file", "safetensors", "llama2c",
// "blzt", "config"; "weights" when a tensor is missing, not in the model
// (rotary inv_freq buffers are ignored, and so is an lm_head equal to a tied
// embedding), of another shape or type, or not finite.
Result<LoadedModel> load_model(const std::filesystem::path& path);

// One self-contained file: config and layout in the metadata, fp32. Atomic.
// Errors: "file"; "config" and "weights" when the two do not fit.
Status save_safetensors(const std::filesystem::path& path,
                        const ModelConfig& config, const Weights& weights);

// A folder that Hugging Face's LlamaForCausalLM loads: model.safetensors
// (half-split rows, fp32) and config.json. Errors as save_safetensors.
Status save_hugging_face(const std::filesystem::path& folder,
                         const ModelConfig& config, const Weights& weights);

// Reorders the rows of a q_proj or k_proj [heads * head_dim, columns], head by
// head: half-split row i (first half) becomes row 2i, row HD/2 + i becomes
// row 2i + 1; and the reverse.
enum class RopeLayout : uint8_t { kHalfSplit, kInterleaved };
void reorder_rope_rows(Tensor& projection, int64_t head_dim, RopeLayout to);

}  // namespace aneroid::model
