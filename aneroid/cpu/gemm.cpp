#include "aneroid/cpu/gemm.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include "aneroid/cpu/gemm_plan.h"

namespace aneroid::cpu {
namespace {

// Work below this many multiply-adds takes less time than waking a thread.
constexpr int64_t kInlineProducts = 400'000;
// Tiles per thread that even out threads of different speeds.
constexpr int64_t kTilesPerThread = 6;
constexpr int64_t kMinTileRows = 24;
// What a tile costs besides its rows, in rows: packing, and reading B again.
constexpr int64_t kTileOverhead = 4;
constexpr int64_t kMinTileCols = 64;
// Rows of a piece for a sink: it should leave room in an L2 cache for what the
// sink works on.
constexpr int64_t kSinkTileRows = 48;
// Local B that leaves room in an L2 cache for the rest.
constexpr int64_t kLocalTarget = kLocalElements / 2;

class AlignedMemory {
 public:
  std::byte* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }
  void grow(int64_t bytes) {
    if (bytes <= bytes_) return;
    data_.reset();
    data_.reset(static_cast<std::byte*>(
        ::operator new(static_cast<size_t>(bytes), kAlignment)));
    bytes_ = bytes;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(std::byte* data) const {
      ::operator delete(data, kAlignment);
    }
  };
  std::unique_ptr<std::byte, Free> data_;
  int64_t bytes_ = 0;
};

// Columns of C become vectors. Exchanges the operands' roles (C^T = B^T A^T;
// the sums are the same) when rows of C are the contiguous ones, or when there
// are too few columns to fill a vector.
bool should_transpose(const GemmShape& shape, const Matrix& c, int64_t lanes) {
  const auto padded = [lanes](int64_t rows, int64_t cols) {
    return round_up(rows, 4) * round_up(cols, lanes);
  };
  const int64_t as_is = padded(shape.m, shape.n);
  const int64_t transposed = padded(shape.n, shape.m);
  if (c.col_stride == 1 && c.row_stride != 1) return as_is > 3 * transposed / 2;
  if (c.row_stride == 1 && c.col_stride != 1)
    return transposed <= 3 * as_is / 2;
  return transposed < as_is;
}

// The largest multiple of a panel up to `cols`, at least one panel, that cuts
// n evenly.
int64_t even_cols(int64_t n, int64_t cols, int64_t panel) {
  const int64_t most = std::max(panel, cols / panel * panel);
  return round_up(ceil_div(n, ceil_div(n, most)), panel);
}

void choose_tiles(GemmPlan& plan, int threads) {
  const auto& [m, n, k] = plan.shape;
  const int64_t panel = plan.geometry.panel;
  const int64_t wanted = threads == 1 ? 1 : kTilesPerThread * threads;
  plan.k_block = ceil_div(std::max<int64_t>(k, 1),
                          ceil_div(std::max<int64_t>(k, 1), kMaxKBlock));
  plan.tile_rows = kMaxTileRows;

  // B is packed where it is used when that packs no part of it twice: with one
  // row tile, or when each task computes a whole product.
  const int64_t fitting = kLocalTarget / std::max<int64_t>(k, 1);
  if (m <= kMaxTileRows && k * panel <= kLocalElements) {
    const int64_t share = ceil_div(n, ceil_div(wanted, plan.batch.count));
    plan.local_b = true;
    plan.tile_cols = even_cols(
        n, std::min({kMaxTileCols, fitting, std::max(kMinTileCols, share)}),
        panel);
    return;
  }
  if (plan.batch.count >= wanted && n <= std::min(kMaxTileCols, fitting)) {
    plan.local_b = true;
    plan.tile_cols = round_up(n, panel);
    return;
  }
  plan.tile_cols = even_cols(n, kMaxTileCols, panel);
  if (threads == 1) return;
  // The height with which threads of equal speed would be done first.
  const int64_t columns = plan.batch.count * ceil_div(n, plan.tile_cols);
  int64_t shortest = std::numeric_limits<int64_t>::max();
  const int64_t step = plan.geometry.rows;
  for (int64_t rows = kMaxTileRows; rows >= kMinTileRows; rows -= step) {
    const int64_t tiles = columns * ceil_div(m, rows);
    const int64_t time = ceil_div(tiles, threads) * (rows + kTileOverhead);
    if (time < shortest) {
      shortest = time;
      plan.tile_rows = rows;
    }
  }
}

// Calls f with the plans of the rounds, in order.
template <typename F>
void for_each_round(const GemmPlan& whole, const F& f) {
  if (whole.local_b) {
    f(whole);
    return;
  }
  const int64_t panel = whole.geometry.panel;
  const int64_t depth = std::max<int64_t>(whole.shape.k, 1);
  const int64_t columns = round_up(whole.shape.n, panel);
  const int64_t cols = std::min(
      columns, std::max(panel, kRoundElements / depth / panel * panel));
  const int64_t products =
      std::max<int64_t>(1, kRoundElements / (depth * columns));
  for (int64_t p = 0; p < whole.batch.count; p += products) {
    for (int64_t n = 0; n < whole.shape.n; n += cols) {
      GemmPlan round = whole;
      round.batch.count = std::min(products, whole.batch.count - p);
      round.shape.n = std::min(cols, whole.shape.n - n);
      round.packed_stride = depth * round_up(round.shape.n, panel);
      const GemmBatch& batch = whole.batch;
      round.a.data = advance(whole.a.data, whole.a.storage, p * batch.a_stride);
      round.b.data = advance(whole.b.data, whole.b.storage,
                             p * batch.b_stride + n * whole.b.col_stride);
      round.first_column = n;
      if (whole.sink == nullptr) {
        round.c.data = advance(whole.c.data, whole.c.storage,
                               p * batch.c_stride + n * whole.c.col_stride);
      }
      f(round);
    }
  }
}

}  // namespace

struct GemmScratch::Impl {
  AlignedMemory packed;
  AlignedMemory workers;
  ThreadPool::JobHandle last_job;

  // Returns whether memory was enough already; grows it if `may_grow`.
  bool reserve(const GemmShape& shape, Accumulate accumulate, int threads,
               bool may_grow) {
    const int64_t bytes = element_bytes(accumulate);
    const int64_t panel = gemm_geometry(accumulate).panel;
    const int64_t packed_bytes =
        bytes * std::max(kRoundElements, shape.k * panel);
    const int64_t worker_bytes = bytes * kWorkerElements * threads;
    if (packed_bytes <= packed.bytes() && worker_bytes <= workers.bytes()) {
      return true;
    }
    if (may_grow) {
      packed.grow(packed_bytes);
      workers.grow(worker_bytes);
    }
    return false;
  }
};

GemmScratch::GemmScratch() : impl_(new Impl) {}
GemmScratch::~GemmScratch() { delete impl_; }
GemmScratch::GemmScratch(GemmScratch&& other) noexcept
    : impl_(std::exchange(other.impl_, nullptr)) {}
GemmScratch& GemmScratch::operator=(GemmScratch&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
void GemmScratch::reserve(const GemmShape& shape, Accumulate accumulate,
                          int threads) {
  impl_->reserve(shape, accumulate, threads, true);
}

struct GemmAccess {
  static GemmScratch::Impl& impl(GemmScratch& scratch) {
    return *scratch.impl_;
  }

  static GemmPlan make_plan(ThreadPool& pool, GemmScratch& scratch,
                            const GemmShape& shape, const ConstMatrix& a,
                            const ConstMatrix& b, const Matrix& c,
                            const GemmOptions& options, const GemmBatch& batch,
                            bool may_exchange = true) {
    GemmPlan plan;
    plan.shape = shape;
    plan.a = a;
    plan.b = b;
    plan.c = c;
    plan.options = options;
    plan.batch = batch;
    plan.geometry = gemm_geometry(options.accumulate);
    if (options.accumulate == Accumulate::kFloat) plan.blas = blas();
    if (may_exchange && should_transpose(shape, c, plan.geometry.lanes)) {
      exchange_operands(plan);
      plan.exchanged = true;
    }
    choose_tiles(plan, pool.threads());
    GemmScratch::Impl& memory = impl(scratch);
    // Memory that queued work uses must not move.
    if (!memory.reserve(shape, options.accumulate, pool.threads(), false)) {
      pool.wait(memory.last_job);
      memory.reserve(shape, options.accumulate, pool.threads(), true);
    }
    plan.packed_b = memory.packed.data();
    plan.worker_memory = memory.workers.data();
    return plan;
  }
};

void gemm(ThreadPool& pool, GemmScratch& scratch, const GemmShape& shape,
          const ConstMatrix& a, const ConstMatrix& b, const Matrix& c,
          const GemmOptions& options, const GemmBatch& batch) {
  if (shape.m <= 0 || shape.n <= 0 || batch.count <= 0) return;
  const GemmPlan whole =
      GemmAccess::make_plan(pool, scratch, shape, a, b, c, options, batch);
  const bool small =
      batch.count * shape.m * shape.n * shape.k <= kInlineProducts;
  for_each_round(whole, [&](const GemmPlan& plan) {
    // References to one object fit std::function without allocating.
    const auto pack = [&plan](int64_t i, int) { gemm_pack_task(plan, i); };
    const auto tile = [&plan](int64_t i, int worker) {
      gemm_tile_task(plan, i, worker);
    };
    if (small) {
      for (int64_t i = 0; i < plan.pack_tasks(); ++i) pack(i, 0);
      for (int64_t i = 0; i < plan.tile_tasks(); ++i) tile(i, 0);
    } else {
      pool.run(plan.pack_tasks(), pack);
      pool.run(plan.tile_tasks(), tile);
    }
  });
}

namespace {

ThreadPool::JobHandle submit(ThreadPool& pool, GemmScratch& scratch,
                             const GemmPlan& whole) {
  ThreadPool::JobHandle& last = GemmAccess::impl(scratch).last_job;
  for_each_round(whole, [&](const GemmPlan& round) {
    const auto plan = std::make_shared<const GemmPlan>(round);
    last = pool.submit(
        plan->pack_tasks(),
        [plan](int64_t i, int) { gemm_pack_task(*plan, i); }, last);
    last = pool.submit(
        plan->tile_tasks(),
        [plan](int64_t i, int worker) { gemm_tile_task(*plan, i, worker); },
        last);
  });
  return last;
}

}  // namespace

ThreadPool::JobHandle gemm_background(ThreadPool& pool, GemmScratch& scratch,
                                      const GemmShape& shape,
                                      const ConstMatrix& a,
                                      const ConstMatrix& b, const Matrix& c,
                                      const GemmOptions& options) {
  if (shape.m <= 0 || shape.n <= 0) return nullptr;
  return submit(
      pool, scratch,
      GemmAccess::make_plan(pool, scratch, shape, a, b, c, options, {}));
}

ThreadPool::JobHandle gemm_to_sink(ThreadPool& pool, GemmScratch& scratch,
                                   const GemmShape& shape, const ConstMatrix& a,
                                   const ConstMatrix& b, GemmTileSink sink,
                                   float scale) {
  if (shape.m <= 0 || shape.n <= 0) return nullptr;
  GemmOptions options;
  options.scale = scale;
  GemmPlan plan = GemmAccess::make_plan(pool, scratch, shape, a, b,
                                        {nullptr, Storage::kFloat, shape.n, 1},
                                        options, {}, false);
  plan.sink = std::make_shared<const GemmTileSink>(std::move(sink));
  plan.tile_rows = std::min(plan.tile_rows, kSinkTileRows);
  return submit(pool, scratch, plan);
}

}  // namespace aneroid::cpu
