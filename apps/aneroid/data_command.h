// The parts of `aneroid data`.
#pragma once

#include "apps/aneroid/common.h"

namespace aneroid::cli {

void setup_data_tokenize(CLI::App& command, Action& chosen);
void setup_data_info(CLI::App& command, Action& chosen);
void setup_data_train_tokenizer(CLI::App& command, Action& chosen);
void setup_data_stories(CLI::App& command, Action& chosen);

}  // namespace aneroid::cli
