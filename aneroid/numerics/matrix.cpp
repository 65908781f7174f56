#include "aneroid/numerics/matrix.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "aneroid/numerics/matrix_plan.h"

namespace aneroid::numerics {
namespace {

// Work below this many products takes less time than waking a thread.
constexpr int64_t kInlineProducts = 200'000;
// Tiles per thread that even out threads of different speeds.
constexpr int64_t kTilesPerThread = 6;

// Columns of C become vectors: exchanges the operands (C^T = B^T A^T has the
// same sums) when C's rows are the contiguous ones.
void store_along_rows(MatrixPlan& plan) {
  if (plan.c.col_stride == 1 || plan.c.row_stride != 1) return;
  cpu::exchange_operands(plan);
  std::swap(plan.bias.row_stride, plan.bias.col_stride);
}

void choose_tiles(MatrixPlan& plan, int threads) {
  const int64_t panel = plan.geometry.panel;
  plan.tile_rows = kTileRows;
  plan.tile_cols = kTileCols / panel * panel;
  if (threads == 1) return;
  const int64_t wanted = kTilesPerThread * threads;
  while (plan.tile_tasks() < wanted && plan.tile_cols > panel) {
    plan.tile_cols = round_up(plan.tile_cols / 2, panel);
  }
}

int64_t round_columns(int64_t depth, int64_t columns, int64_t panel) {
  return std::min(round_up(columns, panel),
                  std::max(panel, kRoundElements / std::max<int64_t>(depth, 1) /
                                      panel * panel));
}
int64_t round_products(int64_t depth, int64_t columns) {
  return std::max<int64_t>(
      1, kRoundElements / (std::max<int64_t>(depth, 1) * columns));
}

// Calls f with the plans of the rounds, in order.
template <typename F>
void for_each_round(const MatrixPlan& whole, const F& f) {
  const auto& [m, n, k] = whole.shape;
  const cpu::GemmBatch& batch = whole.batch;
  const int64_t cols = round_columns(k, n, whole.geometry.panel);
  const int64_t products = round_products(k, round_up(n, whole.geometry.panel));
  for (int64_t p = 0; p < batch.count; p += products) {
    for (int64_t first = 0; first < n; first += cols) {
      MatrixPlan round = whole;
      round.batch.count = std::min(products, batch.count - p);
      round.shape.n = std::min(cols, n - first);
      round.a.data =
          cpu::advance(whole.a.data, whole.a.storage, p * batch.a_stride);
      round.b.data =
          cpu::advance(whole.b.data, whole.b.storage,
                       p * batch.b_stride + first * whole.b.col_stride);
      round.c.data =
          cpu::advance(whole.c.data, whole.c.storage,
                       p * batch.c_stride + first * whole.c.col_stride);
      if (round.bias.data != nullptr) {
        round.bias.data += first * whole.bias.col_stride;
      }
      f(round);
    }
  }
}

}  // namespace

void MatrixScratch::reserve(const cpu::GemmShape& shape, int threads) {
  const int64_t panel = kernel_geometry().panel;
  const int64_t depth = round_up(std::max<int64_t>(shape.k, 1), kBlockDepth);
  // A round holds at most kRoundElements, or one panel; its depth is padded to
  // whole blocks at the worst.
  const auto elements =
      static_cast<size_t>(std::max(kRoundElements, depth * panel));
  packed_b_.grow(elements);
  // A panel takes part with at least one K value per block.
  column_norms_.grow(elements / static_cast<size_t>(panel) + 1);
  workers_.grow(static_cast<size_t>(threads) * sizeof(WorkerMemory) +
                alignof(WorkerMemory));
}

float* MatrixPlan::panel_of(int64_t product, int64_t block,
                            int64_t panel) const {
  const int64_t columns = panels() * geometry.panel;
  const int64_t first = block * kBlockDepth;
  const int64_t count = std::min(kBlockDepth, shape.k - first);
  return packed_b + product * shape.k * columns + first * columns +
         panel * count * geometry.panel;
}

MatrixPlan MatrixPlan::make(MatrixScratch& scratch, const cpu::GemmShape& shape,
                            const cpu::ConstMatrix& a,
                            const cpu::ConstMatrix& b, const cpu::Matrix& c,
                            const cpu::GemmBatch& batch, const Bias& bias,
                            int threads) {
  scratch.reserve(shape, threads);
  MatrixPlan plan;
  plan.shape = shape;
  plan.a = a;
  plan.b = b;
  plan.c = c;
  plan.batch = batch;
  plan.bias = bias;
  plan.geometry = kernel_geometry();
  store_along_rows(plan);
  choose_tiles(plan, threads);
  plan.packed_b = scratch.packed_b_.data.get();
  plan.column_norms = scratch.column_norms_.data.get();
  void* memory = scratch.workers_.data.get();
  size_t space = scratch.workers_.size;
  std::align(alignof(WorkerMemory), sizeof(WorkerMemory), memory, space);
  plan.workers = static_cast<WorkerMemory*>(memory);
  for (int i = 0; i < threads; ++i) plan.workers[i].counts = {};
  return plan;
}

MatrixStatistics matrix_product(cpu::ThreadPool& pool, MatrixScratch& scratch,
                                const cpu::GemmShape& shape,
                                const cpu::ConstMatrix& a,
                                const cpu::ConstMatrix& b, const cpu::Matrix& c,
                                const cpu::GemmBatch& batch, const Bias& bias) {
  MatrixStatistics statistics;
  if (shape.m <= 0 || shape.n <= 0 || batch.count <= 0) return statistics;
  const MatrixPlan whole =
      MatrixPlan::make(scratch, shape, a, b, c, batch, bias, pool.threads());
  const bool small =
      batch.count * shape.m * shape.n * shape.k <= kInlineProducts;
  for_each_round(whole, [&](const MatrixPlan& plan) {
    const auto pack = [&plan](int64_t i, int) { pack_panel_task(plan, i); };
    const auto tile = [&plan](int64_t i, int worker) {
      tile_task(plan, i, worker);
    };
    if (small) {
      for (int64_t i = 0; i < plan.pack_tasks(); ++i) pack(i, 0);
      for (int64_t i = 0; i < plan.tile_tasks(); ++i) tile(i, 0);
    } else {
      pool.run(plan.pack_tasks(), pack);
      pool.run(plan.tile_tasks(), tile);
    }
  });
  for (int i = 0; i < pool.threads(); ++i) {
    statistics.narrow += whole.workers[i].counts.narrow;
    statistics.wide += whole.workers[i].counts.wide;
    statistics.watched += whole.workers[i].counts.watched;
  }
  return statistics;
}

}  // namespace aneroid::numerics
