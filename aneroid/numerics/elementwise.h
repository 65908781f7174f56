// The element-wise unit and the reductions of the engine.
//
// Values here are what the unit works on: fp32 numbers that fp16 can hold, or
// the numbers that infinities and NaN stand for (decode.h); never -0, an
// infinity or a NaN. Every result is such a number again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "aneroid/base/half.h"
#include "aneroid/cpu/vector_math.h"

namespace aneroid::numerics {

enum class BinaryOp : uint8_t { kAdd, kSub, kMul, kMax, kMin };

// The exact result, rounded to fp16 half away from zero; infinity from 65520
// on, which reads as 65536. Subnormal numbers are kept. Rule N08.
float apply(BinaryOp op, float a, float b);

// dst[i] = a[i] op b[i]; dst may be an operand. Vector code, bit for bit the
// function above.
void apply(BinaryOp op, cpu::Operand a, cpu::Operand b, float* dst, size_t n);

// fp16 memory to values and back. Vector code, bit for bit decode() and
// encode().
void decode(const Half* src, float* dst, size_t n);
void encode(const float* src, Half* dst, size_t n);
// dst[i] = written(src[i]) for fp32 values that need not be fp16 yet.
void round_to_written(const float* src, float* dst, size_t n);

// dst[i] = values[a[i]]: a function known for every fp16 pattern; dst may be
// a.
void apply(const std::array<Half, 65536>& values, const float* a, float* dst,
           size_t n);

// A sum in fp16: each step rounds, so integers are exact up to 2048 only.
// Rule N10; that the order is the one of memory is an assumption.
float narrow_sum(const float* values, size_t n);
// sums[i] = sums[i] + values[i] in fp16: narrow sums side by side.
void narrow_add(const float* values, float* sums, size_t n);

}  // namespace aneroid::numerics
