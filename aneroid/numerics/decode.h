// What the engine makes of an fp16 pattern when it reads one, and what it
// writes: the two ends of every operation.
//
// Sources, here and in the rest of this folder: measurements on M6, in part
// repeated on M4; docs/arithmetic.md says which are facts and which inferences.
#pragma once

#include "aneroid/base/half.h"

namespace aneroid::numerics {

// Values of patterns that IEEE gives none.
inline constexpr float kInfinityValue = 65536.0F;  // 0x7C00 as a number
// A magnitude from here on becomes infinity when it is written.
inline constexpr double kOverflow = 65520.0;

// Exponent 31 is an exponent like the others: infinity reads as 65536, NaN as
// 65536 (1 + mantissa / 1024), the quiet bit set. -0 reads as +0. Rule N07.
float decode(Half value);

// Nearest fp16, half away from zero; from 65520 on infinity; never -0. The
// value must not be NaN. Rules N06, N08.
Half encode(double value);

// decode(encode(value)): what the next operation will see.
float written(double value);

}  // namespace aneroid::numerics
