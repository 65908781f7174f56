#include "aneroid/cpu/gemm_plan.h"
#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/gemm_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "aneroid/cpu/gemm_pack-inl.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

// The register block: kRows x kVectors accumulators, plus one row of B and a
// value of A, must fit the registers. Fewer rows come in steps of kRowStep.
#if HWY_TARGET == HWY_AVX3
constexpr int kRows = 12;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr int kRows = 6;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_NEON
constexpr int kRows = 8;
constexpr int kVectors = 3;
#else
constexpr int kRows = 4;
constexpr int kVectors = 4;
#endif
constexpr int kRowStep = kRows % 3 == 0 ? kRows / 3 : kRows / 2;
static_assert(kMaxTileRows % kRows == 0);

// While a kernel computes it asks for memory that is wanted soon, in the shadow
// of the arithmetic and a little at a time, or its own loads would queue
// behind: every kNextEvery steps of K a line of the panel of B that comes next,
// and every kOtherEvery steps two lines of rows of C or of the next A.
constexpr int64_t kLine = 64;  // bytes
constexpr int64_t kNextEvery = 4;
constexpr int64_t kOtherEvery = 16;
// Kernels between asking for a block of C and storing it.
constexpr int64_t kKernelsAhead = 2;

template <typename T>
constexpr int kLanes = static_cast<int>(hn::MaxLanes(hn::ScalableTag<T>()));
template <typename T>
constexpr int kPanel = kVectors* kLanes<T>;

// What one kernel call computes: a register block over one K block.
template <typename T>
struct BlockArgs {
  int64_t k_count;
  const T* a;
  const T* b;
  const std::byte* next_b;  // memory wanted soon, see kLine
  const std::byte* other;
  int64_t other_stride;  // bytes
  // Sums of the earlier K blocks, and where to leave those of this one.
  T* sums;
  int64_t sum_stride;
  bool first;  // no earlier sums
  bool last;   // finish into C, or `finished` when that is set
  // The finished block as fp32 or fp64 rows of kPanel, for other code to
  // store: edges, strided C, fp64.
  T* finished;
  void* c;  // of the block's first element; rows c_stride apart
  int64_t c_stride;
  int64_t c_rows;
  Storage c_storage;
  bool add_to_c;
  float scale;
};

template <class D, int kVecs, typename S>
HWY_INLINE void store_rows(D d, const hn::Vec<D>* acc, S* c, float scale,
                           bool add) {
  for (int v = 0; v < kVecs; ++v) {
    S* to = c + v * kLanes<float>;
    auto value = hn::Mul(acc[v], hn::Set(d, scale));
    if (add) value = hn::Add(value, load_float(d, to));
    store_float(value, d, to);
  }
}

// One step of K: the outer product of a column of A and a row of B.
template <bool kContiguous, class D, typename T, int kBlockRows, int kVecs>
HWY_INLINE void multiply_add(D d, const T* HWY_RESTRICT& a,
                             const T* HWY_RESTRICT& b,
                             hn::Vec<D> (&acc)[kBlockRows][kVecs]) {
  constexpr int64_t kNextRow = kContiguous ? kRowStride : 1;
  hn::Vec<D> row[kVecs];
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; ++v) row[v] = hn::Load(d, b + v * kLanes<T>);
#pragma GCC unroll 16
  for (int r = 0; r < kBlockRows; ++r) {
    const hn::Vec<D> value = hn::Set(d, a[r * kNextRow]);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) {
      acc[r][v] = hn::MulAdd(value, row[v], acc[r][v]);
    }
  }
  a += kContiguous ? 1 : kRows;
  b += kPanel<T>;
}

// kContiguous: A is [row][k], kRowStride apart; otherwise [k][kRows].
template <typename T, int kBlockRows, int kVecs, bool kContiguous>
void block_kernel(const BlockArgs<T>& args) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;

  V acc[kBlockRows][kVecs];
#pragma GCC unroll 16
  for (int r = 0; r < kBlockRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) acc[r][v] = hn::Zero(d);
  }
  const T* HWY_RESTRICT a = args.a;
  const T* HWY_RESTRICT b = args.b;
  const std::byte* next_b = args.next_b;
  const std::byte* other = args.other;
  int64_t k = args.k_count;
  for (; k >= kOtherEvery; k -= kOtherEvery) {
    __builtin_prefetch(other);
    __builtin_prefetch(other + kLine);
    __builtin_prefetch(other + 2 * kLine - 1);  // if not at a line's begin
    other += args.other_stride;
    for (int64_t i = 0; i < kOtherEvery / kNextEvery; ++i) {
      __builtin_prefetch(next_b, 0, 2);
      next_b += kLine;
#pragma GCC unroll 4
      for (int64_t step = 0; step < kNextEvery; ++step) {
        multiply_add<kContiguous>(d, a, b, acc);
      }
    }
  }
  for (; k > 0; --k) multiply_add<kContiguous>(d, a, b, acc);

  if (!args.first) {
#pragma GCC unroll 16
    for (int r = 0; r < kBlockRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        const T* sum = args.sums + r * args.sum_stride + v * kLanes<T>;
        acc[r][v] = hn::Add(acc[r][v], hn::Load(d, sum));
      }
    }
  }
  if (!args.last || args.finished != nullptr) {
    T* const to = args.last ? args.finished : args.sums;
    const int64_t stride = args.last ? kPanel<T> : args.sum_stride;
#pragma GCC unroll 16
    for (int r = 0; r < kBlockRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) {
        hn::Store(acc[r][v], d, to + r * stride + v * kLanes<T>);
      }
    }
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
#pragma GCC unroll 16
    for (int r = 0; r < kBlockRows; ++r) {
      if (r >= args.c_rows) return;
      const int64_t offset = r * args.c_stride;
      if (args.c_storage == Storage::kHalf) {
        store_rows<decltype(d), kVecs>(
            d, acc[r], static_cast<Half*>(args.c) + offset, args.scale, false);
      } else {
        store_rows<decltype(d), kVecs>(d, acc[r],
                                       static_cast<float*>(args.c) + offset,
                                       args.scale, args.add_to_c);
      }
    }
  }
}

// [rows / kRowStep - 1][vectors - 1]
template <typename T, bool kContiguous>
struct KernelTable {
  using Kernel = void (*)(const BlockArgs<T>&);
  template <int... kIndex>
  static constexpr auto make(std::integer_sequence<int, kIndex...>) {
    return std::array<Kernel, sizeof...(kIndex)>{
        block_kernel<T, (kIndex / kVectors + 1) * kRowStep,
                     kIndex % kVectors + 1, kContiguous>...};
  }
  static constexpr auto kKernels =
      make(std::make_integer_sequence<int, kRows / kRowStep * kVectors>());
};

inline Half narrow_half(float value) { return round_half_away(value); }
inline Half narrow_half(double value) { return to_half_away(value); }

// Stores a finished block element by element, at any strides of C.
template <typename T>
void store_block(const GemmPlan& plan, const T* block, int64_t product,
                 int64_t m, int64_t rows, int64_t n, int64_t cols) {
  const auto scale = static_cast<T>(plan.options.scale);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < cols; ++j) {
      const int64_t offset = plan.c_offset + product * plan.batch.c_stride +
                             (m + r) * plan.c.row_stride +
                             (n + j) * plan.c.col_stride;
      const T value = block[r * kPanel<T> + j] * scale;
      if (plan.c.storage == Storage::kHalf) {
        static_cast<Half*>(plan.c.data)[offset] = narrow_half(value);
      } else {
        float& to = static_cast<float*>(plan.c.data)[offset];
        to = static_cast<float>(
            plan.options.add_to_c ? value + static_cast<T>(to) : value);
      }
    }
  }
}

// Packed B is [K block][panel][k][column of the panel]. Where the panel of
// column n (a multiple of kPanel) begins in the block that begins at k.
template <typename T>
int64_t packed_offset(int64_t columns, int64_t k, int64_t k_count, int64_t n) {
  return k * round_up(columns, kPanel<T>) + n * k_count;
}

// Packs what is needed of K block [k, k + k_count) of columns [n, n_end) of one
// product.
template <typename T>
void pack_columns(const GemmPlan& plan, int64_t product, int64_t k,
                  int64_t k_count, int64_t n, int64_t n_end, T* dst) {
  const ConstMatrix& b = plan.b;
  for (; n < n_end; n += kPanel<T>, dst += k_count * kPanel<T>) {
    const int64_t n_count = std::min<int64_t>(kPanel<T>, n_end - n);
    const KRange part =
        needed(plan, {k, k + k_count}, {0, plan.shape.m, n, n + n_count});
    if (part.empty()) continue;
    const int64_t offset = product * plan.batch.b_stride +
                           part.begin * b.row_stride + n * b.col_stride;
    with_storage(b, offset, [&](const auto* src) HWY_ATTR {
      pack_panel<kPanel<T>>(src, b.row_stride, b.col_stride,
                            part.end - part.begin, n_count,
                            dst + (part.begin - k) * kPanel<T>);
    });
  }
}

template <typename T>
void pack_task(const GemmPlan& plan, int64_t index) {
  const PackRange part = plan.pack_range(index);
  const int64_t k_count = part.k_end - part.k;
  T* const dst = reinterpret_cast<T*>(plan.packed_b) +
                 part.product * plan.packed_stride +
                 packed_offset<T>(plan.shape.n, part.k, k_count, part.n);
  pack_columns(plan, part.product, part.k, k_count, part.n, part.n_end, dst);
}

// Rows of memory that a kernel asks for: two lines each, `stride` bytes apart.
struct RowsAhead {
  const std::byte* data = nullptr;
  int64_t stride = 0;
};

// For kernel number `call` of a tile: its part of the next K block of A, from
// (m, k) on, when that has rows far apart, which hardware does not foresee.
RowsAhead next_a_rows(const GemmPlan& plan, int64_t product, int64_t m,
                      int64_t m_count, int64_t k, int64_t k_count,
                      int64_t call) {
  const ConstMatrix& a = plan.a;
  const int64_t bytes = a.storage == Storage::kHalf ? 2 : 4;
  // Along the rows of memory lie M indices, or K indices.
  const bool along_m = a.row_stride == 1;
  const int64_t stride = along_m ? a.col_stride : a.row_stride;
  if ((!along_m && a.col_stride != 1) || stride * bytes < 2 * kLine) return {};
  constexpr int64_t kRowsPerCall = kMaxKBlock / kOtherEvery;
  const int64_t length = (along_m ? m_count : k_count) * bytes;
  const int64_t pieces = ceil_div(length + kLine, 2 * kLine);
  const int64_t row = call / pieces * kRowsPerCall;
  if (row >= (along_m ? k_count : m_count)) return {};
  const int64_t offset = product * plan.batch.a_stride + m * a.row_stride +
                         k * a.col_stride + row * stride;
  return {static_cast<const std::byte*>(a.data) + offset * bytes +
              call % pieces * 2 * kLine,
          stride * bytes};
}

// The rows of C from (m, n) on.
RowsAhead c_rows(const GemmPlan& plan, int64_t product, int64_t m, int64_t n) {
  const Matrix& c = plan.c;
  const int64_t bytes = c.storage == Storage::kHalf ? 2 : 4;
  const int64_t offset =
      plan.c_offset + product * plan.batch.c_stride + m * c.row_stride + n;
  return {static_cast<const std::byte*>(c.data) + offset * bytes,
          c.row_stride * bytes};
}

// Rows [m, m_end) x columns [n, n_end) of one product. `b` holds packed
// columns, of which column n is number `b_column` of `b_columns`.
template <typename T>
void compute_tile(const GemmPlan& plan, const WorkerMemory<T>& memory,
                  int64_t product, int64_t m, int64_t m_end, int64_t n,
                  int64_t n_end, const T* b, int64_t b_column,
                  int64_t b_columns) {
  if (!wanted(plan, {m, m_end, n, n_end})) return;
  const int64_t depth = plan.shape.k;
  const int64_t m_count = m_end - m;
  const bool contiguous = plan.a.col_stride == 1 && plan.a.row_stride != 1;
  const auto& kernels = contiguous ? KernelTable<T, true>::kKernels
                                   : KernelTable<T, false>::kKernels;
  const bool direct = std::is_same_v<T, float> && plan.c.col_stride == 1;
  const int64_t c_bytes = plan.c.storage == Storage::kHalf ? 2 : 4;
  auto* const c = static_cast<std::byte*>(plan.c.data);
  HWY_ALIGN T finished[kRows * kPanel<T>];

  BlockArgs<T> args{};
  args.sum_stride = kMaxTileCols;
  args.c_stride = plan.c.row_stride;
  args.c_storage = plan.c.storage;
  args.add_to_c = plan.options.add_to_c;
  args.scale = plan.options.scale;

  const int64_t row_blocks = ceil_div(m_count, kRows);
  int64_t k = 0;
  do {  // once even if depth is 0, to store zeros
    const int64_t k_count = std::min(plan.k_block, depth - k);
    const KRange block{k, k + k_count};
    const KRange tile = needed(plan, block, {m, m_end, n, n_end});
    const int64_t a_count = std::max<int64_t>(0, tile.end - tile.begin);
    with_storage(plan.a,
                 product * plan.batch.a_stride + m * plan.a.row_stride +
                     tile.begin * plan.a.col_stride,
                 [&](const auto* src) HWY_ATTR {
                   if (contiguous) {
                     pack_rows_contiguous(src, plan.a.row_stride, m_count,
                                          kRowStep, a_count, memory.a);
                   } else {
                     pack_rows_broadcast<kRows>(src, plan.a.row_stride,
                                                plan.a.col_stride, m_count,
                                                a_count, memory.a);
                   }
                 });
    const int64_t next_count = std::min(plan.k_block, depth - k - k_count);
    int64_t call = 0;
    for (int64_t j = n; j < n_end; j += kPanel<T>) {
      const int64_t cols = std::min<int64_t>(kPanel<T>, n_end - j);
      const int64_t vectors = ceil_div(cols, kLanes<T>);
      const T* const panel =
          b + packed_offset<T>(b_columns, k, k_count, b_column + j - n);
      args.next_b =
          reinterpret_cast<const std::byte*>(panel + kPanel<T> * k_count);
      for (int64_t i = 0; i < m_count; i += kRows) {
        const int64_t rows = std::min<int64_t>(kRows, m_count - i);
        const GemmBlock here{m + i, m + i + rows, j, j + cols};
        if (!wanted(plan, here)) continue;
        const KRange all = needed(plan, {0, depth}, here);
        const KRange part = needed(plan, block, here);
        args.first = all.begin >= k;
        args.last = all.end <= block.end;
        // A block without any product is stored too, as zeros.
        if (part.empty() && !(all.empty() && k == 0)) continue;
        args.k_count = std::max<int64_t>(0, part.end - part.begin);
        args.b = panel + (part.begin - k) * kPanel<T>;
        RowsAhead ahead;
        if (!args.last) {
          ahead = next_a_rows(plan, product, m, m_count, k + k_count,
                              next_count, call++);
        } else if (direct) {
          const int64_t later = i / kRows + kKernelsAhead;
          ahead = c_rows(plan, product, m + later % row_blocks * kRows,
                         j + later / row_blocks * kPanel<T>);
        }
        args.other = ahead.data != nullptr ? ahead.data : args.next_b;
        args.other_stride = ahead.stride;
        const int64_t skipped = part.begin - tile.begin;
        args.a = memory.a + (contiguous ? i * kRowStride + skipped
                                        : i / kRows * (kRows * a_count + 16) +
                                              skipped * kRows);
        args.sums = memory.sums + i * kMaxTileCols + (j - n);
        args.c_rows = rows;
        const bool store_direct = direct && cols == vectors * kLanes<T>;
        args.finished = store_direct ? nullptr : finished;
        args.c = c + c_bytes * (plan.c_offset + product * plan.batch.c_stride +
                                (m + i) * plan.c.row_stride + j);
        const int64_t kernel =
            (ceil_div(rows, kRowStep) - 1) * kVectors + vectors - 1;
        kernels[static_cast<size_t>(kernel)](args);
        args.next_b += args.k_count / kNextEvery * kLine;
        if (args.last && !store_direct) {
          store_block(plan, finished, product, m + i, rows, j, cols);
        }
      }
    }
    k += k_count;
  } while (k < depth);
}

// compute_tile(), and the result to the sink if there is one. The tile then
// takes the place of the sums: each is read before its result is written.
template <typename T>
void finish_tile(const GemmPlan& plan, const WorkerMemory<T>& memory,
                 int64_t product, int64_t m, int64_t m_end, int64_t n,
                 int64_t n_end, const T* b, int64_t b_column,
                 int64_t b_columns) {
  if constexpr (std::is_same_v<T, float>) {
    if (plan.sink != nullptr) {
      GemmPlan here = plan;
      here.c = {memory.sums, Storage::kFloat, kMaxTileCols, 1};
      here.c_offset = -(m * kMaxTileCols + n);
      compute_tile<T>(here, memory, product, m, m_end, n, n_end, b, b_column,
                      b_columns);
      (*plan.sink)({m, m_end - m, plan.first_column + n, n_end - n, memory.sums,
                    kMaxTileCols});
      return;
    }
  }
  compute_tile<T>(plan, memory, product, m, m_end, n, n_end, b, b_column,
                  b_columns);
}

template <typename T>
void tile_task(const GemmPlan& plan, int64_t index, int worker) {
  const WorkerMemory<T> memory = worker_memory<T>(plan, worker);
  const auto& [product, block] = plan.tile_range(index);
  const auto& [first, last, n, n_end] = block;
  if (!plan.local_b) {
    const T* const b = reinterpret_cast<const T*>(plan.packed_b) +
                       product * plan.packed_stride;
    finish_tile<T>(plan, memory, product, first, last, n, n_end, b, n,
                   plan.shape.n);
    return;
  }
  const int64_t depth = plan.shape.k;
  for (int64_t k = 0; k < depth; k += plan.k_block) {
    const int64_t k_count = std::min(plan.k_block, depth - k);
    pack_columns(plan, product, k, k_count, n, n_end,
                 memory.b + packed_offset<T>(n_end - n, k, k_count, 0));
  }
  for (int64_t m = first; m < last; m += plan.tile_rows) {
    finish_tile<T>(plan, memory, product, m, std::min(last, m + plan.tile_rows),
                   n, n_end, memory.b, 0, n_end - n);
  }
}

GemmGeometry target_geometry(Accumulate accumulate) {
  if (accumulate == Accumulate::kDouble) {
    return {kRows, kLanes<double>, kPanel<double>};
  }
  return {kRows, kLanes<float>, kPanel<float>};
}
void target_pack_task(const GemmPlan& plan, int64_t index) {
  if (plan.options.accumulate == Accumulate::kDouble) {
    pack_task<double>(plan, index);
  } else {
    pack_task<float>(plan, index);
  }
}
void target_tile_task(const GemmPlan& plan, int64_t index, int worker) {
  if (plan.options.accumulate == Accumulate::kDouble) {
    tile_task<double>(plan, index, worker);
  } else {
    tile_task<float>(plan, index, worker);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(target_geometry);
HWY_EXPORT(target_pack_task);
HWY_EXPORT(target_tile_task);

GemmGeometry gemm_geometry(Accumulate accumulate) {
  return HWY_DYNAMIC_DISPATCH(target_geometry)(accumulate);
}
void gemm_pack_task(const GemmPlan& plan, int64_t index) {
  if (plan.blas != nullptr) return blas_pack_task(plan, index);
  HWY_DYNAMIC_DISPATCH(target_pack_task)(plan, index);
}
void gemm_tile_task(const GemmPlan& plan, int64_t index, int worker) {
  if (plan.blas != nullptr) return blas_tile_task(plan, index, worker);
  HWY_DYNAMIC_DISPATCH(target_tile_task)(plan, index, worker);
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
