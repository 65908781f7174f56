// How one matrix_product() call is cut into tasks. Internal to this folder.
//
// A round is a range of products of the batch and of columns of B that fit the
// packing buffer. Its panels of B are packed by one set of tasks, its tiles of
// C computed by another.
#pragma once

#include <cstddef>
#include <cstdint>

#include "aneroid/cpu/gemm_plan.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::numerics {

using cpu::ceil_div;
using cpu::round_up;

// Products summed in one register block before the bound is taken anew.
inline constexpr int64_t kBlockDepth = 256;
inline constexpr int64_t kTileRows = 48;  // a multiple of every kernel's rows
inline constexpr int64_t kTileCols = 384;
// Elements of B packed per round, unless one panel needs more.
inline constexpr int64_t kRoundElements = int64_t{1} << 21;

struct KernelGeometry {
  int64_t rows = 0;   // of a register block
  int64_t panel = 0;  // columns of a register block
};
KernelGeometry kernel_geometry();

// What one worker needs besides the packed B. Sized for every target.
struct WorkerMemory {
  static constexpr int64_t kMostRows = 16;
  static constexpr int64_t kMostPanel = 64;
  static constexpr int64_t kPackedRows = kTileRows * (kBlockDepth + 32);

  alignas(64) float a[kPackedRows];      // as pack_rows_broadcast
  alignas(64) float least[kPackedRows];  // threshold of each value of a
  float row_norms[kTileRows];            // of each group of rows
  alignas(64) int32_t totals[kTileRows * kTileCols];
  float bounds[kTileRows * kTileCols / 8];  // of each register block
  alignas(64) double watched[kMostRows * kMostPanel];
  MatrixStatistics counts;
};

struct MatrixPlan {
  cpu::GemmShape shape;  // n: columns of this round
  cpu::ConstMatrix a;
  cpu::ConstMatrix b;
  cpu::Matrix c;
  cpu::GemmBatch batch;
  Bias bias;
  KernelGeometry geometry;
  int64_t tile_rows = 0;
  int64_t tile_cols = 0;  // a multiple of geometry.panel

  // [product][K block][panel][k][column]; panels of zero columns at the end.
  float* packed_b = nullptr;
  // [product][K block][panel]: the largest column norm.
  float* column_norms = nullptr;
  WorkerMemory* workers = nullptr;

  static MatrixPlan make(MatrixScratch& scratch, const cpu::GemmShape& shape,
                         const cpu::ConstMatrix& a, const cpu::ConstMatrix& b,
                         const cpu::Matrix& c, const cpu::GemmBatch& batch,
                         const Bias& bias, int threads);

  int64_t depth_blocks() const { return ceil_div(shape.k, kBlockDepth); }
  int64_t panels() const { return ceil_div(shape.n, geometry.panel); }
  int64_t pack_tasks() const { return batch.count * depth_blocks() * panels(); }
  int64_t row_tiles() const { return ceil_div(shape.m, tile_rows); }
  int64_t col_tiles() const { return ceil_div(shape.n, tile_cols); }
  int64_t tile_tasks() const { return batch.count * row_tiles() * col_tiles(); }
  float* panel_of(int64_t product, int64_t block, int64_t panel) const;
  float& column_norm(int64_t product, int64_t block, int64_t panel) const {
    return column_norms[(product * depth_blocks() + block) * panels() + panel];
  }
};

// Implemented per target in matrix_kernels.cpp.
void pack_panel_task(const MatrixPlan& plan, int64_t index);
void tile_task(const MatrixPlan& plan, int64_t index, int worker);

}  // namespace aneroid::numerics
