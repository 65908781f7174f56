// Matrix products of int8 numbers, W8A8: one IntegerAccumulator (accumulator.h)
// per element of C, as vector code.
#pragma once

#include <cstdint>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"

namespace aneroid::numerics {

// C[m, n] = fp16(scale * sum_k A[m, k] B[k, n]), infinity where the sum leaves
// 32 bits. Operands hold whole numbers in [-128, 127] in fp32 or fp16; C is
// fp16. `scale` is that of the activations times that of the weights. Blocks;
// uses the pool's foreground and allocates.
void integer_product(cpu::ThreadPool& pool, const cpu::GemmShape& shape,
                     const cpu::ConstMatrix& a, const cpu::ConstMatrix& b,
                     const cpu::Matrix& c, double scale);

}  // namespace aneroid::numerics
