// Reading matrices of either storage, compiled once per target.

#if defined(ANEROID_CPU_MATRIX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ANEROID_CPU_MATRIX_INL_H_
#undef ANEROID_CPU_MATRIX_INL_H_
#else
#define ANEROID_CPU_MATRIX_INL_H_
#endif

#include <cstdint>

#include <hwy/highway.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {

// Calls f with `matrix`'s data as Half* or float*, `offset` elements in.
template <typename F>
void with_storage(const ConstMatrix& matrix, int64_t offset, const F& f) {
  if (matrix.storage == Storage::kHalf) {
    f(static_cast<const Half*>(matrix.data) + offset);
  } else {
    f(static_cast<const float*>(matrix.data) + offset);
  }
}

// Asks for `count` elements.
template <typename S>
HWY_INLINE void prefetch(const S* src, int64_t count) {
  constexpr auto kPerLine = static_cast<int64_t>(64 / sizeof(S));
  for (int64_t i = 0; i < count; i += kPerLine) {
    __builtin_prefetch(src + i);
    // gcc takes functions that only prefetch for pure and drops their calls.
    asm volatile("");
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#endif  // ANEROID_CPU_MATRIX_INL_H_
