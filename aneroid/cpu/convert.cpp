#include "aneroid/cpu/convert.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/convert.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

void convert_to_float(const Half* src, float* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(load_half(d, src + i), d, dst + i);
  }
  if (i < n) store_part(load_part(d, src + i, n - i), d, dst + i, n - i);
}

void convert_to_half(const float* src, Half* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store_half(hn::LoadU(d, src + i), d, dst + i);
  }
  if (i < n) store_part(load_part(d, src + i, n - i), d, dst + i, n - i);
}

// dst[j * stride + i] = src[i * kSquare + j], an 8 x 8 block.
constexpr size_t kSquare = 32;
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
void transpose_block(const uint16_t* src, uint16_t* dst, size_t stride) {
  for (size_t j = 0; j < 8; ++j) {
    for (size_t i = 0; i < 8; ++i) dst[j * stride + i] = src[i * kSquare + j];
  }
}
#else
void transpose_block(const uint16_t* src, uint16_t* dst, size_t stride) {
  const hn::Full128<uint16_t> d;
  const hn::Full128<uint32_t> d32;
  const hn::Full128<uint64_t> d64;
  using V = hn::Vec<decltype(d)>;
  const auto row = [&](size_t i) { return hn::Load(d, src + i * kSquare); };
  // Pairs of rows, then fours, then all eight.
  V pairs[8];
  for (size_t i = 0; i < 4; ++i) {
    const V a = row(2 * i);
    const V b = row(2 * i + 1);
    pairs[2 * i] = hn::InterleaveLower(d, a, b);
    pairs[2 * i + 1] = hn::InterleaveUpper(d, a, b);
  }
  V fours[8];
  for (size_t half = 0; half < 2; ++half) {
    for (size_t side = 0; side < 2; ++side) {
      const auto a = hn::BitCast(d32, pairs[4 * half + side]);
      const auto b = hn::BitCast(d32, pairs[4 * half + 2 + side]);
      fours[4 * half + 2 * side] =
          hn::BitCast(d, hn::InterleaveLower(d32, a, b));
      fours[4 * half + 2 * side + 1] =
          hn::BitCast(d, hn::InterleaveUpper(d32, a, b));
    }
  }
  for (size_t j = 0; j < 4; ++j) {
    const auto a = hn::BitCast(d64, fours[j]);
    const auto b = hn::BitCast(d64, fours[4 + j]);
    hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d64, a, b)), d,
               dst + 2 * j * stride);
    hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d64, a, b)), d,
               dst + (2 * j + 1) * stride);
  }
}
#endif

void convert_to_half_transposed(const float* src, size_t src_stride, Half* dst,
                                size_t dst_stride, size_t rows,
                                size_t columns) {
  // Squares whose rows are a cache line on the side of dst.
  HWY_ALIGN Half square[kSquare * kSquare];
  for (size_t r = 0; r < rows; r += kSquare) {
    const size_t height = std::min(kSquare, rows - r);
    for (size_t c = 0; c < columns; c += kSquare) {
      const size_t width = std::min(kSquare, columns - c);
      for (size_t i = 0; i < height; ++i) {
        convert_to_half(src + (r + i) * src_stride + c, square + i * kSquare,
                        width);
      }
      Half* const to = dst + c * dst_stride + r;
      const size_t whole_height = height / 8 * 8;
      const size_t whole_width = width / 8 * 8;
      for (size_t j = 0; j < whole_width; j += 8) {
        for (size_t i = 0; i < whole_height; i += 8) {
          transpose_block(
              reinterpret_cast<const uint16_t*>(square) + i * kSquare + j,
              reinterpret_cast<uint16_t*>(to) + j * dst_stride + i, dst_stride);
        }
      }
      for (size_t j = 0; j < width; ++j) {
        for (size_t i = j < whole_width ? whole_height : 0; i < height; ++i) {
          to[j * dst_stride + i] = square[i * kSquare + j];
        }
      }
    }
  }
}

void round_floats(const float* src, float* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(round_half(hn::LoadU(d, src + i), d), d, dst + i);
  }
  if (i < n) {
    store_part(round_half(load_part(d, src + i, n - i), d), d, dst + i, n - i);
  }
}

// True when bits & magnitude_mask < infinity for all: looks at whole blocks,
// so that the loop has no branch and bad values still end it early.
template <typename Bits>
bool all_below(const Bits* src, size_t n, Bits magnitude_mask, Bits infinity) {
  constexpr size_t kBlock = 4096;
  const hn::ScalableTag<Bits> d;
  const size_t lanes = hn::Lanes(d);
  const auto mask = hn::Set(d, magnitude_mask);
  for (size_t begin = 0; begin < n; begin += kBlock) {
    const size_t end = std::min(n, begin + kBlock);
    auto largest = hn::Zero(d);
    size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      largest = hn::Max(largest, hn::And(hn::LoadU(d, src + i), mask));
    }
    if (!hn::AllTrue(d, hn::Lt(largest, hn::Set(d, infinity)))) return false;
    for (; i < end; ++i) {
      if ((src[i] & magnitude_mask) >= infinity) return false;
    }
  }
  return true;
}

bool all_finite_float(const float* src, size_t n) {
  return all_below<int32_t>(reinterpret_cast<const int32_t*>(src), n,
                            0x7FFFFFFF, 0x7F800000);
}
bool all_finite_half(const Half* src, size_t n) {
  return all_below<int16_t>(reinterpret_cast<const int16_t*>(src), n, 0x7FFF,
                            0x7C00);
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(convert_to_float);
HWY_EXPORT(convert_to_half);
HWY_EXPORT(convert_to_half_transposed);
HWY_EXPORT(round_floats);
HWY_EXPORT(all_finite_float);
HWY_EXPORT(all_finite_half);
HWY_EXPORT(target_name);

void to_float(const Half* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(convert_to_float)(src, dst, n);
}
void to_half(const float* src, Half* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(convert_to_half)(src, dst, n);
}
void to_half_transposed(const float* src, size_t src_stride, Half* dst,
                        size_t dst_stride, size_t rows, size_t columns) {
  HWY_DYNAMIC_DISPATCH(convert_to_half_transposed)
  (src, src_stride, dst, dst_stride, rows, columns);
}
void round_to_half(const float* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(round_floats)(src, dst, n);
}
bool all_finite(const float* src, size_t n) {
  return HWY_DYNAMIC_DISPATCH(all_finite_float)(src, n);
}
bool all_finite(const Half* src, size_t n) {
  return HWY_DYNAMIC_DISPATCH(all_finite_half)(src, n);
}
const char* simd_target() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
