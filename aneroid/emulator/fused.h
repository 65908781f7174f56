// The fused interpreter: evaluates a chain of element-wise operations over a
// piece of rows, in fp32 registers held in scratch memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

// Columns a fused step handles at a time.
int64_t chunk_columns(const FusedStep& step);
// Floats of scratch one worker needs for a fused step.
size_t scratch_floats(const FusedStep& step);

// Rows [first, last) of the step. `buffers` are the addresses of the plan's
// buffers, `scratch` holds scratch_floats(step). With `lower`, step.claim
// holds.
void run_fused_rows(const FusedStep& step, const Plan& plan,
                    std::span<std::byte* const> buffers, int64_t first,
                    int64_t last, float* scratch, bool lower);

}  // namespace aneroid::emulator
