#include "aneroid/cpu/optimizer.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <cmath>

#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

void adamw(float* w, float* m, float* v, const float* g, size_t n,
           const AdamW& o) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto beta1 = hn::Set(d, o.beta1);
  const auto beta2 = hn::Set(d, o.beta2);
  const auto rest1 = hn::Set(d, 1.0F - o.beta1);
  const auto rest2 = hn::Set(d, 1.0F - o.beta2);
  const auto grad_scale = hn::Set(d, o.grad_scale);
  const auto inverse1 = hn::Set(d, 1.0F / o.bias_correction1);
  const auto inverse2 = hn::Set(d, 1.0F / o.bias_correction2);
  const auto eps = hn::Set(d, o.eps);
  const auto decay = hn::Set(d, o.weight_decay);
  const auto minus_lr = hn::Set(d, -o.lr);
  const auto update = [&](auto& wv, auto& mv, auto& vv, auto gv) {
    gv = hn::Mul(gv, grad_scale);
    mv = hn::MulAdd(beta1, mv, hn::Mul(rest1, gv));
    vv = hn::MulAdd(beta2, vv, hn::Mul(rest2, hn::Mul(gv, gv)));
    const auto root = hn::Add(hn::Sqrt(hn::Mul(vv, inverse2)), eps);
    const auto step =
        hn::MulAdd(decay, wv, hn::Div(hn::Mul(mv, inverse1), root));
    wv = hn::MulAdd(minus_lr, step, wv);
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    auto wv = hn::LoadU(d, w + i);
    auto mv = hn::LoadU(d, m + i);
    auto vv = hn::LoadU(d, v + i);
    update(wv, mv, vv, hn::LoadU(d, g + i));
    hn::StoreU(wv, d, w + i);
    hn::StoreU(mv, d, m + i);
    hn::StoreU(vv, d, v + i);
  }
  if (i < n) {
    const size_t rest = n - i;
    auto wv = load_part(d, w + i, rest);
    auto mv = load_part(d, m + i, rest);
    auto vv = load_part(d, v + i, rest);
    update(wv, mv, vv, load_part(d, g + i, rest));
    store_part(wv, d, w + i, rest);
    store_part(mv, d, m + i, rest);
    store_part(vv, d, v + i, rest);
  }
}

double squares(const float* values, size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto a = hn::PromoteTo(d, hn::LoadU(df, values + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(df, values + i + lanes));
    even = hn::MulAdd(a, a, even);
    odd = hn::MulAdd(b, b, odd);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) sum += double{values[i]} * values[i];
  return sum;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(adamw);
HWY_EXPORT(squares);

void adamw_update(float* w, float* m, float* v, const float* g, size_t n,
                  const AdamW& options) {
  HWY_DYNAMIC_DISPATCH(adamw)(w, m, v, g, n, options);
}

double sum_of_squares(const float* values, size_t n) {
  return HWY_DYNAMIC_DISPATCH(squares)(values, n);
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
