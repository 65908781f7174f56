// The dynamic pipeline: weights travel in the input surface, so every program
// is compiled once and shared by all layers.
//
// Each program has one input [1, rows, 1, width] and one output
// [1, channels, 1, columns], fp16. The input's columns hold named blocks side
// by side: activations first, then a gain, then weight matrices. The output
// packs named blocks along channels. A forward program and its gradient read
// the same surface, each its own blocks of it: weights are there once.
//
// Sequences are padded to `columns`, the next multiple of 32 (rules C019,
// C020): padding sits at the end, where the causal mask keeps it from real
// positions; callers write zeros there.
//
// Pure functions: no device, no files, no state. Symbols as in
// docs/pipeline.md: D model, Q query and K key/value width, H hidden,
// S columns, V vocabulary. What each program computes, in plain loops:
// plain.h.
//
// Errors: a bad config ("config"); "kernel" with the program's name as place
// for a sequence outside 1..min(4096, max_position_embeddings), sizes beyond
// the engine's limits (rules C031, C041), and an rms_norm_eps that fp16 rounds
// to zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"

namespace aneroid::kernels {

// A gain [D] occupies a block of this many columns, of which the first is
// used, so that all blocks start at multiples of 32.
inline constexpr int64_t kGainColumns = 32;

// The surface outside the blocks is never read.
struct InputBlock {
  std::string name;
  int64_t rows = 0;    // rows [0, rows) of the surface
  int64_t column = 0;  // first column
  int64_t columns = 0;
  bool read = false;  // by this program; the others are its partner's
};
struct OutputBlock {
  std::string name;
  int64_t channel = 0;  // first channel
  int64_t channels = 0;
};

struct KernelProgram {
  std::string name;     // "attn_fwd"
  std::string surface;  // "attn": one name, one layout of input blocks
  std::string mil_text;
  // Path in the text ("@model_path/weights/mask.bin") -> bytes of the file.
  std::map<std::string, std::vector<std::byte>> weights;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t columns = 0;
  std::vector<InputBlock> inputs;
  std::vector<OutputBlock> outputs;

  // The block must exist: a wrong name is a bug and asserts.
  const InputBlock& input(std::string_view block) const;
  const OutputBlock& output(std::string_view block) const;
};

int64_t padded_columns(int64_t sequence);  // next multiple of 32

// Surface "attn", rows max(D, Q):
//   x (D,S) dx2 (D,S) q (Q,S) k (K,S) v (K,S) gain (D)
//   wq=Wq (Q,D) wk=Wk (K,D) wv=Wv (K,D) wo=Wo (D,Q)
//
// x2 = x + Wo a, a = causal attention of rope(Wq xn), rope(Wk xn), Wv xn,
// xn = rmsnorm(x, gain).
//   reads x, gain, weights
//   gives x2 (D) xn (D) q (Q, rotated) k (K, rotated) v (K) a (Q)
Result<KernelProgram> attention_forward(const model::ModelConfig& config,
                                        int64_t sequence);
// Gradient of attention_forward; probabilities are recomputed.
//   reads all
//   gives dx (D, with the residual) dxn (D) dq (Q) dk (K) dv (K): before RoPE
Result<KernelProgram> attention_backward(const model::ModelConfig& config,
                                         int64_t sequence);

// Surface "ffn", rows max(D, H):
//   x2 (D,S) dy (D,S) h1 (H,S) h3 (H,S) gain (D)
//   w1=W1 (H,D) w3=W3 (H,D) w2=W2^T (H,D)
//
// y = x2 + W2 g, g = silu(h1) * h3, h1 = W1 xn2, h3 = W3 xn2,
// xn2 = rmsnorm(x2, gain).
//   reads x2, gain, weights
//   gives y (D) xn2 (D) h1 (H) h3 (H) g (H)
Result<KernelProgram> ffn_forward(const model::ModelConfig& config,
                                  int64_t sequence);
// Gradient of ffn_forward.
//   reads all
//   gives dx2 (D, with the residual) dxn2 (D, gradient at the norm's output)
//         dh1 (H) dh3 (H)
Result<KernelProgram> ffn_backward(const model::ModelConfig& config,
                                   int64_t sequence);

// Surface "final_norm", rows D: x (D,S) dxf (D,S) gain (D).
//
// xf = rmsnorm(x, gain).   reads x, gain   gives xf (D)
Result<KernelProgram> final_norm_forward(const model::ModelConfig& config,
                                         int64_t sequence);
// reads all   gives dx (D)
Result<KernelProgram> final_norm_backward(const model::ModelConfig& config,
                                          int64_t sequence);

// The classifier works in tiles of the vocabulary, all of one size; the last
// is padded with zero rows.
struct VocabularyTiles {
  int64_t count = 0;
  int64_t size = 0;  // rows per tile, a multiple of 32, at most 8192
};
VocabularyTiles vocabulary_tiles(int64_t vocab_size);
// Surface "cls", rows max(D, VT): xf (D,S), dlogits (VT,S) in the same columns,
// e=E_tile (VT,D). xf is not wanted any more when dlogits are written.
//
// logits = E_tile xf.   reads xf, e   gives logits (VT)
Result<KernelProgram> classifier_forward(const model::ModelConfig& config,
                                         int64_t sequence);
// dxf = E_tile^T dlogits.   reads dlogits, e   gives dxf (D)
Result<KernelProgram> classifier_backward(const model::ModelConfig& config,
                                          int64_t sequence);

// The eight programs above.
struct DynamicPipeline {
  KernelProgram attn_fwd, ffn_fwd, ffn_bwd, attn_bwd;
  KernelProgram final_norm_fwd, final_norm_bwd, cls_fwd, cls_bwd;
  VocabularyTiles tiles;
};
Result<DynamicPipeline> dynamic_pipeline(const model::ModelConfig& config,
                                         int64_t sequence);

}  // namespace aneroid::kernels
