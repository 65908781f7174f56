#include "aneroid/cpu/convert.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/convert.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

void convert_to_float(const Half* src, float* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(load_half(d, src + i), d, dst + i);
  }
  if (i < n) store_part(load_part(d, src + i, n - i), d, dst + i, n - i);
}

void convert_to_half(const float* src, Half* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store_half(hn::LoadU(d, src + i), d, dst + i);
  }
  if (i < n) store_part(load_part(d, src + i, n - i), d, dst + i, n - i);
}

void round_floats(const float* src, float* dst, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  Half rounded[hn::MaxLanes(hn::ScalableTag<float>())];
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    store_half(hn::LoadU(d, src + i), d, rounded);
    hn::StoreU(load_half(d, rounded), d, dst + i);
  }
  if (i < n) {
    store_half(load_part(d, src + i, n - i), d, rounded);
    store_part(load_half(d, rounded), d, dst + i, n - i);
  }
}

// True when bits & magnitude_mask < infinity for all: looks at whole blocks,
// so that the loop has no branch and bad values still end it early.
template <typename Bits>
bool all_below(const Bits* src, size_t n, Bits magnitude_mask, Bits infinity) {
  constexpr size_t kBlock = 4096;
  const hn::ScalableTag<Bits> d;
  const size_t lanes = hn::Lanes(d);
  const auto mask = hn::Set(d, magnitude_mask);
  for (size_t begin = 0; begin < n; begin += kBlock) {
    const size_t end = std::min(n, begin + kBlock);
    auto largest = hn::Zero(d);
    size_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      largest = hn::Max(largest, hn::And(hn::LoadU(d, src + i), mask));
    }
    if (!hn::AllTrue(d, hn::Lt(largest, hn::Set(d, infinity)))) return false;
    for (; i < end; ++i) {
      if ((src[i] & magnitude_mask) >= infinity) return false;
    }
  }
  return true;
}

bool all_finite_float(const float* src, size_t n) {
  return all_below<int32_t>(reinterpret_cast<const int32_t*>(src), n,
                            0x7FFFFFFF, 0x7F800000);
}
bool all_finite_half(const Half* src, size_t n) {
  return all_below<int16_t>(reinterpret_cast<const int16_t*>(src), n, 0x7FFF,
                            0x7C00);
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(convert_to_float);
HWY_EXPORT(convert_to_half);
HWY_EXPORT(round_floats);
HWY_EXPORT(all_finite_float);
HWY_EXPORT(all_finite_half);
HWY_EXPORT(target_name);

void to_float(const Half* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(convert_to_float)(src, dst, n);
}
void to_half(const float* src, Half* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(convert_to_half)(src, dst, n);
}
void round_to_half(const float* src, float* dst, size_t n) {
  HWY_DYNAMIC_DISPATCH(round_floats)(src, dst, n);
}
bool all_finite(const float* src, size_t n) {
  return HWY_DYNAMIC_DISPATCH(all_finite_float)(src, n);
}
bool all_finite(const Half* src, size_t n) {
  return HWY_DYNAMIC_DISPATCH(all_finite_half)(src, n);
}
const char* simd_target() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
