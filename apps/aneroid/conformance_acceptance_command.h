// A part of `aneroid conformance`.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_conformance_acceptance(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
