// Matrix products that read fp16 or fp32 operands in place, at any stride, and
// write fp16 or fp32: the engine's conv and matmul, and the weight gradients.
//
//   C[m, n] = sum_k A[m, k] * B[k, n]      (+ C when accumulating)
//
// Each element of C is one fused-multiply-add chain per K block, in K order,
// whatever the number of threads: results do not depend on it.
#pragma once

#include <cstdint>
#include <functional>

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

enum class Storage : uint8_t { kHalf, kFloat };

// Element (i, j) is at data + i*row_stride + j*col_stride (in elements).
// Fast when one of the strides is 1; correct for any, 0 included.
struct ConstMatrix {
  const void* data = nullptr;
  Storage storage = Storage::kHalf;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
};
struct Matrix {
  void* data = nullptr;
  Storage storage = Storage::kHalf;
  int64_t row_stride = 0;  // fast when col_stride is 1
  int64_t col_stride = 1;
};

struct GemmShape {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
};

// Arithmetic of the sums.
enum class Accumulate : uint8_t {
  kFloat,   // fp32 products and sums
  kDouble,  // fp64 products and sums, for reference numerics
};

// A lower triangular part of a product lets gemm() leave out nearly half the
// work. Rows may hold several squares on top of each other: element (i, j) of
// the part is above the diagonal where j > i mod period.
struct GemmTriangle {
  enum class Of : uint8_t {
    kNone,
    // C: what is above the diagonal is not wanted. Left unspecified, but for
    // the columns before triangle_columns(i, period) of row i.
    kC,
    // A (k <= period) or B (n <= period) holds zeros above the diagonal, of
    // either sign: none of their products need be added, and which are is
    // unspecified. With fp16 operands that are finite the result is that of
    // the whole product, bit for bit: its sums are exact where they are tiny,
    // so that none is -0.
    kA,
    kB,
  };
  Of of = Of::kNone;
  int64_t period = 0;
};
// Columns of row `row` that are computed at least: up to the diagonal, and on
// to a multiple of 32, which all vectors divide.
constexpr int64_t triangle_columns(int64_t row, int64_t period) {
  constexpr int64_t kGrain = 32;
  return (row % period + kGrain) / kGrain * kGrain;
}

struct GemmOptions {
  Accumulate accumulate = Accumulate::kFloat;
  bool add_to_c = false;  // C += (fp32 C only)
  float scale = 1.0F;     // applied to the sum before it is added or stored
  GemmTriangle triangle = {};
};

// Storing to fp16 rounds half away from zero. Matrices must not overlap C.
// `batch` products with the given element strides between them.
struct GemmBatch {
  int64_t count = 1;
  int64_t a_stride = 0;
  int64_t b_stride = 0;
  int64_t c_stride = 0;
};

// Scratch memory that a caller keeps between calls so that nothing is
// allocated while running. One per concurrent gemm() call. Background calls
// that share one run one after the other; use two in turn to overlap the end
// of one with the start of the next. Memory that a shape does not need is
// reserved but never touched.
class GemmScratch {
 public:
  GemmScratch();
  ~GemmScratch();
  GemmScratch(GemmScratch&&) noexcept;
  GemmScratch& operator=(GemmScratch&&) noexcept;
  // Grows to what gemm() needs for this shape, any strides and batch; not
  // while background work uses it. gemm() grows it itself if this was left out.
  void reserve(const GemmShape& shape, Accumulate accumulate, int threads);

 private:
  friend struct GemmAccess;
  struct Impl;
  Impl* impl_;
};

// Blocks until done; uses the pool's foreground. Very small products run on
// the calling thread alone.
void gemm(ThreadPool& pool, GemmScratch& scratch, const GemmShape& shape,
          const ConstMatrix& a, const ConstMatrix& b, const Matrix& c,
          const GemmOptions& options = {}, const GemmBatch& batch = {});

// The same as background work: returns at once. Operands, C and scratch must
// live until pool.wait(). Batch count 1.
ThreadPool::JobHandle gemm_background(ThreadPool& pool, GemmScratch& scratch,
                                      const GemmShape& shape,
                                      const ConstMatrix& a,
                                      const ConstMatrix& b, const Matrix& c,
                                      const GemmOptions& options = {});

// A finished piece of C in a worker's scratch memory, values of row r at
// values + r * row_stride. The receiver may change them.
struct GemmTile {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t column = 0;
  int64_t columns = 0;
  float* values = nullptr;
  int64_t row_stride = 0;
};
using GemmTileSink = std::function<void(const GemmTile&)>;

// As gemm_background() with Accumulate::kFloat, but C is never stored: each
// piece goes to `sink` while it is in the cache. Pieces cover C once and come
// from several threads at the same time, in any order; which pieces depends on
// the number of threads, their values do not.
ThreadPool::JobHandle gemm_to_sink(ThreadPool& pool, GemmScratch& scratch,
                                   const GemmShape& shape, const ConstMatrix& a,
                                   const ConstMatrix& b, GemmTileSink sink,
                                   float scale = 1.0F);

// The plain definition: three loops, fp64 sums. For tests.
void gemm_plain(const GemmShape& shape, const ConstMatrix& a,
                const ConstMatrix& b, const Matrix& c,
                const GemmOptions& options = {}, const GemmBatch& batch = {});

}  // namespace aneroid::cpu
