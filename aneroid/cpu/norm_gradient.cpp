#include "aneroid/cpu/norm_gradient.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/norm_gradient.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <cassert>
#include <cmath>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/cpu/matrix-inl.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

using Wide = hn::ScalableTag<double>;
using Narrow = hn::Rebind<float, Wide>;

template <typename S>
HWY_INLINE hn::Vec<Wide> load_wide(const S* src) {
  return hn::PromoteTo(Wide(), load_float(Narrow(), src));
}
template <typename S>
HWY_INLINE hn::Vec<Wide> load_wide_part(const S* src, size_t count) {
  return hn::PromoteTo(Wide(), load_part(Narrow(), src, count));
}

// Rows asked for before they are read: they may lie far apart.
constexpr int64_t kAhead = 4;

template <typename S, typename T>
void gain_gradient(const S* dxn, const T* x, const NormGain& of, bool add,
                   float* result) {
  const Wide d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t whole = of.columns / lanes * lanes;
  const auto rest = static_cast<size_t>(of.columns - whole);
  // Sums of squares, then r; padded to whole vectors.
  std::vector<double> r(static_cast<size_t>(whole + lanes), 0.0);
  for (int64_t c = 0; c < of.channels; ++c) {
    const T* const row = x + c * of.x.row_stride;
    if (c + kAhead < of.channels) {
      prefetch(row + kAhead * of.x.row_stride, of.columns);
    }
    const auto square = [&](const auto& values, int64_t t) HWY_ATTR {
      double* const at = r.data() + t;
      hn::StoreU(hn::MulAdd(values, values, hn::LoadU(d, at)), d, at);
    };
    for (int64_t t = 0; t < whole; t += lanes) square(load_wide(row + t), t);
    if (rest != 0) square(load_wide_part(row + whole, rest), whole);
  }
  for (double& value : r) {
    value =
        1.0 / std::sqrt(value / static_cast<double>(of.channels) + of.epsilon);
  }
  for (int64_t c = 0; c < of.channels; ++c) {
    const S* const dy = dxn + c * of.dxn.row_stride;
    const T* const row = x + c * of.x.row_stride;
    auto sum = hn::Zero(d);
    for (int64_t t = 0; t < whole; t += lanes) {
      const auto product = hn::Mul(load_wide(dy + t), load_wide(row + t));
      sum = hn::MulAdd(product, hn::LoadU(d, r.data() + t), sum);
    }
    if (rest != 0) {
      const auto product = hn::Mul(load_wide_part(dy + whole, rest),
                                   load_wide_part(row + whole, rest));
      sum = hn::MulAdd(product, hn::LoadU(d, r.data() + whole), sum);
    }
    const auto total = static_cast<float>(hn::GetLane(hn::SumOfLanes(d, sum)));
    result[c] = total + (add ? result[c] : 0.0F);
  }
}

void target_norm_gain_gradient(const NormGain& of, bool add, float* result) {
  with_storage(of.dxn, 0, [&](const auto* dxn) HWY_ATTR {
    with_storage(of.x, 0, [&](const auto* x) HWY_ATTR {
      gain_gradient(dxn, x, of, add, result);
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {
namespace {

double element(const ConstMatrix& matrix, int64_t row, int64_t column) {
  const int64_t at = row * matrix.row_stride + column;
  return matrix.storage == Storage::kHalf
             ? double{to_float(static_cast<const Half*>(matrix.data)[at])}
             : double{static_cast<const float*>(matrix.data)[at]};
}

}  // namespace

HWY_EXPORT(target_norm_gain_gradient);

void norm_gain_gradient(const NormGain& of, bool add, float* result) {
  assert(of.dxn.col_stride == 1 && of.x.col_stride == 1);
  HWY_DYNAMIC_DISPATCH(target_norm_gain_gradient)(of, add, result);
}

void norm_gain_gradient_plain(const NormGain& of, bool add, float* result) {
  std::vector<double> sums(static_cast<size_t>(of.channels), 0.0);
  for (int64_t t = 0; t < of.columns; ++t) {
    double square = 0;
    for (int64_t c = 0; c < of.channels; ++c) {
      square += element(of.x, c, t) * element(of.x, c, t);
    }
    const double r =
        1.0 / std::sqrt(square / static_cast<double>(of.channels) + of.epsilon);
    for (int64_t c = 0; c < of.channels; ++c) {
      sums[static_cast<size_t>(c)] +=
          element(of.dxn, c, t) * element(of.x, c, t) * r;
    }
  }
  for (int64_t c = 0; c < of.channels; ++c) {
    const auto sum = static_cast<float>(sums[static_cast<size_t>(c)]);
    result[c] = add ? result[c] + sum : sum;
  }
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
