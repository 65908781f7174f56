// Element-wise operations and reductions in the engine's own arithmetic: the
// words of the fused interpreter and of column reductions, on numerics/.
//
// Registers hold what the engine would read back: fp16 numbers, and the
// numbers that infinities stand for. Every operation rounds to fp16, in a fused
// chain as well: how precise values are between operations of one task is not
// known (rule N18).
#pragma once

#include <cstddef>
#include <cstdint>

#include "aneroid/cpu/vector_math.h"
#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

// dst[i] = op(a[i], b[i]) for n values; one value for row reductions, or when
// op.row. `dst` may be an operand.
void execute_exact(const FusedOp& op, cpu::Operand a, cpu::Operand b,
                   float* dst, size_t n);

// n values of a port of a fused step, from element `offset` of `base` on.
void load_exact(const FusedPort& port, const std::byte* base,
                cpu::Storage storage, int64_t offset, float* dst, size_t n);

// A column reduction is cut into this many tasks, independent of each other.
int64_t column_reduce_tasks(const ColumnReduceStep& step);
void reduce_columns_exact(const ColumnReduceStep& step, const std::byte* in,
                          cpu::Storage in_storage, std::byte* out,
                          cpu::Storage out_storage, int64_t task);

}  // namespace aneroid::emulator
