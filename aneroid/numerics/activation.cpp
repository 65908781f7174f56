#include "aneroid/numerics/activation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <numbers>

#include "aneroid/numerics/activation_tables.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

constexpr Half kNotANumber{0x7E00};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

constexpr FunctionInfo kInfos[kFunctions] = {
    {Function::kSigmoid, "sigmoid", Evidence::kReproduced},
    {Function::kTanh, "tanh", Evidence::kReproduced},
    {Function::kErf, "erf", Evidence::kReproduced},
    {Function::kGelu, "gelu", Evidence::kFitted},
    {Function::kSilu, "silu", Evidence::kFitted},
    {Function::kExp, "exp", Evidence::kReproduced},
    {Function::kExp2, "exp2", Evidence::kInferred},
    {Function::kLog, "log", Evidence::kReproduced},
    {Function::kSqrt, "sqrt", Evidence::kReproduced},
    {Function::kRsqrt, "rsqrt", Evidence::kReproduced},
    {Function::kInverse, "inverse", Evidence::kReproduced},
    {Function::kReciprocal, "reciprocal", Evidence::kInferred},
    {Function::kSin, "sin", Evidence::kReproduced},
    {Function::kCos, "cos", Evidence::kInferred},
};

// An fp16 operation's result.
double rounded(double value) { return static_cast<double>(written(value)); }

// A constant that the engine keeps as fp16.
double constant(double value) {
  return static_cast<double>(to_float(to_half_even(value)));
}

// ---- Interpolation ---------------------------------------------------------
// `position` is in steps from the first knot, within the table.

double along(const KnotTable& table, size_t base, size_t next,
             double fraction) {
  const double rise = rounded(table.at(next) - table.at(base));
  return rounded(table.at(base) + rounded(rise * rounded(fraction)));
}

// Counts from the knot before the position: arguments that grow away from 0.
double upwards(const KnotTable& table, double position) {
  const double base = std::floor(position);
  const auto k = static_cast<size_t>(base);
  if (k + 1 >= table.knots.size()) return table.at(table.knots.size() - 1);
  return along(table, k, k + 1, position - base);
}

// Counts from the knot after it: arguments that fall away from 0.
double downwards(const KnotTable& table, double position) {
  const double base = std::ceil(position);
  const auto k = static_cast<size_t>(base);
  if (k == 0) return table.at(0);
  return along(table, k, k - 1, base - position);
}

// Where x lies, from the knot nearer to 0.
double interpolate(const KnotTable& table, double x) {
  const double position = (x - table.first) / table.step;
  return x < 0 ? downwards(table, position) : upwards(table, position);
}

double line(const Tail& tail, double x) {
  return rounded(tail.intercept + rounded(tail.slope * std::fabs(x)));
}

// ---- Tables over the argument itself ---------------------------------------

double sigmoid(const KnotTable& table, double x) {
  if (x < table.first) return std::max(line(kSigmoidTail, x), 0.0);
  // That the upper tail mirrors the lower one is an assumption.
  const Tail upper{1 - kSigmoidTail.intercept, -kSigmoidTail.slope};
  if (x > table.last()) return std::min(line(upper, x), 1.0);
  return interpolate(table, x);
}

double tanh(const KnotTable& table, double x) {
  const double size = std::fabs(x);
  return std::copysign(size < table.last() ? interpolate(table, size) : 1.0, x);
}

double erf(const KnotTable& table, double x) {
  const double size = std::fabs(x);
  const double y = size < table.last() ? interpolate(table, size)
                                       : std::min(line(kErfTail, size), 1.0);
  return std::copysign(y, x);
}

double gelu(const KnotTable& table, double x) {
  if (x < table.first) return 0;
  return x > table.last() ? x : interpolate(table, x);
}

double silu(const KnotTable& table, double x) {
  if (x < table.first) return std::min(line(kSiluTail, x), 0.0);
  // silu(x) = x + silu(-x); that the upper tail keeps to it is an assumption.
  if (x > table.last()) return rounded(x + std::min(line(kSiluTail, x), 0.0));
  return interpolate(table, x);
}

// ---- Tables over a reduced argument ----------------------------------------

// 2^t: the integer part goes to the exponent.
double power_of_two(const KnotTable& table, double t) {
  const double whole = std::floor(t);
  const double position = (t - whole) / table.step;
  const double y =
      t < 0 ? downwards(table, position) : upwards(table, position);
  // The result is 0 or infinity long before.
  constexpr double kFar = 1000;
  return std::ldexp(y, static_cast<int>(std::clamp(whole, -kFar, kFar)));
}

double exponential(const KnotTable& table, double x) {
  return power_of_two(table, rounded(x * constant(std::numbers::log2e)));
}

// x = m 2^e with m in [0.5, 1), or in [0.5, 2) and e even.
struct Parts {
  double mantissa = 0;
  int exponent = 0;
};
Parts split(double x) {
  Parts parts;
  parts.mantissa = std::frexp(x, &parts.exponent);
  return parts;
}
Parts split_even(double x) {
  Parts parts = split(x);
  if (parts.exponent % 2 == 0) return parts;
  return {parts.mantissa * 2, parts.exponent - 1};
}

double logarithm(const KnotTable& table, double x) {
  if (x == 0) return -kInfinity;
  const Parts parts = split(x);
  const double log2 = rounded(interpolate(table, parts.mantissa) +
                              static_cast<double>(parts.exponent));
  return log2 * constant(std::numbers::ln2);
}

double square_root(const KnotTable& table, double x) {
  if (x == 0) return 0;
  const Parts parts = split_even(x);
  return std::ldexp(interpolate(table, parts.mantissa), parts.exponent / 2);
}

double reciprocal_root(const KnotTable& table, double x) {
  if (x == 0) return kInfinity;
  const Parts parts = split_even(x);
  return std::ldexp(interpolate(table, parts.mantissa), -parts.exponent / 2);
}

double inverse(const KnotTable& table, double x) {
  if (x == 0) return kInfinity;
  const Parts parts = split(std::fabs(x));
  const double y =
      std::ldexp(interpolate(table, parts.mantissa), -parts.exponent);
  return std::copysign(y, x);
}

// MIL's default epsilon, 1e-4, is added as a bias: rounded to the accumulator's
// unit, the sum rounded to fp16.
double with_epsilon(double x) {
  constexpr double kEpsilon = 7 * 0x1p-16;
  return rounded(x + kEpsilon);
}

// sin of `quarters` quarter turns, 0 or more.
double sine_of_quarters(const KnotTable& table, double quarters) {
  const double whole = std::floor(quarters);
  const double part = (quarters - whole) / table.step;
  const int quadrant = static_cast<int>(std::fmod(whole, 4));
  const auto last = static_cast<double>(table.knots.size() - 1);
  const double y =
      quadrant % 2 == 0 ? upwards(table, part) : downwards(table, last - part);
  return quadrant < 2 ? y : -y;
}

double quarters(double x) { return std::fabs(x) * 2 / std::numbers::pi; }

// Of a decoded argument; the result still has to be rounded.
double evaluate(Function function, double x) {
  const KnotTable& table = knot_table(function);
  switch (function) {
    case Function::kSigmoid:
      return sigmoid(table, x);
    case Function::kTanh:
      return tanh(table, x);
    case Function::kErf:
      return erf(table, x);
    case Function::kGelu:
      return gelu(table, x);
    case Function::kSilu:
      return silu(table, x);
    case Function::kExp:
      return exponential(table, x);
    case Function::kExp2:
      return power_of_two(table, x);
    case Function::kLog:
      return logarithm(table, x);
    case Function::kSqrt:
      return square_root(table, x);
    case Function::kRsqrt:
      return reciprocal_root(table, x);
    case Function::kInverse:
      return inverse(table, with_epsilon(x));
    case Function::kReciprocal:
      return inverse(table, x);
    case Function::kSin:
      return x < 0 ? -sine_of_quarters(table, quarters(x))
                   : sine_of_quarters(table, quarters(x));
    case Function::kCos:
      break;
  }
  return sine_of_quarters(table, quarters(x) + 1);
}

bool only_positive(Function function) {
  return function == Function::kLog || function == Function::kSqrt ||
         function == Function::kRsqrt;
}

}  // namespace

const FunctionInfo& info(Function function) {
  return kInfos[static_cast<size_t>(function)];
}

std::optional<Function> function_from_name(std::string_view name) {
  for (const FunctionInfo& candidate : kInfos) {
    if (candidate.name == name) return candidate.function;
  }
  return std::nullopt;
}

Half activate(Function function, Half x) {
  const auto value = static_cast<double>(decode(x));
  if (value < 0 && only_positive(function)) return kNotANumber;
  return encode(evaluate(function, value));
}

Half reciprocal(double x) { return activate(Function::kReciprocal, encode(x)); }

const std::array<Half, 65536>& map(Function function) {
  struct Slot {
    std::once_flag once;
    std::unique_ptr<std::array<Half, 65536>> values;
  };
  static std::array<Slot, kFunctions> slots;
  Slot& slot = slots[static_cast<size_t>(function)];
  std::call_once(slot.once, [&] {
    auto values = std::make_unique<std::array<Half, 65536>>();
    for (size_t bits = 0; bits < values->size(); ++bits) {
      (*values)[bits] = activate(function, {static_cast<uint16_t>(bits)});
    }
    slot.values = std::move(values);
  });
  return *slot.values;
}

}  // namespace aneroid::numerics
