// aneroid bench decode: how near decoding comes to the memory's speed.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_bench_decode(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
