// What `aneroid train` shows of a run.
#pragma once

#include <filesystem>
#include <vector>

#include "aneroid/data/shard.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/telemetry/events.h"
#include "aneroid/train/run.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/train_options.h"

namespace aneroid::cli {

// Lines for people: a progress line on a terminal, and a printed line now and
// then.
class TrainDisplay {
 public:
  // `done` steps are behind us, with these losses where they are to be shown.
  TrainDisplay(const TrainOptions& options, int64_t done,
               std::vector<double> losses);

  void step(const telemetry::StepEvent& event);
  void validation(const telemetry::ValidationEvent& event);
  void clear() { progress_.clear(); }
  const std::vector<double>& losses() const { return losses_; }

 private:
  const TrainOptions& options_;
  int64_t every_;
  Progress progress_;
  std::vector<double> losses_;
  double wall_ = 0;
  int64_t counted_ = 0;
};

// The losses of the steps in a run's events; none when they cannot be read.
std::vector<double> losses_so_far(const std::filesystem::path& events);

struct Introduction {
  const TrainOptions& options;
  const model::ModelConfig& config;
  int64_t sequence = 0;
  const data::TokenShard& tokens;
  const device::DeviceInfo& device;
  const pipeline::Pipeline& pipeline;
};
void introduce(const Introduction& run);

void conclude(const TrainOptions& options, const train::RunSummary& summary,
              const std::vector<double>& losses);

}  // namespace aneroid::cli
