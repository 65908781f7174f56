// Reads what a table of measured acceptance says about the form of an op:
// "conv3x3_d2: 3x3 same dilation 2; input 1x64x32x32". The wording is that of
// people, so the reader is tolerant: words it does not know are skipped, and
// what the text leaves open takes the table's usual value, an fp16 input of
// 1x64x32x32. docs/spec/acceptance.md lists the words. Thread-safe.
#pragma once

#include <string_view>
#include <vector>

#include "aneroid/target/op_form.h"

namespace aneroid::conformance {

// One form per op: "quantize+dequantize" has two.
std::vector<target::OpForm> read_forms(std::string_view op,
                                       std::string_view variant);

}  // namespace aneroid::conformance
