// Register blocks of matrix_product(): rows of A times a panel of B.
//
// Rounding. A product of two fp16 numbers is rounded to a multiple of 2^-16,
// half away from zero, before it is added. A fused multiply-add onto a sum that
// is kept near 192 does that at no cost: between 128 and 256 an fp32 number has
// a unit of exactly 2^-16, so the one rounding of the instruction is the
// product's. That rounding takes ties to even; B is therefore packed with its
// magnitudes one unit too large ("nudged"), which moves a product off a tie,
// away from zero, and by less than the distance of any other product to one
// (2^-23 of itself, of 2^-22). The same works in fp64 near 1.5 2^36 for larger
// sums.
//
// Dropping. Which products are dropped depends on exponents: for a value of A
// all values of B below a power of two, its threshold. Thresholds are packed
// beside A; the compare masks the multiply-add.
//
// Choice. By Cauchy-Schwarz no partial sum of any of a row's products exceeds
// the norms' product (plus what rounding adds). Below 64 the fp32 sums are
// exact; below 2^15 in all the accumulator cannot overflow and the order of the
// sums does not matter; else the fp64 sums are watched one by one, in order.
#include "aneroid/cpu/simd_targets.h"
#include "aneroid/numerics/matrix_plan.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/numerics/matrix_kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "aneroid/cpu/gemm_pack-inl.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::numerics {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// The register block: kRows x kVectors sums, kVectors values of B and their
// magnitudes, and two values of A must fit the registers.
#if HWY_TARGET == HWY_AVX3
constexpr int kRows = 12;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_AVX2
constexpr int kRows = 4;
constexpr int kVectors = 2;
#elif HWY_TARGET == HWY_NEON
constexpr int kRows = 8;
constexpr int kVectors = 2;
#else
constexpr int kRows = 4;
constexpr int kVectors = 2;
#endif
static_assert(kTileRows % kRows == 0);

using Floats = hn::ScalableTag<float>;
using Doubles = hn::ScalableTag<double>;
constexpr int64_t kLanes = hn::MaxLanes(Floats());
constexpr int64_t kDoubleLanes = hn::MaxLanes(Doubles());
constexpr int64_t kPanel = kVectors * kLanes;
static_assert(kPanel <= WorkerMemory::kMostPanel && kTileCols >= kPanel);

constexpr float kNarrowOrigin = 192.0F;                 // unit 2^-16
constexpr double kWideOrigin = 1.5 * 68'719'476'736.0;  // 1.5 2^36, the same
constexpr float kNarrowLimit = 63.0F;
constexpr float kLimit = 32767.0F;
constexpr double kUnit = 65536.0;
// What rounding may add to a product, and norms' own rounding.
constexpr float kRoundingError = 0.5F / 65536.0F;
constexpr float kNormMargin = 1.0001F;

// Whole vectors of whole steps of K of a register block's rows.
constexpr int64_t kRowPeriod = std::lcm(int64_t{kRows}, kLanes);
// A register block's rows of A begin this far apart, room for vectors included.
int64_t group_stride(int64_t k_count) {
  return kRows * k_count + kRowPeriod + kLanes;
}

// ---- Packing ---------------------------------------------------------------

void round_to_half(float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    values[i] = numerics::written(static_cast<double>(values[i]));
  }
}

// Decodes packed rows of one group, finds their thresholds and the largest
// norm of a row. `values` and `least` may be written up to a whole vector.
float finish_rows(float* HWY_RESTRICT values, float* HWY_RESTRICT least,
                  int64_t k_count) {
  const Floats d;
  const hn::RebindToUnsigned<Floats> du;
  constexpr int64_t kNormVectors = kRowPeriod / kLanes;
  const int64_t count = kRows * k_count;
  std::fill(values + count, values + round_up(count, kRowPeriod), 0.0F);
  hn::Vec<Floats> squares[kNormVectors];
  for (auto& sum : squares) sum = hn::Zero(d);
  const auto bias = hn::Set(du, 238U);
  const auto lowest = hn::Set(du, 113U);
  const auto all_pass = hn::Set(du, 124U);
  for (int64_t i = 0; i < count; i += kRowPeriod) {
    for (int64_t v = 0; v < kNormVectors; ++v) {
      float* const at = values + i + v * kLanes;
      const auto value = decoded(d, hn::LoadU(d, at));
      hn::StoreU(value, d, at);
      squares[v] = hn::MulAdd(value, value, squares[v]);
      // Threshold 2^(-16 - e), where e >= -14 is the value's exponent; 0 when
      // that is within the subnormal numbers, which count as -14.
      const auto exponent = hn::ShiftRight<23>(hn::BitCast(du, hn::Abs(value)));
      const auto threshold =
          hn::ShiftLeft<23>(hn::Sub(bias, hn::Max(exponent, lowest)));
      hn::StoreU(hn::BitCast(d, hn::IfThenZeroElse(hn::Gt(exponent, all_pass),
                                                   threshold)),
                 d, least + i + v * kLanes);
    }
  }
  HWY_ALIGN float sums[kRowPeriod];
  for (int64_t v = 0; v < kNormVectors; ++v) {
    hn::Store(squares[v], d, sums + v * kLanes);
  }
  float largest = 0;
  for (int64_t row = 0; row < kRows; ++row) {
    float sum = 0;
    for (int64_t i = row; i < kRowPeriod; i += kRows) sum += sums[i];
    largest = std::max(largest, sum);
  }
  return std::sqrt(largest) * kNormMargin;
}

template <typename S>
void pack_group(const S* src, int64_t row_stride, int64_t col_stride,
                int64_t rows, int64_t k_count, float* dst) {
  if (row_stride == 1 && rows == kRows) {
    for (int64_t k = 0; k < k_count; ++k) {
      cpu::HWY_NAMESPACE::widen_rows<kRows>(src + k * col_stride,
                                            dst + k * kRows);
    }
    return;
  }
  HWY_ALIGN float line[kBlockDepth];
  for (int64_t r = 0; r < kRows; ++r) {
    if (r >= rows) {
      std::fill_n(line, k_count, 0.0F);
    } else if (col_stride == 1) {
      cpu::HWY_NAMESPACE::widen(src + r * row_stride, line, k_count);
    } else {
      for (int64_t k = 0; k < k_count; ++k) {
        line[k] =
            cpu::HWY_NAMESPACE::one_float(src[r * row_stride + k * col_stride]);
      }
    }
    for (int64_t k = 0; k < k_count; ++k) dst[k * kRows + r] = line[k];
  }
}

// Rows [m, m + rows) of K block [k, k + k_count): values, thresholds, and the
// largest norm.
float pack_rows(const MatrixPlan& plan, int64_t product, int64_t m,
                int64_t rows, int64_t k, int64_t k_count, float* values,
                float* least) {
  const cpu::ConstMatrix& a = plan.a;
  cpu::HWY_NAMESPACE::with_storage(
      a, product * plan.batch.a_stride + m * a.row_stride + k * a.col_stride,
      [&](const auto* src) HWY_ATTR {
        pack_group(src, a.row_stride, a.col_stride, rows, k_count, values);
      });
  if (a.storage == cpu::Storage::kFloat) {
    round_to_half(values, kRows * k_count);
  }
  return finish_rows(values, least, k_count);
}

void target_pack(const MatrixPlan& plan, int64_t index) {
  const int64_t panel = index % plan.panels();
  const int64_t block = index / plan.panels() % plan.depth_blocks();
  const int64_t product = index / plan.panels() / plan.depth_blocks();
  const int64_t k = block * kBlockDepth;
  const int64_t k_count = std::min(kBlockDepth, plan.shape.k - k);
  const int64_t n = panel * kPanel;
  const int64_t n_count = std::min(kPanel, plan.shape.n - n);
  const cpu::ConstMatrix& b = plan.b;
  float* const dst = plan.panel_of(product, block, panel);
  cpu::HWY_NAMESPACE::with_storage(
      b, product * plan.batch.b_stride + k * b.row_stride + n * b.col_stride,
      [&](const auto* src) HWY_ATTR {
        cpu::HWY_NAMESPACE::pack_panel<kPanel>(src, b.row_stride, b.col_stride,
                                               k_count, n_count, dst);
      });
  if (b.storage == cpu::Storage::kFloat) round_to_half(dst, k_count * kPanel);

  const Floats d;
  const hn::RebindToUnsigned<Floats> du;
  hn::Vec<Floats> squares[kVectors];
  for (auto& sum : squares) sum = hn::Zero(d);
  for (int64_t i = 0; i < k_count; ++i) {
    for (int v = 0; v < kVectors; ++v) {
      float* const at = dst + i * kPanel + v * kLanes;
      const auto value = decoded(d, hn::LoadU(d, at));
      squares[v] = hn::MulAdd(value, value, squares[v]);
      const auto bits = hn::BitCast(du, value);
      const auto one =
          hn::IfThenElseZero(hn::Ne(bits, hn::Zero(du)), hn::Set(du, 1U));
      hn::StoreU(hn::BitCast(d, hn::Add(bits, one)), d, at);
    }
  }
  auto largest = squares[0];
  for (int v = 1; v < kVectors; ++v) largest = hn::Max(largest, squares[v]);
  plan.column_norm(product, block, panel) =
      std::sqrt(hn::GetLane(hn::MaxOfLanes(d, largest))) * kNormMargin;
}

// ---- Register blocks -------------------------------------------------------

// sum + x w where |w| >= least, else sum.
template <class D>
HWY_INLINE hn::Vec<D> add_aligned(hn::Vec<D> x, hn::Vec<D> least, hn::Vec<D> w,
                                  hn::Vec<D> w_magnitude, hn::Vec<D> sum) {
  return hn::IfThenElse(hn::Ge(w_magnitude, least), hn::MulAdd(x, w, sum), sum);
}

// Adds the block's sums, in units, to `totals` (rows kTileCols apart).
void narrow_block(int64_t k_count, const float* HWY_RESTRICT a,
                  const float* HWY_RESTRICT least, const float* HWY_RESTRICT b,
                  int32_t* HWY_RESTRICT totals) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  hn::Vec<Floats> sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[r][v] = hn::Set(d, kNarrowOrigin);
  }
  for (int64_t k = 0; k < k_count; ++k) {
    hn::Vec<Floats> w[kVectors];
    hn::Vec<Floats> magnitude[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      w[v] = hn::LoadU(d, b + v * kLanes);
      magnitude[v] = hn::Abs(w[v]);
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const auto x = hn::Set(d, a[r]);
      const auto threshold = hn::Set(d, least[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] =
            add_aligned<Floats>(x, threshold, w[v], magnitude[v], sums[r][v]);
      }
    }
    a += kRows;
    least += kRows;
    b += kPanel;
  }
  const auto origin = hn::BitCast(di, hn::Set(d, kNarrowOrigin));
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      // The unit is the last bit.
      int32_t* const to = totals + r * kTileCols + v * kLanes;
      const auto units = hn::Sub(hn::BitCast(di, sums[r][v]), origin);
      hn::StoreU(hn::Add(hn::LoadU(di, to), units), di, to);
    }
  }
}

// A vector of packed B in fp64, nudged by fp64's last bit instead.
HWY_INLINE hn::Vec<Doubles> wide_column(Doubles d, const float* b) {
  const hn::Rebind<float, Doubles> df;
  const hn::RebindToUnsigned<decltype(df)> dfu;
  const hn::RebindToUnsigned<Doubles> du;
  const auto nudged = hn::BitCast(dfu, hn::LoadU(df, b));
  const auto one =
      hn::IfThenElseZero(hn::Ne(nudged, hn::Zero(dfu)), hn::Set(dfu, 1U));
  const auto value = hn::PromoteTo(d, hn::BitCast(df, hn::Sub(nudged, one)));
  const auto bits = hn::BitCast(du, value);
  return hn::BitCast(
      d, hn::Add(bits, hn::IfThenElseZero(hn::Ne(bits, hn::Zero(du)),
                                          hn::Set(du, uint64_t{1}))));
}

void wide_block(int64_t k_count, const float* HWY_RESTRICT a,
                const float* HWY_RESTRICT least, const float* HWY_RESTRICT b,
                int32_t* HWY_RESTRICT totals) {
  const Doubles d;
  const hn::RebindToSigned<Doubles> di;
  const auto origin = hn::BitCast(di, hn::Set(d, kWideOrigin));
  for (int64_t n = 0; n < kPanel; n += kDoubleLanes) {
    hn::Vec<Doubles> sums[kRows];
    for (auto& sum : sums) sum = hn::Set(d, kWideOrigin);
    for (int64_t k = 0; k < k_count; ++k) {
      const auto w = wide_column(d, b + k * kPanel + n);
      const auto magnitude = hn::Abs(w);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const auto x = hn::Set(d, static_cast<double>(a[k * kRows + r]));
        const auto threshold =
            hn::Set(d, static_cast<double>(least[k * kRows + r]));
        sums[r] = add_aligned<Doubles>(x, threshold, w, magnitude, sums[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      HWY_ALIGN int64_t units[kDoubleLanes];
      hn::Store(hn::Sub(hn::BitCast(di, sums[r]), origin), di, units);
      for (int64_t i = 0; i < kDoubleLanes; ++i) {
        int32_t& total = totals[r * kTileCols + n + i];
        total = static_cast<int32_t>(static_cast<uint32_t>(total) +
                                     static_cast<uint32_t>(units[i]));
      }
    }
  }
}

// Continues the sums of `values` (rows kPanel apart), which stop where they
// overflow.
void watched_block(int64_t k_count, const float* HWY_RESTRICT a,
                   const float* HWY_RESTRICT least, const float* HWY_RESTRICT b,
                   double* HWY_RESTRICT values) {
  const Doubles d;
  const auto origin = hn::Set(d, kWideOrigin);
  const auto limit = hn::Set(d, static_cast<double>(int64_t{1} << 31) / kUnit);
  for (int64_t n = 0; n < kPanel; n += kDoubleLanes) {
    hn::Vec<Doubles> sums[kRows];
    for (int r = 0; r < kRows; ++r) {
      sums[r] = hn::LoadU(d, values + r * kPanel + n);
    }
    for (int64_t k = 0; k < k_count; ++k) {
      const auto w = wide_column(d, b + k * kPanel + n);
      const auto magnitude = hn::Abs(w);
#pragma GCC unroll 12
      for (int r = 0; r < kRows; ++r) {
        const auto x = hn::Set(d, static_cast<double>(a[k * kRows + r]));
        const auto threshold =
            hn::Set(d, static_cast<double>(least[k * kRows + r]));
        const auto product = hn::Sub(
            add_aligned<Doubles>(x, threshold, w, magnitude, origin), origin);
        sums[r] = hn::IfThenElse(hn::Lt(hn::Abs(sums[r]), limit),
                                 hn::Add(sums[r], product), sums[r]);
      }
    }
    for (int r = 0; r < kRows; ++r) {
      hn::StoreU(sums[r], d, values + r * kPanel + n);
    }
  }
}

// ---- Tiles -----------------------------------------------------------------

// Rows and columns of C, counted from the beginning of the round.
struct Block {
  int64_t product;
  int64_t m;
  int64_t n;
  int64_t rows;
  int64_t cols;
};

int32_t bias_units(const MatrixPlan& plan, int64_t m, int64_t n) {
  const Half bias =
      plan.bias.data[m * plan.bias.row_stride + n * plan.bias.col_stride];
  const double units = std::round(static_cast<double>(decode(bias)) * kUnit);
  constexpr double kMost = 2147483647.0;
  return static_cast<int32_t>(std::clamp(units, -kMost, kMost));
}

void store_one(const MatrixPlan& plan, int64_t product, int64_t m, int64_t n,
               double value) {
  const int64_t at = product * plan.batch.c_stride + m * plan.c.row_stride +
                     n * plan.c.col_stride;
  const Half half = encode(value);
  if (plan.c.storage == cpu::Storage::kHalf) {
    static_cast<Half*>(plan.c.data)[at] = half;
  } else {
    static_cast<float*>(plan.c.data)[at] = to_float(half);
  }
}

// fp16 of a vector of units, half away from zero. Above 24 bits the lowest
// eight decide nothing but whether they are all zero.
HWY_INLINE void store_units(Floats d, hn::Vec<hn::RebindToSigned<Floats>> units,
                            Half* to) {
  const hn::RebindToSigned<Floats> di;
  const auto magnitude = hn::Abs(units);
  const auto low = hn::And(magnitude, hn::Set(di, 0xFF));
  const auto cut =
      hn::Or(hn::Sub(magnitude, low),
             hn::IfThenElseZero(hn::Gt(low, hn::Zero(di)), hn::Set(di, 0x80)));
  const auto exact = hn::IfThenElse(
      hn::Gt(magnitude, hn::Set(di, (1 << 24) - 1)), cut, magnitude);
  const auto value = hn::Mul(hn::ConvertTo(d, exact),
                             hn::Set(d, static_cast<float>(1.0 / kUnit)));
  const auto negative = hn::Lt(units, hn::Zero(di));
  cpu::HWY_NAMESPACE::store_half(
      hn::IfThenElse(hn::RebindMask(d, negative), hn::Neg(value), value), d,
      to);
}

void store_totals(const MatrixPlan& plan, const Block& block,
                  const int32_t* totals) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const bool direct =
      plan.c.storage == cpu::Storage::kHalf && plan.c.col_stride == 1;
  for (int64_t r = 0; r < block.rows; ++r) {
    const int32_t* const from = totals + r * kTileCols;
    int64_t n = 0;
    if (direct) {
      Half* const to = static_cast<Half*>(plan.c.data) +
                       block.product * plan.batch.c_stride +
                       (block.m + r) * plan.c.row_stride + block.n;
      for (; n + kLanes <= block.cols; n += kLanes) {
        store_units(d, hn::LoadU(di, from + n), to + n);
      }
    }
    for (; n < block.cols; ++n) {
      store_one(plan, block.product, block.m + r, block.n + n,
                static_cast<double>(from[n]) / kUnit);
    }
  }
}

// A register block whose sums may overflow: all of K again, in order.
void watch(const MatrixPlan& plan, const Block& block, WorkerMemory& memory) {
  double* const sums = memory.watched;
  std::fill_n(sums, kRows * kPanel, 0.0);
  if (plan.bias.data != nullptr) {
    for (int64_t r = 0; r < block.rows; ++r) {
      for (int64_t n = 0; n < block.cols; ++n) {
        // Its whole range: a bias of 2^15 overflows at once.
        const Half bias = plan.bias.data[(block.m + r) * plan.bias.row_stride +
                                         (block.n + n) * plan.bias.col_stride];
        sums[r * kPanel + n] =
            std::round(static_cast<double>(decode(bias)) * kUnit) / kUnit;
      }
    }
  }
  for (int64_t i = 0; i < plan.depth_blocks(); ++i) {
    const int64_t k = i * kBlockDepth;
    const int64_t k_count = std::min(kBlockDepth, plan.shape.k - k);
    pack_rows(plan, block.product, block.m, block.rows, k, k_count, memory.a,
              memory.least);
    watched_block(k_count, memory.a, memory.least,
                  plan.panel_of(block.product, i, block.n / kPanel), sums);
  }
  constexpr double kOverflowed = 32768.0;
  for (int64_t r = 0; r < block.rows; ++r) {
    for (int64_t n = 0; n < block.cols; ++n) {
      double value = sums[r * kPanel + n];
      if (std::abs(value) >= kOverflowed) {
        value = std::copysign(std::numeric_limits<double>::infinity(), value);
      }
      store_one(plan, block.product, block.m + r, block.n + n, value);
    }
  }
}

void target_tile(const MatrixPlan& plan, int64_t index, int worker) {
  WorkerMemory& memory = plan.workers[worker];
  const int64_t row_tile = index % plan.row_tiles();
  const int64_t col_tile = index / plan.row_tiles() % plan.col_tiles();
  const int64_t product = index / plan.row_tiles() / plan.col_tiles();
  const int64_t m_begin = row_tile * plan.tile_rows;
  const int64_t m_end = std::min(plan.shape.m, m_begin + plan.tile_rows);
  const int64_t n_begin = col_tile * plan.tile_cols;
  const int64_t n_end = std::min(plan.shape.n, n_begin + plan.tile_cols);
  const int64_t groups = ceil_div(m_end - m_begin, kRows);
  const int64_t panels = ceil_div(n_end - n_begin, kPanel);

  std::fill_n(memory.totals, groups * kRows * kTileCols, 0);
  std::fill_n(memory.bounds, groups * panels, 0.0F);
  if (plan.bias.data != nullptr) {
    for (int64_t m = m_begin; m < m_end; ++m) {
      for (int64_t n = n_begin; n < n_end; ++n) {
        const int32_t units = bias_units(plan, m, n);
        memory.totals[(m - m_begin) * kTileCols + n - n_begin] = units;
        float& bound = memory.bounds[(m - m_begin) / kRows * panels +
                                     (n - n_begin) / kPanel];
        bound =
            std::max(bound, std::abs(static_cast<float>(units)) *
                                static_cast<float>(1.0 / kUnit) * kNormMargin);
      }
    }
  }
  for (int64_t i = 0; i < plan.depth_blocks(); ++i) {
    const int64_t k = i * kBlockDepth;
    const int64_t k_count = std::min(kBlockDepth, plan.shape.k - k);
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t m = m_begin + g * kRows;
      memory.row_norms[g] =
          pack_rows(plan, product, m, std::min<int64_t>(kRows, m_end - m), k,
                    k_count, memory.a + g * group_stride(k_count),
                    memory.least + g * group_stride(k_count));
    }
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t panel = n_begin / kPanel + p;
      const float norm = plan.column_norm(product, i, panel);
      const float* const b = plan.panel_of(product, i, panel);
      for (int64_t g = 0; g < groups; ++g) {
        const float bound = memory.row_norms[g] * norm +
                            static_cast<float>(k_count) * kRoundingError;
        memory.bounds[g * panels + p] += bound;
        const bool narrow = bound < kNarrowLimit;
        ++(narrow ? memory.counts.narrow : memory.counts.wide);
        (narrow ? narrow_block : wide_block)(
            k_count, memory.a + g * group_stride(k_count),
            memory.least + g * group_stride(k_count), b,
            memory.totals + g * kRows * kTileCols + p * kPanel);
      }
    }
  }
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t g = 0; g < groups; ++g) {
      Block block{product, m_begin + g * kRows, n_begin + p * kPanel, 0, 0};
      block.rows = std::min<int64_t>(kRows, m_end - block.m);
      block.cols = std::min(kPanel, n_end - block.n);
      if (memory.bounds[g * panels + p] < kLimit) {
        store_totals(plan, block,
                     memory.totals + g * kRows * kTileCols + p * kPanel);
      } else {
        ++memory.counts.watched;
        watch(plan, block, memory);
      }
    }
  }
}

KernelGeometry target_geometry() { return {kRows, kPanel}; }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::numerics {

HWY_EXPORT(target_geometry);
HWY_EXPORT(target_pack);
HWY_EXPORT(target_tile);

KernelGeometry kernel_geometry() {
  return HWY_DYNAMIC_DISPATCH(target_geometry)();
}
void pack_panel_task(const MatrixPlan& plan, int64_t index) {
  HWY_DYNAMIC_DISPATCH(target_pack)(plan, index);
}
void tile_task(const MatrixPlan& plan, int64_t index, int worker) {
  HWY_DYNAMIC_DISPATCH(target_tile)(plan, index, worker);
}

}  // namespace aneroid::numerics
#endif  // HWY_ONCE
