// The activation functions of the engine: tables of at most 33 knots, joined
// by straight lines in fp16 arithmetic.
//
// Between two knots the function is
//
//   y = fp16(T[k] + fp16(fp16(T[k'] - T[k]) fp16(f)))
//
// rounded half away from zero, where k is the knot nearer to 0, k' the other
// and f how far from k to k' the argument is. Some functions reduce the
// argument first. What is known about each, and how well: docs/arithmetic.md.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "aneroid/base/half.h"

namespace aneroid::numerics {

enum class Function : uint8_t {
  kSigmoid,
  kTanh,
  kErf,
  kGelu,  // MIL's EXACT and TANH_APPROXIMATION: one table
  kSilu,  // a table of its own, not x sigmoid(x)
  kExp,
  kExp2,
  kLog,
  kSqrt,
  kRsqrt,
  kInverse,     // MIL's inverse: 1 / (x + 1e-4)
  kReciprocal,  // the same table without the epsilon
  kSin,
  kCos,
};
inline constexpr int kFunctions = 14;

// How much of a function's definition is in the sources.
enum class Evidence : uint8_t {
  kReproduced,  // all published statistics of the function come out equal
  kInferred,    // built from such a function's table; no measurement of its own
  kFitted,      // most knots are not published; chosen to fit what is
};

struct FunctionInfo {
  Function function;
  std::string_view name;  // as in MIL
  Evidence evidence;
};
const FunctionInfo& info(Function function);
std::optional<Function> function_from_name(std::string_view name);

// The definition. Reads x as decode() does; never returns -0. Negative
// arguments of log, sqrt and rsqrt were not measured: they give the pattern
// 0x7E00 here, log(0) minus infinity, rsqrt(0) and reciprocal(0) infinity.
Half activate(Function function, Half x);

// 1 / x, without epsilon, of a sum still in the accumulator: softmax and
// division. The table is read after rounding to fp16, as kInverse's must be.
Half reciprocal(double x);

// activate() of every pattern; the index is x.bits. Made at the first call,
// thread-safe.
const std::array<Half, 65536>& map(Function function);

}  // namespace aneroid::numerics
