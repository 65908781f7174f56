// Checkpoints of the trainers that came before (maderix/ANE): one raw file that
// begins with the bytes "TZLB", the number 0x424C5A54.
//
//   96 bytes  header: sizes, progress, times (docs/checkpoints.md has them
//   all).
//             Version 2 is the static pipeline's; version 4, the dynamic one's,
//             also says key/value heads, head size and query width
//   fp32      for each layer: wq, wk, wv, wo, w1, w2, w3, attention gain, ffn
//             gain; then the first moments of these nine, then the second
//   fp32      final gain and its moments; embedding [V, D] and its moments
//
// The classifier is the embedding, epsilon is 1e-5, the rotary base 10000, and
// rotary pairs lie side by side as in our own arrays: nothing is reordered.
//
// Orion writes the same first bytes and version 2 in another layout, told by
// the file's size: a header of 88 bytes, then all layers' weights (attention
// gain, wq, wk, wv, wo, ffn gain, w1, w3, w2), all their moments, embedding,
// final gain, and the moments of these. Its weights are read, its moments are
// not: their order was never written down clearly enough to trust.
#pragma once

#include <cstdint>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/checkpoint.h"
#include "aneroid/model/weights.h"

namespace aneroid::model {

// How far the run was. Times in milliseconds, over all its processes.
struct BlztProgress {
  int32_t step = 0;  // the next to make
  int32_t total_steps = 0;
  float learning_rate = 0;
  float loss = 0;
  double compile_ms = 0;
  double train_ms = 0;
  double wall_ms = 0;
  int32_t steps = 0;
  int32_t batches = 0;
  int32_t adam_t = 0;  // updates made
  friend bool operator==(const BlztProgress&, const BlztProgress&) = default;
};

// The key of a checkpoint's state that keeps the progress of an import.
inline constexpr const char* kBlztStateKey = "blzt";
// Numbers that are not finite become null.
nlohmann::json to_json(const BlztProgress& progress);
// From state[kBlztStateKey]; zeros when there is none. Error ("blzt") names the
// field that is no such number.
Result<BlztProgress> blzt_progress(const nlohmann::json& state);

// True when the file begins with the magic number. Error: "file".
Result<bool> is_blzt(const std::filesystem::path& path);

// Header and size are checked completely before anything is read, and every
// value. Errors: "file"; "blzt" names the header's field with its value, or
// tells both sizes; "weights" for NaN, infinity, a negative second moment.
Result<LoadedModel> load_blzt_weights(const std::filesystem::path& path);
// With both moments; the progress is state[kBlztStateKey]. Error ("blzt") for
// Orion's layout, too.
Result<Checkpoint> load_blzt(const std::filesystem::path& path);

// Version 4. Atomic. Without moments (both empty) they are written as zeros.
// Errors: "file"; "weights"; "blzt" when the format cannot hold the config.
Status save_blzt(const std::filesystem::path& path, const ModelConfig& config,
                 const WeightViews& weights, const MomentViews& first_moments,
                 const MomentViews& second_moments,
                 const BlztProgress& progress);

}  // namespace aneroid::model
