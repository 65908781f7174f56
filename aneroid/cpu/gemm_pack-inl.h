// Packing of the operands, compiled once per target: any strides and storage
// in, fp32 (or fp64) in the order the kernels read out.

#if defined(ANEROID_CPU_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEROID_CPU_GEMM_PACK_INL_H_
#undef ANEROID_CPU_GEMM_PACK_INL_H_
#else
#define ANEROID_CPU_GEMM_PACK_INL_H_
#endif

#include <algorithm>

#include "aneroid/cpu/gemm_plan.h"
#include "aneroid/cpu/matrix-inl.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {

HWY_INLINE float one_float(float value) { return value; }
HWY_INLINE float one_float(Half value) {
  const hn::CappedTag<float, 1> d;
  return hn::GetLane(load_half(d, &value));
}

// dst[i] = src[i] for exactly `count` elements: whole vectors, then halves of
// vectors, so that neither side is touched past its end.
template <size_t kLanes, typename S>
HWY_INLINE void widen_block(const S* HWY_RESTRICT& src,
                            float* HWY_RESTRICT& dst, int64_t& count) {
  const hn::CappedTag<float, kLanes> d;
  constexpr auto kStep = static_cast<int64_t>(kLanes);
  for (; count >= kStep; count -= kStep, src += kStep, dst += kStep) {
    hn::StoreU(load_float(d, src), d, dst);
  }
}
template <typename S>
HWY_INLINE void widen(const S* HWY_RESTRICT src, float* HWY_RESTRICT dst,
                      int64_t count) {
  constexpr size_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());
  widen_block<kLanes>(src, dst, count);
  if constexpr (kLanes > 8) widen_block<8>(src, dst, count);
  if constexpr (kLanes > 4) widen_block<4>(src, dst, count);
  for (int64_t i = 0; i < count; ++i) dst[i] = one_float(src[i]);
}
template <typename S>
HWY_INLINE void widen(const S* HWY_RESTRICT src, double* HWY_RESTRICT dst,
                      int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    dst[i] = static_cast<double>(one_float(src[i]));
  }
}

// kRows elements in the order of memory to dst, where up to kLanes may be
// written: the caller goes on to write what follows.
template <int kRows, typename T, typename S>
HWY_INLINE void widen_rows(const S* HWY_RESTRICT src, T* HWY_RESTRICT dst) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (std::is_same_v<T, float>) {
    const hn::ScalableTag<float> d;
    if constexpr (std::is_same_v<S, Half>) {
      const hn::Rebind<uint16_t, decltype(d)> du;
      const hn::Rebind<hwy::float16_t, decltype(d)> dh;
      const auto bits = hn::MaskedLoad(hn::FirstN(du, kRows), du,
                                       reinterpret_cast<const uint16_t*>(src));
      hn::StoreU(hn::PromoteTo(d, hn::BitCast(dh, bits)), d, dst);
    } else {
      hn::StoreU(hn::MaskedLoad(hn::FirstN(d, kRows), d, src), d, dst);
    }
    return;
  }
#endif
  widen(src, dst, kRows);
}

// A tile as panels of kRows rows: element (m, k) at [m / kRows][k][m % kRows],
// panels kRows * k_count + 16 apart. Rows past m_count are zero up to the end
// of their panel.
template <int kRows, typename T, typename S>
void pack_rows_broadcast(const S* src, int64_t row_stride, int64_t col_stride,
                         int64_t m_count, int64_t k_count, T* dst) {
  const int64_t panel_stride = kRows * k_count + 16;
  const int64_t whole = m_count / kRows;
  const int64_t rest = m_count % kRows;
  T* const last = dst + whole * panel_stride;
  if (row_stride == 1) {
    // A few rows of memory at a time, which stay in L1 while each panel takes
    // its part of them: one stream of loads and one of stores.
    constexpr int64_t kChunk = 32;
    for (int64_t begin = 0; begin < k_count; begin += kChunk) {
      const int64_t end = std::min(k_count, begin + kChunk);
      for (int64_t k = end; k < std::min(k_count, end + kChunk); ++k) {
        prefetch(src + k * col_stride, m_count + 31);
      }
      for (int64_t p = 0; p < whole; ++p) {
        const S* from = src + begin * col_stride + p * kRows;
        T* to = dst + p * panel_stride + begin * kRows;
        for (int64_t k = begin; k < end; ++k) {
          widen_rows<kRows>(from, to);
          from += col_stride;
          to += kRows;
        }
      }
      for (int64_t k = begin; k < end && rest != 0; ++k) {
        widen(src + k * col_stride + whole * kRows, last + k * kRows, rest);
        std::fill(last + k * kRows + rest, last + (k + 1) * kRows, T{0});
      }
    }
    return;
  }
  for (int64_t m = 0; m < m_count; ++m) {
    const S* from = src + m * row_stride;
    T* to = dst + m / kRows * panel_stride + m % kRows;
    for (int64_t k = 0; k < k_count; ++k) {
      to[k * kRows] = static_cast<T>(one_float(from[k * col_stride]));
    }
  }
  if (rest == 0) return;
  for (int64_t k = 0; k < k_count; ++k) {
    std::fill(last + k * kRows + rest, last + (k + 1) * kRows, T{0});
  }
}

// A tile whose rows are contiguous along K stays so: element (m, k) at
// m * kRowStride + k. Rows up to a multiple of `row_step` are zero.
template <typename T, typename S>
void pack_rows_contiguous(const S* src, int64_t row_stride, int64_t m_count,
                          int64_t row_step, int64_t k_count, T* dst) {
  constexpr int64_t kAhead = 6;
  for (int64_t m = 0; m < m_count; ++m) {
    if (m + kAhead < m_count)
      prefetch(src + (m + kAhead) * row_stride, k_count);
    widen(src + m * row_stride, dst + m * kRowStride, k_count);
  }
  for (int64_t m = m_count; m < round_up(m_count, row_step); ++m) {
    std::fill_n(dst + m * kRowStride, k_count, T{0});
  }
}

#if HWY_TARGET != HWY_SCALAR
// Four floats of each of Lanes(d)/4 rows that are `stride` apart.
template <class D>
HWY_INLINE hn::Vec<D> load_quads(D d, const float* src, int64_t stride) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    (void)stride;
    return hn::LoadU(d, src);
  } else {
    const hn::Half<D> dh;
    constexpr auto kHalfRows = static_cast<int64_t>(hn::MaxLanes(dh) / 4);
    return hn::Combine(d, load_quads(dh, src + kHalfRows * stride, stride),
                       load_quads(dh, src, stride));
  }
}

// Transposes `Lanes(d)` rows of `k_count` (a multiple of 4) floats:
// dst[k * dst_stride + row]. Vector i holds rows i, i+4, i+8 ... by fours of
// k, so that transposing 4x4 inside each 128-bit block puts rows in order.
template <class D>
HWY_INLINE void transpose_rows(D d, const float* HWY_RESTRICT src,
                               int64_t src_stride, int64_t k_count,
                               float* HWY_RESTRICT dst, int64_t dst_stride) {
  const hn::RebindToUnsigned<hn::Repartition<double, D>> dw;
  for (int64_t k = 0; k < k_count; k += 4) {
    const float* from = src + k;
    const auto r0 = load_quads(d, from, 4 * src_stride);
    const auto r1 = load_quads(d, from + src_stride, 4 * src_stride);
    const auto r2 = load_quads(d, from + 2 * src_stride, 4 * src_stride);
    const auto r3 = load_quads(d, from + 3 * src_stride, 4 * src_stride);
    const auto low01 = hn::BitCast(dw, hn::InterleaveLower(d, r0, r1));
    const auto high01 = hn::BitCast(dw, hn::InterleaveUpper(d, r0, r1));
    const auto low23 = hn::BitCast(dw, hn::InterleaveLower(d, r2, r3));
    const auto high23 = hn::BitCast(dw, hn::InterleaveUpper(d, r2, r3));
    float* to = dst + k * dst_stride;
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, low01, low23)), d, to);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, low01, low23)), d,
               to + dst_stride);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dw, high01, high23)), d,
               to + 2 * dst_stride);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dw, high01, high23)), d,
               to + 3 * dst_stride);
  }
}
#endif

// A panel of B whose columns are contiguous along K, kWidth columns wide:
// widened a few K at a time into a buffer in L1, transposed from there.
template <int kWidth, typename S>
void pack_panel_transposed(const S* src, int64_t col_stride, int64_t k_count,
                           int64_t n_count, float* dst) {
  constexpr int64_t kChunk = 64;
  HWY_ALIGN float buffer[kWidth * kChunk];
  std::fill(buffer + n_count * kChunk, buffer + kWidth * kChunk, 0.0F);
  for (int64_t k = 0; k < k_count; k += kChunk) {
    const int64_t count = std::min(kChunk, k_count - k);
    for (int64_t n = 0; n < n_count; ++n) {
      widen(src + n * col_stride + k, buffer + n * kChunk, count);
    }
    int64_t done = 0;
    float* const to = dst + k * kWidth;
#if HWY_TARGET != HWY_SCALAR
    const hn::ScalableTag<float> d;
    constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(d));
    done = count / 4 * 4;
    for (int64_t n = 0; n < kWidth; n += kLanes) {
      transpose_rows(d, buffer + n * kChunk, kChunk, done, to + n, kWidth);
    }
#endif
    for (; done < count; ++done) {
      for (int64_t n = 0; n < kWidth; ++n) {
        to[done * kWidth + n] = buffer[n * kChunk + done];
      }
    }
  }
}

// A panel of B: k_count rows of kWidth columns, of which the first n_count
// exist and the others become zero.
template <int kWidth, typename T, typename S>
void pack_panel(const S* src, int64_t row_stride, int64_t col_stride,
                int64_t k_count, int64_t n_count, T* dst) {
  if (col_stride == 1 && n_count == kWidth) {
    for (int64_t k = 0; k < k_count; ++k) {
      widen(src + k * row_stride, dst + k * kWidth, kWidth);
    }
    return;
  }
  if constexpr (std::is_same_v<T, float>) {
    if (row_stride == 1 && col_stride != 1) {
      pack_panel_transposed<kWidth>(src, col_stride, k_count, n_count, dst);
      return;
    }
  }
  for (int64_t k = 0; k < k_count; ++k) {
    const S* from = src + k * row_stride;
    T* to = dst + k * kWidth;
    if (col_stride == 1) {
      widen(from, to, n_count);
    } else {
      for (int64_t n = 0; n < n_count; ++n) {
        to[n] = static_cast<T>(one_float(from[n * col_stride]));
      }
    }
    std::fill(to + n_count, to + kWidth, T{0});
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#endif  // ANEROID_CPU_GEMM_PACK_INL_H_
