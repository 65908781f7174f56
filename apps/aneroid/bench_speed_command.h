// aneroid bench ceiling, aneroid bench gemm: what this computer could do, and
// what the matrix products make of it.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_bench_ceiling(CLI::App& command, Action& chosen);
void setup_bench_gemm(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
