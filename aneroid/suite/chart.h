// A suite as a picture: predicted curves, published points beside them, and
// what this computer took. Pure, thread-safe.
#pragma once

#include <string>

#include "aneroid/suite/report.h"

namespace aneroid::suite {

// An SVG file, logarithmic both ways, one colour per series of the suite's
// cases. Filled points and lines are predictions, rings are published figures,
// squares contributed ones, and faint dotted lines this computer's own times,
// which say nothing about a chip. Rows without a series are left out.
std::string chart_svg(const Report& report);

}  // namespace aneroid::suite
