// One transformer layer as programs. Internal to this folder.
#pragma once

#include <vector>

#include "aneroid/suite/programs.h"

namespace aneroid::suite {

// The six programs of kernels/static_pipeline.h, without RoPE. Errors
// ("config", "kernel"): sizes that make no layer.
Result<std::vector<TestProgram>> layer_programs(const Layer& layer);

}  // namespace aneroid::suite
