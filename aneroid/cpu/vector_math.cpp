#include "aneroid/cpu/vector_math.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/vector_math.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cmath>
#include <limits>

#include "aneroid/cpu/half_bits.h"
#include "aneroid/cpu/math-inl.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

using Tag = hn::ScalableTag<float>;
using Vec = hn::Vec<Tag>;

// What an operation leaves: its fp32 result, or that as fp16 would keep it.
#if HWY_TARGET == HWY_SCALAR
// The halves of one lane: itself, and nothing.
HWY_INLINE Vec lower_half(Tag, Vec v) { return v; }
HWY_INLINE Vec upper_half(Tag d, Vec) { return hn::Zero(d); }
#else
HWY_INLINE auto lower_half(Tag d, Vec v) {
  return hn::LowerHalf(hn::Half<decltype(d)>(), v);
}
HWY_INLINE auto upper_half(Tag d, Vec v) {
  return hn::UpperHalf(hn::Half<decltype(d)>(), v);
}
#endif

template <bool kRound>
HWY_INLINE Vec finish(Vec value) {
  if constexpr (kRound) return round_half(value, Tag());
  return value;
}

template <bool kRound, typename F>
HWY_INLINE void loop(const float* a, float* dst, size_t n, const F& f) {
  const Tag d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(finish<kRound>(f(hn::LoadU(d, a + i))), d, dst + i);
  }
  if (i < n) {
    store_part(finish<kRound>(f(load_part(d, a + i, n - i))), d, dst + i,
               n - i);
  }
}

template <bool kRound>
void unary(UnaryOp op, const float* a, float* dst, size_t n) {
  const Tag d;
  switch (op) {
    case UnaryOp::kCopy:
      return loop<kRound>(a, dst, n, [](Vec x) HWY_ATTR { return x; });
    case UnaryOp::kSqrt:
      return loop<kRound>(a, dst, n,
                          [](Vec x) HWY_ATTR { return hn::Sqrt(x); });
    case UnaryOp::kRsqrt:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR {
        return hn::Div(hn::Set(d, 1.0F), hn::Sqrt(x));
      });
    case UnaryOp::kExp:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR { return exp(d, x); });
    case UnaryOp::kLog:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR { return log(d, x); });
    case UnaryOp::kAbs:
      return loop<kRound>(a, dst, n, [](Vec x) HWY_ATTR { return hn::Abs(x); });
    case UnaryOp::kSquare:
      return loop<kRound>(a, dst, n,
                          [](Vec x) HWY_ATTR { return hn::Mul(x, x); });
    case UnaryOp::kSigmoid:
      return loop<kRound>(a, dst, n,
                          [d](Vec x) HWY_ATTR { return sigmoid(d, x); });
    case UnaryOp::kSilu:
      return loop<kRound>(
          a, dst, n, [d](Vec x) HWY_ATTR { return hn::Mul(x, sigmoid(d, x)); });
    case UnaryOp::kTanh:
      return loop<kRound>(a, dst, n,
                          [d](Vec x) HWY_ATTR { return tanh(d, x); });
    case UnaryOp::kRelu:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR {
        return hn::IfThenElse(hn::IsNaN(x), x, hn::Max(x, hn::Zero(d)));
      });
    case UnaryOp::kGelu:
      return loop<kRound>(a, dst, n,
                          [d](Vec x) HWY_ATTR { return gelu(d, x); });
    case UnaryOp::kErf:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR { return erf(d, x); });
    case UnaryOp::kNeg:
      return loop<kRound>(a, dst, n, [](Vec x) HWY_ATTR { return hn::Neg(x); });
    case UnaryOp::kReciprocal:
      return loop<kRound>(a, dst, n, [d](Vec x) HWY_ATTR {
        return hn::Div(hn::Set(d, 1.0F), x);
      });
  }
}

template <bool kRound, typename F>
HWY_INLINE void loop(Operand a, Operand b, float* dst, size_t n, const F& f) {
  const Tag d;
  if (b.one) {
    const auto value = hn::Set(d, *b.data);
    if (a.one) {
      const Vec result = finish<kRound>(f(hn::Set(d, *a.data), value));
      std::fill_n(dst, n, hn::GetLane(result));
      return;
    }
    return loop<kRound>(a.data, dst, n,
                        [&](Vec x) HWY_ATTR { return f(x, value); });
  }
  if (a.one) {
    const auto value = hn::Set(d, *a.data);
    return loop<kRound>(b.data, dst, n,
                        [&](Vec x) HWY_ATTR { return f(value, x); });
  }
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(
        finish<kRound>(f(hn::LoadU(d, a.data + i), hn::LoadU(d, b.data + i))),
        d, dst + i);
  }
  if (i < n) {
    store_part(finish<kRound>(f(load_part(d, a.data + i, n - i),
                                load_part(d, b.data + i, n - i))),
               d, dst + i, n - i);
  }
}

// std::pow takes -inf and -0 as their magnitudes here; sqrt does not.
HWY_INLINE Vec square_root(Tag d, Vec x) {
  const auto infinity = hn::Inf(d);
  const auto root = hn::Sqrt(hn::Add(x, hn::Zero(d)));
  return hn::IfThenElse(hn::Eq(x, hn::Neg(infinity)), infinity, root);
}

template <bool kRound>
void power(Operand a, Operand b, float* dst, size_t n) {
  const Tag d;
  const float exponent = *b.data;
  if (b.one && !a.one) {
    if (exponent == -0.5F) {
      return loop<kRound>(a.data, dst, n, [d](Vec x) HWY_ATTR {
        return hn::Div(hn::Set(d, 1.0F), square_root(d, x));
      });
    }
    if (exponent == 0.5F) {
      return loop<kRound>(a.data, dst, n,
                          [d](Vec x) HWY_ATTR { return square_root(d, x); });
    }
    if (exponent == 1.0F) return unary<kRound>(UnaryOp::kCopy, a.data, dst, n);
    if (exponent == 2.0F)
      return unary<kRound>(UnaryOp::kSquare, a.data, dst, n);
    if (exponent == -1.0F)
      return unary<kRound>(UnaryOp::kReciprocal, a.data, dst, n);
  }
  const float base = *a.data;
  for (size_t i = 0; i < n; ++i) {
    const float value =
        std::pow(a.one ? base : a.data[i], b.one ? exponent : b.data[i]);
    dst[i] = kRound ? to_float(round_half_away(value)) : value;
  }
}

// Max and Min of the instruction sets treat NaN differently.
HWY_INLINE Vec with_nan(Vec x, Vec y, Vec chosen) {
  return hn::IfThenElse(hn::IsNaN(x), x,
                        hn::IfThenElse(hn::IsNaN(y), y, chosen));
}

template <bool kRound>
void binary(BinaryOp op, Operand a, Operand b, float* dst, size_t n) {
  switch (op) {
    case BinaryOp::kAdd:
      return loop<kRound>(a, b, dst, n,
                          [](Vec x, Vec y) HWY_ATTR { return hn::Add(x, y); });
    case BinaryOp::kSub:
      return loop<kRound>(a, b, dst, n,
                          [](Vec x, Vec y) HWY_ATTR { return hn::Sub(x, y); });
    case BinaryOp::kMul:
      return loop<kRound>(a, b, dst, n,
                          [](Vec x, Vec y) HWY_ATTR { return hn::Mul(x, y); });
    case BinaryOp::kDiv:
      return loop<kRound>(a, b, dst, n,
                          [](Vec x, Vec y) HWY_ATTR { return hn::Div(x, y); });
    case BinaryOp::kMax:
      return loop<kRound>(a, b, dst, n, [](Vec x, Vec y) HWY_ATTR {
        return with_nan(x, y, hn::Max(x, y));
      });
    case BinaryOp::kMin:
      return loop<kRound>(a, b, dst, n, [](Vec x, Vec y) HWY_ATTR {
        return with_nan(x, y, hn::Min(x, y));
      });
    case BinaryOp::kPow:
      return power<kRound>(a, b, dst, n);
  }
}

double sum_of(const float* a, size_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    even = hn::Add(even, hn::PromoteTo(d, hn::LoadU(df, a + i)));
    odd = hn::Add(odd, hn::PromoteTo(d, hn::LoadU(df, a + i + lanes)));
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < n; ++i) sum += static_cast<double>(a[i]);
  return sum;
}

float max_of(const float* a, size_t n) {
  const Tag d;
  const size_t lanes = hn::Lanes(d);
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  auto top = hn::Set(d, kLowest);
  for (size_t i = 0; i < n; i += lanes) {
    const auto x = i + lanes <= n ? hn::LoadU(d, a + i)
                                  : load_part(d, a + i, n - i, kLowest);
    top = with_nan(top, x, hn::Max(top, x));
  }
  if (!hn::AllFalse(d, hn::IsNaN(top))) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return hn::GetLane(hn::MaxOfLanes(d, top));
}

template <bool kRound>
void softmax(const float* a, float* dst, size_t n) {
  const Tag d;
  const hn::ScalableTag<double> dd;
  const size_t lanes = hn::Lanes(d);
  const auto top = hn::Set(d, max_of(a, n));
  auto even = hn::Zero(dd);
  auto odd = hn::Zero(dd);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Vec value = exp(d, hn::Sub(hn::LoadU(d, a + i), top));
    hn::StoreU(value, d, dst + i);
    even = hn::Add(even, hn::PromoteTo(dd, lower_half(d, value)));
    odd = hn::Add(odd, hn::PromoteTo(dd, upper_half(d, value)));
  }
  double sum = hn::GetLane(hn::SumOfLanes(dd, hn::Add(even, odd)));
  if (i < n) {
    store_part(exp(d, hn::Sub(load_part(d, a + i, n - i), top)), d, dst + i,
               n - i);
    for (; i < n; ++i) sum += double{dst[i]};
  }
  const auto scale = hn::Set(d, static_cast<float>(1.0 / sum));
  loop<kRound>(dst, dst, n,
               [scale](Vec x) HWY_ATTR { return hn::Mul(x, scale); });
}

// Foreign calls name functions, not templates.
void unary_of(UnaryOp op, const float* a, float* dst, size_t n, bool round) {
  round ? unary<true>(op, a, dst, n) : unary<false>(op, a, dst, n);
}
void binary_of(BinaryOp op, Operand a, Operand b, float* dst, size_t n,
               bool round) {
  round ? binary<true>(op, a, b, dst, n) : binary<false>(op, a, b, dst, n);
}
void softmax_of(const float* a, float* dst, size_t n, bool round) {
  round ? softmax<true>(a, dst, n) : softmax<false>(a, dst, n);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(unary_of);
HWY_EXPORT(binary_of);
HWY_EXPORT(sum_of);
HWY_EXPORT(max_of);
HWY_EXPORT(softmax_of);

void apply(UnaryOp op, const float* a, float* dst, size_t n, bool round) {
  HWY_DYNAMIC_DISPATCH(unary_of)(op, a, dst, n, round);
}
void apply(BinaryOp op, Operand a, Operand b, float* dst, size_t n,
           bool round) {
  if (n > 0) HWY_DYNAMIC_DISPATCH(binary_of)(op, a, b, dst, n, round);
}
double row_sum(const float* a, size_t n) {
  return HWY_DYNAMIC_DISPATCH(sum_of)(a, n);
}
float row_max(const float* a, size_t n) {
  return HWY_DYNAMIC_DISPATCH(max_of)(a, n);
}
void row_softmax(const float* a, float* dst, size_t n, bool round) {
  HWY_DYNAMIC_DISPATCH(softmax_of)(a, dst, n, round);
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
