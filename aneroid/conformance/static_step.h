// The engine's part of a training step as first published: weights baked into
// six programs per layer, 72 calls for twelve layers. From the shapes alone, so
// that its predicted time can be held against the published one.
#pragma once

#include <vector>

#include "aneroid/conformance/timing_rows.h"

namespace aneroid::conformance {

struct StepModel {
  int64_t layers;
  int64_t hidden;
  int64_t intermediate;
  int64_t heads;
};
inline constexpr StepModel kStories110m{12, 768, 2048, 12};

struct StepKernel {
  std::string_view name;  // "fwdAttn"
  bool forward = false;
  DescribedProgram program;  // with its number of calls
};
// The programs of one sequence, in the order of their first call.
std::vector<StepKernel> static_step(const StepModel& model, int64_t sequence);
// Those of the forward pass alone.
std::vector<DescribedProgram> static_forward(const StepModel& model,
                                             int64_t sequence);

}  // namespace aneroid::conformance
