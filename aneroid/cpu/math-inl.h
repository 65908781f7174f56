// Elementary functions on fp32 vectors, compiled once per target. Errors are
// relative, over all arguments with a normal result; vector_math_test.cpp
// measures them. NaN in, NaN out; overflow gives infinity, underflow rounds
// through the subnormals to zero.

#if defined(ANEROID_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEROID_CPU_MATH_INL_H_
#undef ANEROID_CPU_MATH_INL_H_
#else
#define ANEROID_CPU_MATH_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <limits>

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// c[0] + c[1] x + ... by Horner's rule.
template <class D, size_t kCount>
HWY_INLINE hn::Vec<D> polynomial(D d, hn::Vec<D> x, const float (&c)[kCount]) {
  auto sum = hn::Set(d, c[kCount - 1]);
  for (size_t i = kCount - 1; i > 0; --i) {
    sum = hn::MulAdd(sum, x, hn::Set(d, c[i - 1]));
  }
  return sum;
}

// ln 2 in two parts; the first has few bits, so that its small multiples are
// exact.
inline constexpr float kLn2High = 0.693359375F;
inline constexpr float kLn2Low = -2.12194440e-4F;

// x = n ln 2 + r with |r| <= ln 2 / 2.
template <class D>
struct ExpParts {
  hn::Vec<hn::RebindToSigned<D>> n;
  hn::Vec<D> minus_one;  // e^r - 1, to relative precision
};
template <class D>
HWY_INLINE ExpParts<D> exp_parts(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  const auto n = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504F)));
  auto r = hn::NegMulAdd(n, hn::Set(d, kLn2High), x);
  r = hn::NegMulAdd(n, hn::Set(d, kLn2Low), r);
  // The Taylor series; its first term left out is below 6e-9.
  static constexpr float kFactorials[] = {1.0F / 2,   1.0F / 6,   1.0F / 24,
                                          1.0F / 120, 1.0F / 720, 1.0F / 5040};
  const auto tail = polynomial(d, r, kFactorials);
  return {hn::ConvertTo(di, n), hn::MulAdd(hn::Mul(r, r), tail, r)};
}

// 2^n for n in [-126, 127].
template <class D>
HWY_INLINE hn::Vec<D> power_of_two(D d, hn::Vec<hn::RebindToSigned<D>> n) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(n, hn::Set(di, 127))));
}

template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const auto clamped =
      hn::Max(hn::Min(x, hn::Set(d, 89.0F)), hn::Set(d, -104.0F));
  const auto parts = exp_parts(d, clamped);
  // In two steps, as 2^n alone may not be a normal number.
  const auto half = hn::ShiftRight<1>(parts.n);
  auto y = hn::Add(hn::Set(d, 1.0F), parts.minus_one);
  y = hn::Mul(y, power_of_two(d, half));
  y = hn::Mul(y, power_of_two(d, hn::Sub(parts.n, half)));
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// e^x - 1 for x in [0, 40], precise near 0.
template <class D>
HWY_INLINE hn::Vec<D> exp_minus_one(D d, hn::Vec<D> x) {
  const auto parts = exp_parts(d, x);
  const auto scale = power_of_two(d, parts.n);
  return hn::MulAdd(scale, parts.minus_one, hn::Sub(scale, hn::Set(d, 1.0F)));
}

template <class D>
HWY_INLINE hn::Vec<D> log(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // Subnormals are scaled into the normal range first.
  const auto tiny = hn::Lt(x, hn::Set(d, 0x1p-126F));
  const auto scaled = hn::IfThenElse(tiny, hn::Mul(x, hn::Set(d, 0x1p25F)), x);
  // scaled = 2^n * m with m in [sqrt(1/2), sqrt(2)).
  constexpr int32_t kSqrtHalf = 0x3F3504F3;
  const auto bits = hn::BitCast(di, scaled);
  const auto n = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(di, kSqrtHalf)));
  const auto m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(n)));
  const auto exponent =
      hn::Sub(hn::ConvertTo(d, n), hn::IfThenElseZero(tiny, hn::Set(d, 25.0F)));
  // ln m = 2 artanh(s), s = (m - 1) / (m + 1), as a series in s^2 <= 0.03.
  static constexpr float kOdd[] = {2.0F / 3, 2.0F / 5, 2.0F / 7, 2.0F / 9,
                                   2.0F / 11};
  const auto f = hn::Sub(m, hn::Set(d, 1.0F));
  const auto s = hn::Div(f, hn::Add(m, hn::Set(d, 1.0F)));
  const auto z = hn::Mul(s, s);
  // 2 s = f - s f, which keeps the rounding of s out of the leading term.
  const auto tail = hn::Mul(z, polynomial(d, z, kOdd));
  auto y = hn::Sub(f, hn::Mul(s, hn::Sub(f, tail)));
  y = hn::MulAdd(exponent, hn::Set(d, kLn2Low), y);
  y = hn::MulAdd(exponent, hn::Set(d, kLn2High), y);

  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInfinity), y);
  y = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::NaN(d), y);
  const auto as_is = hn::Or(hn::IsNaN(x), hn::Eq(x, hn::Set(d, kInfinity)));
  return hn::IfThenElse(as_is, x, y);
}

template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  // e^-|x| cannot overflow, and keeps the small results precise.
  const auto one = hn::Set(d, 1.0F);
  const auto e = exp(d, hn::Neg(hn::Abs(x)));
  const auto top = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return hn::Div(top, hn::Add(one, e));
}

template <class D>
HWY_INLINE hn::Vec<D> tanh(D d, hn::Vec<D> x) {
  // (e^2a - 1) / (e^2a + 1); it rounds to 1 from 9.1 on.
  const auto a = hn::Min(hn::Abs(x), hn::Set(d, 10.0F));
  const auto e = exp_minus_one(d, hn::Add(a, a));
  const auto y = hn::Div(e, hn::Add(e, hn::Set(d, 2.0F)));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(y, x));
}

// For |x| < 1: x times a polynomial in x^2 fitted at Chebyshev points.
template <class D>
HWY_INLINE hn::Vec<D> erf_small(D d, hn::Vec<D> x) {
  static constexpr float kErf[] = {
      1.12837911F,    -0.376126260F,    0.112835944F,    -0.0268542115F,
      0.00518908724F, -0.000801686430F, 0.0000787587487F};
  return hn::Mul(x, polynomial(d, hn::Mul(x, x), kErf));
}

// 1 - erf(a) for a >= 1: e^-a^2 t p(t), t = 1 / (1 + a / 2), p fitted at
// Chebyshev points. a^2 does not fit 24 bits, and what is lost would show in
// the exponential: it comes as the sum of two floats.
template <class D>
HWY_INLINE hn::Vec<D> erfc_large(D d, hn::Vec<D> a, hn::Vec<D> square,
                                 hn::Vec<D> square_rest) {
  static constexpr float kErfc[] = {0.282097369F,  0.282060623F,  0.246788442F,
                                    0.179561689F,  0.0589888653F, 0.0854756385F,
                                    -0.228695616F, 0.0943097025F};
  const auto one = hn::Set(d, 1.0F);
  const auto t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.5F), one));
  const auto e = hn::Mul(exp(d, hn::Neg(square)), hn::Sub(one, square_rest));
  return hn::Mul(hn::Mul(e, t), polynomial(d, t, kErfc));
}

template <class D>
HWY_INLINE hn::Vec<D> erf(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0F);
  const auto a = hn::Min(hn::Abs(x), hn::Set(d, 10.5F));
  const auto square = hn::Mul(a, a);
  const auto erfc = erfc_large(d, a, square, hn::MulSub(a, a, square));
  const auto large = hn::CopySign(hn::Sub(one, erfc), x);
  const auto y = hn::IfThenElse(hn::Lt(a, one), erf_small(d, x), large);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// x Phi(x) = x / 2 (1 + erf(x / sqrt 2)); by erfc where that would cancel.
template <class D>
HWY_INLINE hn::Vec<D> gelu(D d, hn::Vec<D> x) {
  const auto one = hn::Set(d, 1.0F);
  const auto half = hn::Set(d, 0.5F);
  const auto root_half = hn::Set(d, 0.707106781F);
  const auto a = hn::Min(hn::Abs(x), hn::Set(d, 14.8F));
  const auto half_a = hn::Mul(a, half);
  const auto square = hn::Mul(half_a, a);
  const auto erfc = erfc_large(d, hn::Mul(a, root_half), square,
                               hn::MulSub(half_a, a, square));
  const auto large = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), erfc,
                                    hn::Sub(hn::Set(d, 2.0F), erfc));
  const auto small = hn::Add(one, erf_small(d, hn::Mul(x, root_half)));
  const auto twice = hn::IfThenElse(hn::Lt(a, hn::Set(d, 1.42F)), small, large);
  const auto y = hn::Mul(hn::Mul(x, half), twice);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#endif  // ANEROID_CPU_MATH_INL_H_
