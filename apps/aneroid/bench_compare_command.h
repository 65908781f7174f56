// aneroid bench compare: the same training in every pipeline.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_bench_compare(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
