// The flags of `aneroid train`, as they are kept in a run's config.json.
#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"
#include "aneroid/pipeline/create.h"
#include "apps/aneroid/device_options.h"

namespace aneroid::cli {

struct TrainOptions {
  std::string out = "runs/stories";
  bool resume = false;
  bool overwrite = false;
  bool json = false;
  bool as_published = false;  // what it implies is in the fields below
  // Of the process that executed this one; -1: none did.
  int inherited_lock = -1;
  bool restarted() const { return inherited_lock >= 0; }

  // Kept with the run: a resumed run takes them from its folder.
  std::string model = "storybook";
  std::string config;
  std::string data;  // empty: the built-in stories
  std::string tokenizer;
  int64_t sequence = 0;  // 0: the model's, at most 256
  int64_t steps = 1200;
  int64_t accumulation = 4;
  double lr = 2e-3;
  double min_lr = 0.1;  // fraction of lr
  int64_t warmup = 60;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 0.1;
  double clip = 1.0;
  bool fuse_optimizer = false;
  std::string moments = "fp32";  // or "bf16"
  double loss_scale = 8192;
  int loss_scale_growth = 200;
  double validation = 0.05;
  int64_t validate_every = 100;
  int64_t checkpoint_every = 100;
  uint64_t seed = 42;
  std::string pipeline = "dynamic";
  bool ane_extras = true;  // of static-extras
  bool rope = true;
  double residual_alpha = 1;                // 0: 1 / sqrt(2 layers)
  std::string init = "normal";              // or "published"
  std::string compact_vocabulary = "auto";  // or "on", "off"

  DeviceFlags device;
};

void add_train_options(CLI::App& command, TrainOptions& options);

// The kept part.
nlohmann::json to_json(const TrainOptions& options);
// Overwrites the kept part. Error ("run.config") names a missing field.
Status restore(TrainOptions& options, const nlohmann::json& json,
               const std::string& place);

// The pipeline that the flags choose. Error (usage): an unknown name.
Result<pipeline::Options> pipeline_options(const TrainOptions& options,
                                           const model::ModelConfig& config);

// Error (usage) for numbers that cannot be meant, flags that contradict each
// other.
Status check(const TrainOptions& options);

}  // namespace aneroid::cli
