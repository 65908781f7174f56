// llama2.c's model file, version 0 (the "legacy" export).
//
//   int32[7]  dim, hidden, layers, heads, kv heads, vocab (negative when the
//             classifier is not tied), positions
//   fp32      embedding, then each kind of tensor for all layers: attention
//             gain, wq, wk, wv, wo, ffn gain, w1, w2, w3; final gain;
//             rotary tables cos, sin [positions, head dim / 2]; classifier
//             when not tied
//
// The file has no place for a head size other than dim / heads, nor for
// epsilon and rotary base: they are 1e-5 and 10000.
#pragma once

#include <filesystem>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"
#include "aneroid/model/weights.h"

namespace aneroid::model {

// The size of the file must be exactly what the header says. Errors: "file";
// "llama2c": not such a file, sizes outside our limits, cut short, too long;
// "weights": NaN or infinity. The stored rotary tables are not
// read: they follow from the config.
Result<LoadedModel> load_llama2c(const std::filesystem::path& path);

// Atomic. Errors: "file"; "weights"; "llama2c" when the format cannot hold
// the config.
Status save_llama2c(const std::filesystem::path& path,
                    const ModelConfig& config, const Weights& weights);

}  // namespace aneroid::model
