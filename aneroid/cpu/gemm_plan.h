// How one gemm() call is cut into tasks. Internal to aneroid/cpu.
//
// A plan is a "round": a range of products of the batch and a range of
// columns whose part of B fits the packing buffer. It runs as two sets of
// tasks, packing B and computing tiles of C; in a plan with `local_b` each
// tile task packs the columns of B it needs itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/gemm_blas.h"

namespace aneroid::cpu {

// K is summed in blocks of at most this many products; fixes the rounding.
inline constexpr int64_t kMaxKBlock = 256;
// Rows of A packed at a time: a multiple of every target's kernel rows.
inline constexpr int64_t kMaxTileRows = 96;
// Columns of a tile: kMaxKBlock of them packed as fp32 are half an L2 cache.
inline constexpr int64_t kMaxTileCols = 512;
// Packed A: floats between rows that are kept K-contiguous (not a multiple of
// 4 KiB, so that rows do not compete for the same cache sets), and slack.
inline constexpr int64_t kRowStride = kMaxKBlock + 16;
// Elements of B a tile task may pack for itself.
inline constexpr int64_t kLocalElements = int64_t{1} << 18;
// Elements of B packed per round, unless one panel needs more.
inline constexpr int64_t kRoundElements = int64_t{1} << 21;

// Sizes of the register block of the target in use.
struct GemmGeometry {
  int64_t rows = 0;   // of the largest kernel
  int64_t lanes = 0;  // of one vector
  int64_t panel = 0;  // columns of a panel of packed B
};

// A block of C, in the plan's rows and columns.
struct GemmBlock {
  int64_t m = 0;
  int64_t m_end = 0;
  int64_t n = 0;
  int64_t n_end = 0;
};

// What one packing task packs: K indices [begin, end) of columns [n, n_end).
struct PackRange {
  int64_t product = 0;
  int64_t k = 0;
  int64_t k_end = 0;
  int64_t n = 0;
  int64_t n_end = 0;
};
// What one tile task computes; with local_b, column by column of tiles: all
// rows.
struct TileRange {
  int64_t product = 0;
  GemmBlock block;
};

struct GemmPlan {
  GemmShape shape;         // n: columns of this round
  bool exchanged = false;  // what the caller calls A is b
  ConstMatrix a;
  ConstMatrix b;
  Matrix c;
  int64_t c_offset = 0;  // of element (0, 0) from c.data
  // Set: C is a tile in the worker's memory, for the sink.
  std::shared_ptr<const GemmTileSink> sink;
  int64_t first_column = 0;  // of this round
  GemmOptions options;
  GemmBatch batch;
  GemmGeometry geometry;

  BlasFunction blas = nullptr;  // set: for fp32 sums, in place of our kernels

  int64_t k_block = 0;
  int64_t tile_rows = 0;
  int64_t tile_cols = 0;  // a multiple of geometry.panel
  bool local_b = false;

  // Packed B: one product after the other.
  std::byte* packed_b = nullptr;
  int64_t packed_stride = 0;  // elements per product
  // kWorkerElements per worker: packed A tile, partial sums, local B.
  std::byte* worker_memory = nullptr;

  int64_t row_tiles() const;
  int64_t col_tiles() const;
  int64_t pack_tasks() const;  // 0 with local_b
  int64_t tile_tasks() const;
  PackRange pack_range(int64_t task) const;
  TileRange tile_range(int64_t task) const;
};

// C^T = B^T A^T: the same sums, columns of C as rows. For plans of any matrix
// product.
template <typename Plan>
void exchange_operands(Plan& plan) {
  std::swap(plan.shape.m, plan.shape.n);
  std::swap(plan.a, plan.b);
  std::swap(plan.batch.a_stride, plan.batch.b_stride);
  std::swap(plan.a.row_stride, plan.a.col_stride);
  std::swap(plan.b.row_stride, plan.b.col_stride);
  std::swap(plan.c.row_stride, plan.c.col_stride);
}

// `elements` further on.
inline const void* advance(const void* data, Storage storage,
                           int64_t elements) {
  return static_cast<const std::byte*>(data) +
         elements * (storage == Storage::kHalf ? 2 : 4);
}
inline void* advance(void* data, Storage storage, int64_t elements) {
  return static_cast<std::byte*>(data) +
         elements * (storage == Storage::kHalf ? 2 : 4);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

// Panels of one K block packed by one task.
inline constexpr int64_t kPanelsPerTask = 2;

inline int64_t GemmPlan::row_tiles() const {
  return ceil_div(shape.m, tile_rows);
}
inline int64_t GemmPlan::col_tiles() const {
  return ceil_div(shape.n, tile_cols);
}
inline int64_t GemmPlan::pack_tasks() const {
  if (local_b) return 0;
  return batch.count * ceil_div(shape.k, k_block) *
         ceil_div(ceil_div(shape.n, geometry.panel), kPanelsPerTask);
}
inline int64_t GemmPlan::tile_tasks() const {
  return batch.count * col_tiles() * (local_b ? 1 : row_tiles());
}
inline PackRange GemmPlan::pack_range(int64_t task) const {
  const int64_t k_blocks = ceil_div(shape.k, k_block);
  const int64_t columns = kPanelsPerTask * geometry.panel;
  const int64_t groups = ceil_div(shape.n, columns);
  PackRange range;
  range.n = task % groups * columns;
  range.n_end = std::min(shape.n, range.n + columns);
  range.k = task / groups % k_blocks * k_block;
  range.k_end = std::min(shape.k, range.k + k_block);
  range.product = task / groups / k_blocks;
  return range;
}
inline TileRange GemmPlan::tile_range(int64_t task) const {
  const int64_t rows = local_b ? 1 : row_tiles();
  const int64_t m = task % rows * tile_rows;
  const int64_t n = task / rows % col_tiles() * tile_cols;
  return {task / rows / col_tiles(),
          {m, local_b ? shape.m : std::min(shape.m, m + tile_rows), n,
           std::min(shape.n, n + tile_cols)}};
}

// K indices [begin, end).
struct KRange {
  int64_t begin = 0;
  int64_t end = 0;
  bool empty() const { return begin >= end; }
};

// The block in rows and columns of the caller's matrices.
inline GemmBlock callers_block(const GemmPlan& plan, GemmBlock block) {
  block.n += plan.first_column;
  block.n_end += plan.first_column;
  if (plan.exchanged) {
    std::swap(block.m, block.n);
    std::swap(block.m_end, block.n_end);
  }
  return block;
}

// Whether any of the block is wanted: see GemmTriangle::Of::kC.
inline bool wanted(const GemmPlan& plan, const GemmBlock& block) {
  const GemmTriangle& triangle = plan.options.triangle;
  if (triangle.of != GemmTriangle::Of::kC) return true;
  const GemmBlock at = callers_block(plan, block);
  // The last row decides, unless that is in another square than the first.
  const int64_t last = at.m_end - 1;
  return at.m / triangle.period != last / triangle.period ||
         at.n < triangle_columns(last, triangle.period);
}

// The part of `k` outside of which all products of the block are zero.
inline KRange needed(const GemmPlan& plan, KRange k, const GemmBlock& block) {
  const auto& [of, period] = plan.options.triangle;
  if (of != GemmTriangle::Of::kA && of != GemmTriangle::Of::kB) return k;
  const GemmBlock at = callers_block(plan, block);
  if (of == GemmTriangle::Of::kA) {
    const int64_t last = at.m_end - 1;
    if (at.m / period == last / period) {
      k.end = std::min(k.end, last % period + 1);
    }
  } else if (!k.empty()) {
    // In each square of B the rows before number n hold zeros.
    k.begin += std::max<int64_t>(0, at.n - k.begin % period);
    const int64_t last = k.end - 1;
    if (last % period < at.n) k.end = last - last % period;
  }
  return k.empty() ? KRange{} : k;
}

constexpr int64_t element_bytes(Accumulate accumulate) {
  return accumulate == Accumulate::kDouble ? 8 : 4;
}
// Elements of the parts of one worker's memory, in this order.
inline constexpr int64_t kTileElements =
    kMaxTileRows * (kMaxKBlock + 16) + kRowStride;
inline constexpr int64_t kSumElements = kMaxTileRows * kMaxTileCols;
inline constexpr int64_t kWorkerElements =
    kTileElements + kSumElements + kLocalElements;

template <typename T>
struct WorkerMemory {
  T* a;
  T* sums;
  T* b;
};
template <typename T>
WorkerMemory<T> worker_memory(const GemmPlan& plan, int worker) {
  T* const base =
      reinterpret_cast<T*>(plan.worker_memory) + worker * kWorkerElements;
  return {base, base + kTileElements, base + kTileElements + kSumElements};
}

// Implemented per target in gemm_kernels.cpp.
GemmGeometry gemm_geometry(Accumulate accumulate);
void gemm_pack_task(const GemmPlan& plan, int64_t index);
void gemm_tile_task(const GemmPlan& plan, int64_t index, int worker);
// The same through plan.blas, in gemm_blas.cpp.
void blas_pack_task(const GemmPlan& plan, int64_t index);
void blas_tile_task(const GemmPlan& plan, int64_t index, int worker);

}  // namespace aneroid::cpu
