// Loads and stores shared by the vector code, compiled once per target.

#if defined(ANEROID_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEROID_CPU_SIMD_INL_H_
#undef ANEROID_CPU_SIMD_INL_H_
#else
#define ANEROID_CPU_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include <hwy/highway.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/half_bits.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
// Highway's emulated conversions round differently and lose infinities.
template <class D>
HWY_INLINE hn::Vec<D> load_half(D d, const Half* src) {
  HWY_ALIGN float values[hn::MaxLanes(D())];
  for (size_t i = 0; i < hn::Lanes(d); ++i) values[i] = to_float(src[i]);
  return hn::Load(d, values);
}
template <class D>
HWY_INLINE void store_half(hn::Vec<D> v, D d, Half* dst) {
  HWY_ALIGN float values[hn::MaxLanes(D())];
  hn::Store(v, d, values);
  for (size_t i = 0; i < hn::Lanes(d); ++i) dst[i] = round_half_away(values[i]);
}
// What storing as fp16 and loading again gives.
template <class D>
HWY_INLINE hn::Vec<D> round_half(hn::Vec<D> v, D d) {
  Half rounded[hn::MaxLanes(D())];
  store_half(v, d, rounded);
  return load_half(d, rounded);
}
#else
template <class D>
HWY_INLINE hn::Vec<D> load_half(D d, const Half* src) {
  const hn::Rebind<hwy::float16_t, D> dh;
  return hn::PromoteTo(
      d, hn::LoadU(dh, reinterpret_cast<const hwy::float16_t*>(src)));
}
// The instruction rounds ties to even. A tie has zeros in its low bits, so
// setting the lowest bit first moves ties, and only ties, past the middle.
// Infinities must not become NaN that way.
template <class D>
HWY_INLINE hn::Vec<hn::Rebind<hwy::float16_t, D> > to_half_lanes(hn::Vec<D> v,
                                                                 D d) {
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<hwy::float16_t, D> dh;
  const auto magnitude = hn::BitCast(di, hn::Abs(v));
  const auto finite =
      hn::RebindMask(du, hn::Lt(magnitude, hn::Set(di, int32_t{0x7F800000})));
  const auto low_bit = hn::IfThenElseZero(finite, hn::Set(du, 1U));
  const auto moved = hn::BitCast(d, hn::Or(hn::BitCast(du, v), low_bit));
  return hn::DemoteTo(dh, moved);
}
template <class D>
HWY_INLINE void store_half(hn::Vec<D> v, D d, Half* dst) {
  const hn::Rebind<hwy::float16_t, D> dh;
  hn::StoreU(to_half_lanes(v, d), dh, reinterpret_cast<hwy::float16_t*>(dst));
}
template <class D>
HWY_INLINE hn::Vec<D> round_half(hn::Vec<D> v, D d) {
  return hn::PromoteTo(d, to_half_lanes(v, d));
}
#endif

// One vector from fp32 or fp16 memory.
template <class D>
HWY_INLINE hn::Vec<D> load_float(D d, const float* src) {
  return hn::LoadU(d, src);
}
template <class D>
HWY_INLINE hn::Vec<D> load_float(D d, const Half* src) {
  return load_half(d, src);
}
template <class D>
HWY_INLINE void store_float(hn::Vec<D> v, D d, float* dst) {
  hn::StoreU(v, d, dst);
}
template <class D>
HWY_INLINE void store_float(hn::Vec<D> v, D d, Half* dst) {
  store_half(v, d, dst);
}

// The last `count` < Lanes(d) elements; the other lanes are `fill`.
template <class D, typename S>
HWY_INLINE hn::Vec<D> load_part(D d, const S* src, size_t count, S fill = {}) {
  HWY_ALIGN S values[hn::MaxLanes(D())];
  for (size_t i = 0; i < hn::MaxLanes(D()); ++i) {
    values[i] = i < count ? src[i] : fill;
  }
  return load_float(d, values);
}
template <class D, typename S>
HWY_INLINE void store_part(hn::Vec<D> v, D d, S* dst, size_t count) {
  HWY_ALIGN S values[hn::MaxLanes(D())];
  store_float(v, d, values);
  for (size_t i = 0; i < count; ++i) dst[i] = values[i];
}

}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#endif  // ANEROID_CPU_SIMD_INL_H_
