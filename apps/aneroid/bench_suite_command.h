// aneroid bench peak, conv-vs-matmul, dispatch, sram, int8, weights and layer:
// the published benchmarks, measured here, predicted on a chip, and beside what
// was published.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

// Adds a subcommand for each suite of suite::suites().
void setup_bench_suites(CLI::App& bench, Action& chosen);

}  // namespace aneroid::cli
