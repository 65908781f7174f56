// Arrays between fp16 and fp32, with the engine's rounding: vector code chosen
// for the CPU at run time, equal to base/half.h bit for bit (NaN stays NaN).
#pragma once

#include <cstddef>

#include "aneroid/base/half.h"

namespace aneroid::cpu {

void to_float(const Half* src, float* dst, size_t n);
// Half away from zero (to_half_away).
void to_half(const float* src, Half* dst, size_t n);
// dst[j * dst_stride + i] = half of src[i * src_stride + j] for i < rows,
// j < columns.
void to_half_transposed(const float* src, size_t src_stride, Half* dst,
                        size_t dst_stride, size_t rows, size_t columns);
// dst[i] = to_float(to_half(src[i])); src may equal dst.
void round_to_half(const float* src, float* dst, size_t n);

// True when every value is finite.
bool all_finite(const float* src, size_t n);
bool all_finite(const Half* src, size_t n);

// Which vector instructions the library chose: "AVX3", "AVX2", "NEON", ...
const char* simd_target();

}  // namespace aneroid::cpu
