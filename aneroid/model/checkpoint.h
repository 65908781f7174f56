// Training checkpoints: everything needed to continue a run, in one
// safetensors file.
//
//   tensors   every parameter under its own name, fp32; both AdamW moments as
//             "optimizer.m.<name>" and "optimizer.v.<name>", fp32 or bf16
//   metadata  format = aneroid.checkpoint, format_version, config (JSON),
//             state (JSON), rope_layout, checksum; with moments of bf16
//             format_version is 2 and moments = bf16, else it is 1
//
// The checksum covers version, config, state and every tensor, so a damaged
// file is refused rather than trained on.
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"
#include "aneroid/model/moments.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::model {

inline constexpr int kCheckpointVersion = 1;
inline constexpr int kBfloatCheckpointVersion = 2;

struct Checkpoint {
  ModelConfig config;
  Weights weights;
  Moments first_moments;
  Moments second_moments;  // never negative
  // The trainer's own: step, random state, data position, loss scale,
  // schedule, best loss, ... Kept as it is; must be an object. JSON has no
  // NaN or infinity: they come back as null.
  nlohmann::json state;
};

// A checkpoint to be written; borrows everything, copies nothing.
struct CheckpointView {
  const ModelConfig& config;
  WeightViews weights;  // in the order of the parameter table
  MomentViews first_moments;
  MomentViews second_moments;  // of the same type
  const nlohmann::json& state;
};

// Atomic: the file that was at `path` stays until the new one is complete on
// the disk, and stays for good when anything fails. Values that are not
// finite are refused, so that a diverged run cannot replace a good
// checkpoint. Errors: "file", "config", "weights", "checkpoint".
Status save_checkpoint(const std::filesystem::path& path,
                       const CheckpointView& checkpoint);

// Checks all sizes against the config, all values, and the checksum. Errors:
// "file", "safetensors", "config"; "weights" with the tensor's name;
// "checkpoint": not a checkpoint, of a later version, damaged.
Result<Checkpoint> load_checkpoint(const std::filesystem::path& path);

}  // namespace aneroid::model
