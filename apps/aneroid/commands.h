// The subcommands: one set-up function each, listed in main.cpp.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_train(CLI::App& command, Action& chosen);
void setup_generate(CLI::App& command, Action& chosen);
void setup_eval(CLI::App& command, Action& chosen);
void setup_bench(CLI::App& command, Action& chosen);
void setup_data(CLI::App& command, Action& chosen);
void setup_conformance(CLI::App& command, Action& chosen);
void setup_convert(CLI::App& command, Action& chosen);
void setup_devices(CLI::App& command, Action& chosen);
void setup_mil(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
