// Where results are written: found backwards from the outputs, so that what
// ends in a concat or an output port is produced there and never copied.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "aneroid/device/device.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

using Placements = std::map<std::string, View, std::less<>>;

// Storage of a value of this type under the numerics.
cpu::Storage storage_of(DataType dtype, Numerics numerics);

// `placeable` says whether a name is computed while running by an operation
// (not a parameter, not a constant). Buffers of concats are appended to the
// plan.
Placements place_results(const mil::Function& function,
                         const mil::Symbols& symbols,
                         const std::vector<int>& output_buffers,
                         const device::Signature& signature,
                         const std::function<bool(std::string_view)>& placeable,
                         Plan& plan);

// Views of the parts of a concat, in the order of its values.
std::vector<View> concat_parts(const mil::Operation& operation,
                               const mil::Symbols& symbols, const View& whole);

// The names bound to a variadic input.
std::vector<std::string> names_of(const mil::Argument& argument);

// `axis` counted from the end when negative.
size_t normal_axis(int64_t axis, size_t rank);

}  // namespace aneroid::emulator
