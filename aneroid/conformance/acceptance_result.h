// The shape that an op of one operand gives, as far as the text of a table says
// it: "to 48x48", "axis 1", "block 2". Part of acceptance_variant.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "aneroid/base/dtype.h"
#include "aneroid/conformance/acceptance_words.h"

namespace aneroid::conformance {

// The nearest whole number, within a range that shapes can be computed in.
int64_t whole(double number);

// The input's shape where the text says nothing else.
Shape result_shape(std::string_view op, const Shape& input,
                   const VariantWords& words);

}  // namespace aneroid::conformance
