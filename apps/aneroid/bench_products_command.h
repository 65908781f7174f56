// aneroid bench products: what the engine's arithmetic does to a model's
// products.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_bench_products(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
