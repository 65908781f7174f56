#include "aneroid/cpu/gemv.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/gemv.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

// Four chains of sums hide the latency of the fused multiply-add.
template <typename S>
float row_dot(const S* row, const float* x, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    sum0 = hn::MulAdd(load_float(d, row + i), hn::LoadU(d, x + i), sum0);
    sum1 = hn::MulAdd(load_float(d, row + i + lanes),
                      hn::LoadU(d, x + i + lanes), sum1);
    sum2 = hn::MulAdd(load_float(d, row + i + 2 * lanes),
                      hn::LoadU(d, x + i + 2 * lanes), sum2);
    sum3 = hn::MulAdd(load_float(d, row + i + 3 * lanes),
                      hn::LoadU(d, x + i + 3 * lanes), sum3);
  }
  for (; i + lanes <= n; i += lanes) {
    sum0 = hn::MulAdd(load_float(d, row + i), hn::LoadU(d, x + i), sum0);
  }
  if (i < n) {
    sum1 = hn::MulAdd(load_part(d, row + i, n - i), load_part(d, x + i, n - i),
                      sum1);
  }
  return hn::GetLane(
      hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

float dot_float(const float* a, const float* b, size_t n) {
  return row_dot(a, b, n);
}
void rows_half(const Half* rows, const float* x, float* y, size_t count,
               size_t columns) {
  for (size_t r = 0; r < count; ++r) {
    y[r] = row_dot(rows + r * columns, x, columns);
  }
}
void rows_float(const float* rows, const float* x, float* y, size_t count,
                size_t columns) {
  for (size_t r = 0; r < count; ++r) {
    y[r] = row_dot(rows + r * columns, x, columns);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(dot_float);
HWY_EXPORT(rows_half);
HWY_EXPORT(rows_float);

float dot(const float* a, const float* b, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(dot_float)(a, b, static_cast<size_t>(n));
}

GemvMatrix::GemvMatrix(const std::vector<float>& values, int64_t rows,
                       int64_t columns, Storage storage)
    : rows_(rows), columns_(columns) {
  if (storage == Storage::kHalf) {
    half_.resize(values.size());
    to_half(values.data(), half_.data(), values.size());
  } else {
    float_ = values;
  }
}

int64_t GemvMatrix::bytes() const {
  return static_cast<int64_t>(half_.size() * sizeof(Half) +
                              float_.size() * sizeof(float));
}

void GemvMatrix::multiply(ThreadPool& pool, const float* x, float* y) const {
  // Pieces of about 128 KiB: long enough to stream, short enough to share.
  constexpr int64_t kPieceElements = int64_t{1} << 16;
  const int64_t piece = std::max<int64_t>(1, kPieceElements / columns_);
  const auto columns = static_cast<size_t>(columns_);
  pool.run((rows_ + piece - 1) / piece, [&](int64_t task, int) {
    const int64_t first = task * piece;
    const auto count = static_cast<size_t>(std::min(piece, rows_ - first));
    const int64_t at = first * columns_;
    if (!half_.empty()) {
      HWY_DYNAMIC_DISPATCH(rows_half)
      (half_.data() + at, x, y + first, count, columns);
    } else {
      HWY_DYNAMIC_DISPATCH(rows_float)
      (float_.data() + at, x, y + first, count, columns);
    }
  });
}

void GemvMatrix::row(int64_t r, float* values) const {
  const int64_t at = r * columns_;
  if (!half_.empty()) {
    to_float(half_.data() + at, values, static_cast<size_t>(columns_));
  } else {
    std::copy_n(float_.data() + at, columns_, values);
  }
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
