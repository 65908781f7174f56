// What can be proven of a product from its operands, in a small part of its
// time: the guards of causal.h. Operands are fp16, with one stride of 1 each.
#pragma once

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"

namespace aneroid::emulator {

struct ProductOperands {
  cpu::GemmShape shape;
  cpu::ConstMatrix a;
  cpu::ConstMatrix b;
  cpu::GemmBatch batch;
};

// No element of any product of the batch is larger, nor any partial sum, nor
// the sum of magnitudes, but for rounding; not finite when an operand is not.
double largest_product(cpu::ThreadPool& pool, const ProductOperands& operands);

enum class Side { kA, kB };
bool all_finite(cpu::ThreadPool& pool, const ProductOperands& operands,
                Side side);

}  // namespace aneroid::emulator
