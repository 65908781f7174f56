#include "aneroid/conformance/arithmetic_statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "aneroid/base/half.h"

namespace aneroid::conformance {
namespace {

using numerics::Function;

constexpr size_t kReach = 4;  // of the moving mean, to either side
constexpr size_t kApart = 9;  // of a minimum, to either side
constexpr double kLow = 0.3;  // of the largest moving mean
constexpr uint32_t kInfinity = 0x7C00;

double value(Half half) { return static_cast<double>(to_float(half)); }

double unit_in_last_place(double exact) {
  constexpr int kLeastExponent = -14;
  constexpr int kMantissaBits = 10;
  const int exponent =
      exact == 0 ? kLeastExponent : std::max(std::ilogb(exact), kLeastExponent);
  return std::ldexp(1.0, exponent - kMantissaBits);
}

// Outside the grid the error counts as 0. Fused, as the published figures
// were: the rounding decides between neighbours of equal height.
std::vector<double> moving_mean(const std::vector<double>& errors) {
  constexpr double kShare = 1.0 / (2 * kReach + 1);
  std::vector<double> means(errors.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    const size_t begin = i < kReach ? 0 : i - kReach;
    const size_t end = std::min(i + kReach + 1, errors.size());
    for (size_t j = begin; j < end; ++j) {
      means[i] = std::fma(std::fabs(errors[j]), kShare, means[i]);
    }
  }
  return means;
}

std::vector<double> find_minima(const std::vector<double>& grid,
                                const std::vector<double>& means) {
  std::vector<double> minima;
  if (means.size() <= 2 * kApart) return minima;
  const double low = kLow * *std::ranges::max_element(means);
  for (size_t i = kApart; i + kApart < means.size(); ++i) {
    if (means[i] >= low) continue;
    const auto here = means.begin() + static_cast<std::ptrdiff_t>(i);
    if (means[i] == *std::min_element(here - kApart, here + kApart + 1)) {
      minima.push_back(grid[i]);
    }
  }
  return minima;
}

}  // namespace

std::vector<double> linear_grid(double low, double high) {
  constexpr int kPoints = 1 << 19;
  std::vector<double> grid;
  for (int i = 0; i < kPoints; ++i) {
    const double x = low + (high - low) * i / (kPoints - 1);
    const double rounded = value(to_half_even(x));
    if (grid.empty() || rounded > grid.back()) grid.push_back(rounded);
  }
  return grid;
}

std::vector<double> geometric_grid(double low, double high) {
  std::vector<double> grid;
  for (uint32_t bits = 1; bits < kInfinity; ++bits) {
    const double x = value({static_cast<uint16_t>(bits)});
    if (x >= low && x <= high) grid.push_back(x);
  }
  return grid;
}

ErrorStatistics error_statistics(Function function,
                                 const std::vector<double>& grid,
                                 const std::function<double(double)>& exact) {
  ErrorStatistics statistics;
  statistics.points = grid.size();
  statistics.errors.reserve(grid.size());
  const auto& map = numerics::map(function);
  for (const double x : grid) {
    const double right = exact(x);
    const double engine = value(map[to_half_even(x).bits]);
    const double error = std::fabs(engine - right);
    statistics.errors.push_back(engine - right);
    statistics.max_error = std::max(statistics.max_error, error);
    const double ulps = error / unit_in_last_place(right);
    if (ulps > statistics.max_ulps) {
      statistics.max_ulps = ulps;
      statistics.argument = x;
      statistics.exact = right;
      statistics.engine = engine;
    }
  }
  statistics.minima = find_minima(grid, moving_mean(statistics.errors));
  return statistics;
}

double exact_value(Function function, double x) {
  switch (function) {
    case Function::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Function::kTanh:
      return std::tanh(x);
    case Function::kErf:
      return std::erf(x);
    case Function::kGelu:
      return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case Function::kSilu:
      return x / (1 + std::exp(-x));
    case Function::kExp:
      return std::exp(x);
    case Function::kExp2:
      return std::exp2(x);
    case Function::kLog:
      return std::log(x);
    case Function::kSqrt:
      return std::sqrt(x);
    case Function::kRsqrt:
      return 1 / std::sqrt(x);
    case Function::kInverse:
    case Function::kReciprocal:
      return 1 / x;
    case Function::kSin:
      return std::sin(x);
    case Function::kCos:
      break;
  }
  return std::cos(x);
}

}  // namespace aneroid::conformance
