// aneroid bench timing: the timing model against tables of measurements.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_bench_timing(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
