#include "aneroid/numerics/elementwise.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/numerics/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cmath>

#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::numerics {
namespace HWY_NAMESPACE {
namespace {

using Floats = hn::ScalableTag<float>;
constexpr size_t kLanes = hn::MaxLanes(Floats());

template <BinaryOp kOp>
HWY_INLINE hn::Vec<Floats> combine(Floats d, hn::Vec<Floats> a,
                                   hn::Vec<Floats> b) {
  if constexpr (kOp == BinaryOp::kAdd) return written(d, sum_to_odd(d, a, b));
  if constexpr (kOp == BinaryOp::kSub) {
    return written(d, sum_to_odd(d, a, hn::Neg(b)));
  }
  // 22 significant bits: exact.
  if constexpr (kOp == BinaryOp::kMul) return written(d, hn::Mul(a, b));
  if constexpr (kOp == BinaryOp::kMax) return written(d, hn::Max(a, b));
  return written(d, hn::Min(a, b));
}

template <BinaryOp kOp>
void apply_loop(cpu::Operand a, cpu::Operand b, float* dst, size_t n) {
  const Floats d;
  // A single value may lie where the first result goes.
  const float a_one = *a.data;
  const float b_one = *b.data;
  const auto load = [d](cpu::Operand operand, float one, size_t i) HWY_ATTR {
    return operand.one ? hn::Set(d, one) : hn::LoadU(d, operand.data + i);
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(combine<kOp>(d, load(a, a_one, i), load(b, b_one, i)), d,
               dst + i);
  }
  for (; i < n; ++i) {
    dst[i] = numerics::apply(kOp, a.one ? a_one : a.data[i],
                             b.one ? b_one : b.data[i]);
  }
}

void target_apply(BinaryOp op, cpu::Operand a, cpu::Operand b, float* dst,
                  size_t n) {
  if (n == 0) return;
  switch (op) {
    case BinaryOp::kAdd:
      return apply_loop<BinaryOp::kAdd>(a, b, dst, n);
    case BinaryOp::kSub:
      return apply_loop<BinaryOp::kSub>(a, b, dst, n);
    case BinaryOp::kMul:
      return apply_loop<BinaryOp::kMul>(a, b, dst, n);
    case BinaryOp::kMax:
      return apply_loop<BinaryOp::kMax>(a, b, dst, n);
    case BinaryOp::kMin:
      return apply_loop<BinaryOp::kMin>(a, b, dst, n);
  }
}

void target_decode(const Half* src, float* dst, size_t n) {
  const Floats d;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(decoded(d, cpu::HWY_NAMESPACE::load_half(d, src + i)), d,
               dst + i);
  }
  for (; i < n; ++i) dst[i] = numerics::decode(src[i]);
}

void target_encode(const float* src, Half* dst, size_t n) {
  const Floats d;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    cpu::HWY_NAMESPACE::store_half(hn::LoadU(d, src + i), d, dst + i);
  }
  for (; i < n; ++i) dst[i] = numerics::encode(static_cast<double>(src[i]));
}

void target_round(const float* src, float* dst, size_t n) {
  const Floats d;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(written(d, hn::LoadU(d, src + i)), d, dst + i);
  }
  for (; i < n; ++i) dst[i] = numerics::written(static_cast<double>(src[i]));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::numerics
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::numerics {

HWY_EXPORT(target_apply);
HWY_EXPORT(target_decode);
HWY_EXPORT(target_encode);
HWY_EXPORT(target_round);

float apply(BinaryOp op, float a, float b) {
  const auto x = static_cast<double>(a);
  const auto y = static_cast<double>(b);
  switch (op) {  // all exact in fp64
    case BinaryOp::kAdd:
      return written(x + y);
    case BinaryOp::kSub:
      return written(x - y);
    case BinaryOp::kMul:
      return written(x * y);
    case BinaryOp::kMax:
      return written(x > y ? x : y);
    case BinaryOp::kMin:
      return written(x < y ? x : y);
  }
  return 0.0F;
}

void apply(BinaryOp op, cpu::Operand a, cpu::Operand b, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(target_apply)(op, a, b, dst, n);
}
void decode(const Half* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(target_decode)(src, dst, n);
}
void encode(const float* src, Half* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(target_encode)(src, dst, n);
}
void round_to_written(const float* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(target_round)(src, dst, n);
}

void apply(const std::array<Half, 65536>& values, const float* a, float* dst,
           size_t n) {
  constexpr size_t kPiece = 256;
  Half piece[kPiece];
  for (size_t i = 0; i < n; i += kPiece) {
    const size_t count = std::min(kPiece, n - i);
    encode(a + i, piece, count);
    for (size_t j = 0; j < count; ++j) {
      uint16_t bits = piece[j].bits;
      if ((bits & 0x7FFF) == 0x7C00) {
        // A number that is read but never written: the pattern it came from.
        const float excess = std::abs(a[i + j]) / kInfinityValue - 1.0F;
        bits = static_cast<uint16_t>(bits + static_cast<int>(1024 * excess));
      }
      piece[j] = values[bits];
    }
    decode(piece, dst + i, count);
  }
}

float narrow_sum(const float* values, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; ++i) sum = apply(BinaryOp::kAdd, sum, values[i]);
  return sum;
}
void narrow_add(const float* values, float* sums, size_t n) {
  apply(BinaryOp::kAdd, {sums, false}, {values, false}, sums, n);
}

}  // namespace aneroid::numerics
#endif  // HWY_ONCE
