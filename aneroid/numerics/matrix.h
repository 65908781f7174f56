// Matrix products in the engine's arithmetic, bit for bit those of
// accumulator.h, as vector code:
//
//   C[m, n] = fp16(bias[m, n] + sum_k A[m, k] B[k, n])
//
// Sums run in the order of k. How they are computed depends on what can be
// proven from the norms of rows and columns, never the result: see
// matrix_kernels.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"

namespace aneroid::numerics {

// The initial value of the accumulator of (m, n) is at
// data[m row_stride + n col_stride]; none when data is null.
struct Bias {
  const Half* data = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
};

// Memory kept between calls, so that nothing is allocated while running. One
// per concurrent call.
class MatrixScratch {
 public:
  // Grows to what a product of this shape needs, with A and B exchanged too.
  void reserve(const cpu::GemmShape& shape, int threads);

 private:
  friend struct MatrixPlan;
  // Grows without initialising: most of it may never be touched.
  template <typename T>
  struct Memory {
    std::unique_ptr<T[]> data;
    size_t size = 0;
    void grow(size_t wanted) {
      if (wanted <= size) return;
      data = std::make_unique_for_overwrite<T[]>(wanted);
      size = wanted;
    }
  };
  Memory<float> packed_b_;
  Memory<float> column_norms_;
  Memory<std::byte> workers_;
};

// What was used to compute the register blocks of C, over K blocks, for tests
// and benchmarks.
struct MatrixStatistics {
  int64_t narrow = 0;   // fp32: partial sums proven below 64
  int64_t wide = 0;     // fp64: larger partial sums
  int64_t watched = 0;  // fp64, sum by sum: the accumulator may overflow
};

// Operands fp16 or fp32 (rounded to fp16 when read), C fp16 or fp32 (of fp16
// values), at any strides; fast when C's col_stride is 1. C must not overlap
// the operands. Blocks; uses the pool's foreground. `bias` has no batch.
MatrixStatistics matrix_product(cpu::ThreadPool& pool, MatrixScratch& scratch,
                                const cpu::GemmShape& shape,
                                const cpu::ConstMatrix& a,
                                const cpu::ConstMatrix& b, const cpu::Matrix& c,
                                const cpu::GemmBatch& batch = {},
                                const Bias& bias = {});

// What the engine reads at `offset` elements: fp32 is rounded to fp16.
Half element(const cpu::ConstMatrix& matrix, int64_t offset);

// The plain definition: one Accumulator per element of C.
void matrix_product_plain(const cpu::GemmShape& shape,
                          const cpu::ConstMatrix& a, const cpu::ConstMatrix& b,
                          const cpu::Matrix& c,
                          const cpu::GemmBatch& batch = {},
                          const Bias& bias = {});

}  // namespace aneroid::numerics
