// Shares one block of memory among buffers whose lives do not overlap.
#pragma once

#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

// Sets arena_offset of every arena buffer that a step touches, and
// plan.arena_bytes. Offsets are multiples of 64 bytes.
void allocate_arena(Plan& plan);

// Buffers a step reads or writes.
std::vector<int> buffers_of(const Step& step);

}  // namespace aneroid::emulator
