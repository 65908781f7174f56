#include "aneroid/cpu/optimizer.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/optimizer.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "aneroid/base/random.h"

#ifndef ANEROID_CPU_OPTIMIZER_NOISE_
#define ANEROID_CPU_OPTIMIZER_NOISE_
namespace aneroid::cpu {

// The noise is a hash of the lower half of a value's place, with a key made of
// everything else. The factors and shifts are those of Chris Wellons'
// "lowbias32".
struct NoiseKey {
  uint32_t before;
  uint32_t between;
};
inline constexpr uint32_t kNoiseFactor1 = 0x7FEB352DU;
inline constexpr uint32_t kNoiseFactor2 = 0x846CA68BU;

}  // namespace aneroid::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Moments in memory, a vector at a time.
struct FloatMoments {
  template <class D>
  hn::Vec<D> load(D d, const float* from) const {
    return hn::LoadU(d, from);
  }
  template <class D>
  void store(D d, hn::Vec<D> mv, hn::Vec<D> vv, float* m, float* v,
             size_t /*at*/) const {
    hn::StoreU(mv, d, m);
    hn::StoreU(vv, d, v);
  }
};

// round_to_bfloat() with moment_noise(), for values whose place differs in its
// lower 32 bits alone.
struct BfloatMoments {
  NoiseKey key;
  uint32_t first;

  template <class D>
  hn::Vec<D> load(D d, const Bfloat* from) const {
    const hn::RebindToUnsigned<D> du;
    const hn::Rebind<uint16_t, D> dh;
    return hn::BitCast(
        d, hn::ShiftLeft<16>(hn::PromoteTo(
               du, hn::LoadU(dh, reinterpret_cast<const uint16_t*>(from)))));
  }
  template <class D>
  void store(D /*d*/, hn::Vec<D> mv, hn::Vec<D> vv, Bfloat* m, Bfloat* v,
             size_t at) const {
    const hn::RebindToUnsigned<D> du;
    auto x = hn::Add(hn::Iota(du, 0),
                     hn::Set(du, first + static_cast<uint32_t>(at)));
    x = hn::Xor(x, hn::Set(du, key.before));
    x = hn::Xor(x, hn::ShiftRight<16>(x));
    x = hn::Mul(x, hn::Set(du, kNoiseFactor1));
    x = hn::Xor(x, hn::ShiftRight<15>(x));
    x = hn::Add(x, hn::Set(du, key.between));
    x = hn::Mul(x, hn::Set(du, kNoiseFactor2));
    x = hn::Xor(x, hn::ShiftRight<16>(x));
    store_rounded(du, hn::BitCast(du, mv), hn::And(x, hn::Set(du, 0xFFFFU)), m);
    store_rounded(du, hn::BitCast(du, vv), hn::ShiftRight<16>(x), v);
  }

 private:
  template <class DU>
  static void store_rounded(DU du, hn::Vec<DU> bits, hn::Vec<DU> noise,
                            Bfloat* to) {
    const hn::RebindToSigned<DU> di;
    const hn::Rebind<uint16_t, DU> dh;
    const auto sign = hn::Set(du, 0x80000000U);
    const auto magnitude = hn::Min(hn::Add(hn::AndNot(sign, bits), noise),
                                   hn::Set(du, 0x7F7FFFFFU));
    const auto upper =
        hn::ShiftRight<16>(hn::Or(hn::And(sign, bits), magnitude));
    hn::StoreU(hn::DemoteTo(dh, hn::BitCast(di, upper)), dh,
               reinterpret_cast<uint16_t*>(to));
  }
};

template <typename Moment, class Moments>
void adamw_runs(float* w, Moment* m, Moment* v, const float* g, size_t n,
                const AdamW& o, const Moments& moments) {
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
  // One vector, the one at `at`.
  const auto update = [&](float* wp, Moment* mp, Moment* vp, const float* gp,
                          size_t at) {
    const auto gv = hn::Mul(hn::LoadU(d, gp), grad_scale);
    const auto mv = hn::MulAdd(beta1, moments.load(d, mp), hn::Mul(rest1, gv));
    const auto vv =
        hn::MulAdd(beta2, moments.load(d, vp), hn::Mul(rest2, hn::Mul(gv, gv)));
    const auto root = hn::Add(hn::Sqrt(hn::Mul(vv, inverse2)), eps);
    const auto wv = hn::LoadU(d, wp);
    const auto step =
        hn::MulAdd(decay, wv, hn::Div(hn::Mul(mv, inverse1), root));
    hn::StoreU(hn::MulAdd(minus_lr, step, wv), d, wp);
    moments.store(d, mv, vv, mp, vp, at);
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) update(w + i, m + i, v + i, g + i, i);
  if (i < n) {
    const size_t rest = n - i;
    constexpr size_t kMost = hn::MaxLanes(hn::ScalableTag<float>());
    HWY_ALIGN float wp[kMost] = {};
    HWY_ALIGN Moment mp[kMost] = {};
    HWY_ALIGN Moment vp[kMost] = {};
    HWY_ALIGN float gp[kMost] = {};
    std::copy_n(w + i, rest, wp);
    std::copy_n(m + i, rest, mp);
    std::copy_n(v + i, rest, vp);
    std::copy_n(g + i, rest, gp);
    update(wp, mp, vp, gp, i);
    std::copy_n(wp, rest, w + i);
    std::copy_n(mp, rest, m + i);
    std::copy_n(vp, rest, v + i);
  }
}

void adamw(float* w, float* m, float* v, const float* g, size_t n,
           const AdamW& o) {
  adamw_runs(w, m, v, g, n, o, FloatMoments{});
}

void adamw_bfloat(float* w, Bfloat* m, Bfloat* v, const float* g, size_t n,
                  const AdamW& o, const NoiseKey& key, uint32_t first) {
  adamw_runs(w, m, v, g, n, o, BfloatMoments{key, first});
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
namespace {

NoiseKey noise_key(uint64_t update, const RunPlace& place) {
  const uint64_t key = mix_bits(mix_bits(mix_bits(update + 1) + place.tensor) +
                                (place.first >> 32));
  return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

}  // namespace

HWY_EXPORT(adamw);
HWY_EXPORT(adamw_bfloat);
HWY_EXPORT(squares);

void adamw_update(float* w, float* m, float* v, const float* g, size_t n,
                  const AdamW& options) {
  HWY_DYNAMIC_DISPATCH(adamw)(w, m, v, g, n, options);
}

void adamw_update(float* w, Bfloat* m, Bfloat* v, const float* g, size_t n,
                  const AdamW& options, const RunPlace& place) {
  // A key is for 2^32 places.
  constexpr uint64_t kPlaces = uint64_t{1} << 32;
  RunPlace part = place;
  while (n > 0) {
    const size_t size = std::min<uint64_t>(n, kPlaces - part.first % kPlaces);
    HWY_DYNAMIC_DISPATCH(adamw_bfloat)
    (w, m, v, g, size, options, noise_key(options.update, part),
     static_cast<uint32_t>(part.first));
    w += size;
    m += size;
    v += size;
    g += size;
    n -= size;
    part.first += size;
  }
}

MomentNoise moment_noise(uint64_t update, const RunPlace& place) {
  const NoiseKey key = noise_key(update, place);
  uint32_t x = static_cast<uint32_t>(place.first) ^ key.before;
  x = (x ^ (x >> 16)) * kNoiseFactor1;
  x = ((x ^ (x >> 15)) + key.between) * kNoiseFactor2;
  x ^= x >> 16;
  return {static_cast<uint16_t>(x), static_cast<uint16_t>(x >> 16)};
}

double sum_of_squares(const float* values, size_t n) {
  return HWY_DYNAMIC_DISPATCH(squares)(values, n);
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
