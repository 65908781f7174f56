#include "aneroid/cpu/norms.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/norms.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <bit>

#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

using Tag = hn::ScalableTag<float>;

// Sums of squares are ordered as their bits are, with infinity and NaN above
// all numbers.
int32_t order(float sum) {
  return std::bit_cast<int32_t>(sum) & int32_t{0x7FFFFFFF};
}

// Rows are contiguous.
int32_t largest_of_rows(const Half* data, int64_t rows, int64_t columns,
                        int64_t row_stride) {
  const Tag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int32_t largest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const Half* const row = data + i * row_stride;
    auto sum = hn::Zero(d);
    int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      const auto x = load_half(d, row + j);
      sum = hn::MulAdd(x, x, sum);
    }
    if (j < columns) {
      const auto x = load_part(d, row + j, static_cast<size_t>(columns - j));
      sum = hn::MulAdd(x, x, sum);
    }
    largest = std::max(largest, order(hn::GetLane(hn::SumOfLanes(d, sum))));
  }
  return largest;
}

// Columns are contiguous: the sums of some rows at a time.
int32_t largest_of_columns(const Half* data, int64_t rows, int64_t columns,
                           int64_t col_stride) {
  const Tag d;
  constexpr auto kLanes = static_cast<int64_t>(hn::MaxLanes(Tag()));
  constexpr int64_t kVectors = 4;
  int32_t largest = 0;
  HWY_ALIGN float sums[kVectors * kLanes];
  for (int64_t first = 0; first < rows; first += kVectors * kLanes) {
    const int64_t count = std::min(kVectors * kLanes, rows - first);
    hn::Vec<Tag> sum[kVectors];
    for (auto& s : sum) s = hn::Zero(d);
    for (int64_t j = 0; j < columns; ++j) {
      const Half* const from = data + j * col_stride + first;
      if (count == kVectors * kLanes) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          const auto x = load_half(d, from + v * kLanes);
          sum[v] = hn::MulAdd(x, x, sum[v]);
        }
        continue;
      }
      for (int v = 0; v * kLanes < count; ++v) {
        const int64_t rest = std::min(kLanes, count - v * kLanes);
        const auto x =
            load_part(d, from + v * kLanes, static_cast<size_t>(rest));
        sum[v] = hn::MulAdd(x, x, sum[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) hn::Store(sum[v], d, sums + v * kLanes);
    for (const float s : sums) largest = std::max(largest, order(s));
  }
  return largest;
}

float largest_of(const Half* data, int64_t rows, int64_t columns,
                 int64_t row_stride, int64_t col_stride) {
  return std::bit_cast<float>(
      col_stride == 1 ? largest_of_rows(data, rows, columns, row_stride)
                      : largest_of_columns(data, rows, columns, col_stride));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(largest_of);

float largest_square_sum(const Half* data, int64_t rows, int64_t columns,
                         int64_t row_stride, int64_t col_stride) {
  return HWY_DYNAMIC_DISPATCH(largest_of)(data, rows, columns, row_stride,
                                          col_stride);
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
