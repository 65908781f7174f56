// The static pipeline: weights are constants of the programs, as first
// published, so each layer has its own programs and an update compiles them
// again.
//
// Each program has one input [1, C, 1, S] and one output [1, C', 1, S], fp16,
// in which named blocks are stacked along the channels. A linear layer is a
// 1x1 convolution whose weight [out, in, 1, 1] is a file of its own; the bytes
// come from the model when a layer is compiled, the text is the same for all
// layers. Sequences are padded as in pipeline.h.
//
// Residuals, the norms' gradients, final norm and classifier are the CPU's;
// the extras move what the later publication moved to the engine.
//
// Pure functions; symbols, errors and limits as in pipeline.h, and SC = NH S,
// the rows of all heads' scores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/model/config.h"

namespace aneroid::kernels {

// A weight file that a program wants besides its tables: the parameter of a
// role (model/parameters.h), of the program's layer when it is of a layer.
struct BakedWeight {
  std::string path;         // "@model_path/weights/wq.bin"
  std::string role;         // "q_proj"
  bool transposed = false;  // the file holds the tensor's transpose
};

struct StaticProgram {
  std::string name;  // "fwd_attn"
  std::string mil_text;
  // Mask and rotation tables: path -> bytes of the file.
  std::map<std::string, std::vector<std::byte>> tables;
  std::vector<BakedWeight> baked;  // empty: needs compiling only once
  int64_t columns = 0;
  int64_t input_channels = 0;
  int64_t output_channels = 0;
  std::vector<OutputBlock> inputs;  // stacked, like the outputs
  std::vector<OutputBlock> outputs;

  // The block must exist: a wrong name is a bug and asserts.
  const OutputBlock& input(std::string_view block) const;
  const OutputBlock& output(std::string_view block) const;
};

struct StaticOptions {
  // Turn queries and keys by their position. The published static programs do
  // not; their models cannot tell the order of distant words.
  bool rope = true;
};

// The six programs of a layer.
//   fwd_attn   in x (D)
//              out o (D) = Wo a, q (Q, turned) k (K, turned) v (K) a (Q) xn (D)
//   fwd_ffn    in x2 (D)
//              out y (D) = W2 g, h1 (H) h3 (H) g (H) xn2 (D)
//   ffn_bwd    in dffn (D) h1 (H) h3 (H)      out dx (D, at the norm's output)
//                                             dh1 (H) dh3 (H)
//   sdpa_bwd1  in q (Q) k (K) v (K) dx2 (D)   out dv (K) probs (SC) dp (SC)
//   sdpa_bwd2  in probs dp (SC) q (Q) k (K)   out dq (Q) dk (K): before RoPE
//   qkv_bwd    in dq (Q) dk (K) dv (K)        out dx (D, at the norm's output)
struct StaticLayer {
  StaticProgram fwd_attn, fwd_ffn, ffn_bwd, sdpa_bwd1, sdpa_bwd2, qkv_bwd;
};
Result<StaticLayer> static_layer(const model::ModelConfig& config,
                                 int64_t sequence,
                                 const StaticOptions& options = {});

// What the extras add.
//   rms_bwd_attn, rms_bwd_ffn   in dy (D) x (D)   out dx (D); per layer
//   final_rms    in x (D)       out xn (D)
//   classifier   in x (D)       out logits (V): one convolution
//   softmax      in logits (V)  out probs (V)
struct StaticExtras {
  StaticProgram rms_bwd_attn, rms_bwd_ffn, final_rms, classifier, softmax;
};
Result<StaticExtras> static_extras(const model::ModelConfig& config,
                                   int64_t sequence);

}  // namespace aneroid::kernels
