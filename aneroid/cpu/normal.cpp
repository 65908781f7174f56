#include "aneroid/cpu/normal.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/normal.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

#include <algorithm>
#include <cstddef>
#include <numbers>

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// values[i] from first[i] and second[i], for whole vectors of them.
void normals(const double* first, const double* second, double deviation,
             float* values, size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  const auto one = hn::Set(d, 1.0);
  const auto minus_two = hn::Set(d, -2.0);
  const auto turn = hn::Set(d, 2.0 * std::numbers::pi);
  const auto scale = hn::Set(d, deviation);
  // Both ways of computing are within some ulp (2^-52) of the truth, relative
  // to the radius.
  const auto bound = hn::Set(d, 0x1p-44);
  for (size_t i = 0; i < n; i += lanes) {
    const auto u = hn::Sub(one, hn::LoadU(d, first + i));
    const auto radius =
        hn::Mul(scale, hn::Sqrt(hn::Mul(minus_two, hn::Log(d, u))));
    const auto angle = hn::Mul(turn, hn::LoadU(d, second + i));
    const auto value = hn::Mul(radius, hn::Cos(d, angle));
    const auto slack = hn::Mul(radius, bound);
    const auto low = hn::DemoteTo(df, hn::Sub(value, slack));
    const auto high = hn::DemoteTo(df, hn::Add(value, slack));
    hn::StoreU(low, df, values + i);
    // A radius of zero has no sign to tell from.
    const auto sure = hn::And(hn::VecFromMask(df, hn::Eq(low, high)),
                              hn::DemoteTo(df, slack));
    if (hn::AllTrue(df, hn::Gt(sure, hn::Zero(df)))) continue;
    for (size_t lane = i; lane < i + lanes; ++lane) {
      values[lane] = static_cast<float>(
          deviation * Random::normal_of(first[lane], second[lane]));
    }
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(normals);

void fill_normal(Random& random, double deviation, float* values, size_t n) {
  constexpr size_t kBlock = 512;  // a multiple of any vector
  double first[kBlock] = {};
  double second[kBlock] = {};
  float last[kBlock];
  for (size_t done = 0; done < n; done += kBlock) {
    const size_t size = std::min(kBlock, n - done);
    for (size_t i = 0; i < size; ++i) {
      first[i] = random.uniform();
      second[i] = random.uniform();
    }
    float* const to = size == kBlock ? values + done : last;
    HWY_DYNAMIC_DISPATCH(normals)(first, second, deviation, to, kBlock);
    if (size < kBlock) std::copy_n(last, size, values + done);
  }
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
