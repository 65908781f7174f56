// Vectors of values as the engine sees them, compiled once per target.

#if defined(ANEROID_NUMERICS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEROID_NUMERICS_SIMD_INL_H_
#undef ANEROID_NUMERICS_SIMD_INL_H_
#else
#define ANEROID_NUMERICS_SIMD_INL_H_
#endif

#include "aneroid/cpu/simd-inl.h"
#include "aneroid/numerics/decode.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::numerics {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// decode() for values that were fp16: numbers for infinities and NaN, +0 for
// -0.
template <class D>
HWY_INLINE hn::Vec<D> decoded(D d, hn::Vec<D> value) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, value);
  const auto magnitude = hn::And(bits, hn::Set(du, 0x7FFFFFFFU));
  const auto mantissa = hn::And(bits, hn::Set(du, 0x7FFFFFU));
  const auto special = hn::Gt(magnitude, hn::Set(du, 0x7F7FFFFFU));
  const auto quiet = hn::IfThenElseZero(hn::Ne(mantissa, hn::Zero(du)),
                                        hn::Set(du, 0x400000U));
  constexpr uint32_t kExponent = (127U + 16U) << 23;
  const auto number =
      hn::Or(hn::Or(mantissa, quiet),
             hn::Or(hn::Set(du, kExponent), hn::Xor(bits, magnitude)));
  return hn::Add(hn::BitCast(d, hn::IfThenElse(special, number, bits)),
                 hn::Zero(d));
}

// written(): the nearest fp16 number, half away from zero, or the number that
// infinity stands for.
template <class D>
HWY_INLINE hn::Vec<D> written(D d, hn::Vec<D> value) {
  HWY_ALIGN Half halves[hn::MaxLanes(D())];
  cpu::HWY_NAMESPACE::store_half(value, d, halves);
  const auto limit = hn::Set(d, kInfinityValue);
  const auto rounded = cpu::HWY_NAMESPACE::load_half(d, halves);
  return hn::Add(hn::Max(hn::Min(rounded, limit), hn::Neg(limit)), hn::Zero(d));
}

// a + b, rounded to odd where fp32 cannot hold it: rounding that to fp16 is as
// good as rounding the exact sum.
template <class D>
HWY_INLINE hn::Vec<D> sum_to_odd(D d, hn::Vec<D> a, hn::Vec<D> b) {
  const hn::RebindToUnsigned<D> du;
  const auto sum = hn::Add(a, b);
  const auto part = hn::Sub(sum, a);
  const auto error = hn::Add(hn::Sub(a, hn::Sub(sum, part)), hn::Sub(b, part));
  const auto inexact = hn::RebindMask(du, hn::Ne(error, hn::Zero(d)));
  // Too large in magnitude where the signs differ: one step back.
  const auto sign =
      hn::ShiftRight<31>(hn::Xor(hn::BitCast(du, sum), hn::BitCast(du, error)));
  const auto cut = hn::Or(hn::Sub(hn::BitCast(du, sum), sign), hn::Set(du, 1U));
  return hn::BitCast(d, hn::IfThenElse(inexact, cut, hn::BitCast(du, sum)));
}

}  // namespace HWY_NAMESPACE
}  // namespace aneroid::numerics
HWY_AFTER_NAMESPACE();

#endif  // ANEROID_NUMERICS_SIMD_INL_H_
