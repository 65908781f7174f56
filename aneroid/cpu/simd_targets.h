// Which instruction sets the vector code is compiled for. Include first in
// every .cpp that uses <hwy/foreach_target.h>; this is the only place that
// decides.
//
// Compiled: the baseline of the platform, AVX2 and AVX3 (AVX-512) on x86-64,
// NEON on Arm. The others cost build time and would never win here: SSSE3 and
// SSE4 have no fused multiply-add, and the SVE types cannot be held in the
// arrays of registers that the matrix kernels are made of.
#pragma once

#include <hwy/detect_compiler_arch.h>

#define HWY_DISABLED_TARGETS                                               \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | \
   HWY_SVE2_128)
