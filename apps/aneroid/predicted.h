// How predicted times are shown: always with the chip and the known error.
#pragma once

#include <string>

#include "aneroid/pipeline/dynamic.h"

namespace aneroid::cli {

// "on m4: 12.3 ms of engine per micro-step, 29 calls (model error: ...)".
std::string predicted_line(const pipeline::PredictedStep& step);

}  // namespace aneroid::cli
