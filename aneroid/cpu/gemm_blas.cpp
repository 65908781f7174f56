#include "aneroid/cpu/gemm_blas.h"

#include <algorithm>
#include <cstring>

#ifdef __APPLE__
#include <Accelerate/Accelerate.h>
#endif

#include "aneroid/base/half.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/gemm_plan.h"

namespace aneroid::cpu {
namespace {

#ifdef __APPLE__
void accelerate(const BlasCall& call) {
  const auto flag = [](bool transposed) {
    return transposed ? CblasTrans : CblasNoTrans;
  };
  cblas_sgemm(CblasRowMajor, flag(call.a_transposed), flag(call.b_transposed),
              static_cast<int>(call.m), static_cast<int>(call.n),
              static_cast<int>(call.k), 1.0F, call.a,
              static_cast<int>(call.lda), call.b, static_cast<int>(call.ldb),
              call.add ? 1.0F : 0.0F, call.c, static_cast<int>(call.ldc));
}
#endif

BlasFunction& chosen() {
  static BlasFunction function = system_blas();
  return function;
}

// `count` elements that are `stride` apart.
void widen(const ConstMatrix& from, int64_t offset, int64_t stride,
           int64_t count, float* to) {
  if (from.storage == Storage::kHalf) {
    const Half* const src = static_cast<const Half*>(from.data) + offset;
    if (stride == 1) return to_float(src, to, static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      to[i] = aneroid::to_float(src[i * stride]);
    }
    return;
  }
  const float* const src = static_cast<const float*>(from.data) + offset;
  for (int64_t i = 0; i < count; ++i) to[i] = src[i * stride];
}

// A rectangle of an operand as fp32, in the orientation that is contiguous.
struct Widened {
  const float* data;
  int64_t stride;
  bool transposed;
};
// `row_stride` and `column_stride` elements between the rows of the result,
// depending on which way it lies.
Widened widen(const ConstMatrix& from, int64_t offset, int64_t rows,
              int64_t columns, int64_t row_stride, int64_t column_stride,
              float* to) {
  if (from.row_stride == 1 && from.col_stride != 1) {
    for (int64_t c = 0; c < columns; ++c) {
      widen(from, offset + c * from.col_stride, 1, rows,
            to + c * column_stride);
    }
    return {to, column_stride, true};
  }
  for (int64_t r = 0; r < rows; ++r) {
    widen(from, offset + r * from.row_stride, from.col_stride, columns,
          to + r * row_stride);
  }
  return {to, row_stride, false};
}

bool lies_transposed(const ConstMatrix& matrix) {
  return matrix.row_stride == 1 && matrix.col_stride != 1;
}

// One row of a finished tile into C.
void store_row(const GemmPlan& plan, const float* values, int64_t offset,
               int64_t count) {
  const int64_t stride = plan.c.col_stride;
  if (plan.c.storage == Storage::kHalf) {
    Half* const to = static_cast<Half*>(plan.c.data) + offset;
    if (stride == 1) return to_half(values, to, static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      to[i * stride] = to_half_away(double{values[i]});
    }
    return;
  }
  float* const to = static_cast<float*>(plan.c.data) + offset;
  for (int64_t i = 0; i < count; ++i) {
    float& element = to[i * stride];
    element = plan.options.add_to_c ? element + values[i] : values[i];
  }
}

// B as a tile task finds it: [k][ldb], or [n][ldb] when it lies transposed.
struct PackedB {
  const float* data;
  int64_t ldb;
};

void finish(const GemmPlan& plan, int64_t product, const GemmBlock& range,
            const WorkerMemory<float>& memory, const PackedB& b) {
  if (!wanted(plan, range)) return;
  float* const sums = memory.sums;
  const bool b_transposed = lies_transposed(plan.b);
  const int64_t rows = range.m_end - range.m;
  const int64_t columns = range.n_end - range.n;
  BlasCall call;
  call.m = rows;
  call.n = columns;
  call.ldb = b.ldb;
  call.b_transposed = b_transposed;
  call.c = sums;
  call.ldc = kMaxTileCols;
  if (plan.shape.k == 0) std::fill_n(sums, rows * kMaxTileCols, 0.0F);
  for (int64_t k = 0; k < plan.shape.k; k += plan.k_block) {
    call.k = std::min(plan.k_block, plan.shape.k - k);
    const int64_t offset = product * plan.batch.a_stride +
                           range.m * plan.a.row_stride + k * plan.a.col_stride;
    const Widened wide =
        widen(plan.a, offset, rows, call.k, kRowStride, kMaxTileRows, memory.a);
    call.a = wide.data;
    call.lda = wide.stride;
    call.a_transposed = wide.transposed;
    call.b = b.data + (b_transposed ? k : k * b.ldb);
    call.add = k > 0;
    plan.blas(call);
  }
  for (int64_t r = 0; r < rows; ++r) {
    float* const row = sums + r * kMaxTileCols;
    for (int64_t i = 0; i < columns; ++i) row[i] *= plan.options.scale;
  }
  if (plan.sink != nullptr) {
    (*plan.sink)({range.m, rows, plan.first_column + range.n, columns, sums,
                  kMaxTileCols});
    return;
  }
  for (int64_t r = 0; r < rows; ++r) {
    store_row(plan, sums + r * kMaxTileCols,
              plan.c_offset + product * plan.batch.c_stride +
                  (range.m + r) * plan.c.row_stride +
                  range.n * plan.c.col_stride,
              columns);
  }
}

}  // namespace

BlasFunction system_blas() {
#ifdef __APPLE__
  return accelerate;
#else
  return nullptr;
#endif
}

BlasFunction blas() { return chosen(); }
void use_blas(BlasFunction function) { chosen() = function; }

void blas_pack_task(const GemmPlan& plan, int64_t index) {
  const PackRange part = plan.pack_range(index);
  const int64_t ldb = round_up(plan.shape.n, plan.geometry.panel);
  float* const base = reinterpret_cast<float*>(plan.packed_b) +
                      part.product * plan.packed_stride;
  float* const to = lies_transposed(plan.b)
                        ? base + part.n * plan.shape.k + part.k
                        : base + part.k * ldb + part.n;
  widen(plan.b,
        part.product * plan.batch.b_stride + part.k * plan.b.row_stride +
            part.n * plan.b.col_stride,
        part.k_end - part.k, part.n_end - part.n, ldb, plan.shape.k, to);
}

void blas_tile_task(const GemmPlan& plan, int64_t index, int worker) {
  const auto memory = worker_memory<float>(plan, worker);
  auto [product, block] = plan.tile_range(index);
  const bool transposed = lies_transposed(plan.b);
  if (!plan.local_b) {
    const int64_t ldb =
        transposed ? plan.shape.k : round_up(plan.shape.n, plan.geometry.panel);
    const float* const packed =
        reinterpret_cast<float*>(plan.packed_b) + product * plan.packed_stride;
    finish(plan, product, block, memory,
           {packed + (transposed ? block.n * ldb : block.n), ldb});
    return;
  }
  const Widened b =
      widen(plan.b, product * plan.batch.b_stride + block.n * plan.b.col_stride,
            plan.shape.k, block.n_end - block.n, block.n_end - block.n,
            plan.shape.k, memory.b);
  for (block.m = 0; block.m < plan.shape.m; block.m += plan.tile_rows) {
    block.m_end = std::min(plan.shape.m, block.m + plan.tile_rows);
    finish(plan, product, block, memory, {b.data, b.stride});
  }
}

}  // namespace aneroid::cpu
