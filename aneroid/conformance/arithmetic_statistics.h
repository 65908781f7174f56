// Error statistics of an activation table over a grid of fp16 numbers, as the
// published measurements of engines have them: a fingerprint of a table.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "aneroid/numerics/activation.h"

namespace aneroid::conformance {

// The distinct fp16 numbers nearest to 2^19 equally spaced points of
// [low, high], both ends included.
std::vector<double> linear_grid(double low, double high);
// All fp16 numbers of [low, high], 0 < low.
std::vector<double> geometric_grid(double low, double high);

struct ErrorStatistics {
  size_t points = 0;
  double max_error = 0;
  // In units of the last place of fp16 at the exact value; 2^-24 at least.
  double max_ulps = 0;
  double argument = 0;  // where that is first so,
  double exact = 0;     // and what belongs there
  double engine = 0;
  // Where |error|, as a moving mean over 9 points, is less than 0.3 of its
  // maximum and not more than at the 9 points on either side.
  std::vector<double> minima;
  std::vector<double> errors;  // engine - exact, of every point
};

// `exact` is the function in fp64. Ordered by argument, as `grid` is. Points
// where either is not finite are not supported.
ErrorStatistics error_statistics(numerics::Function function,
                                 const std::vector<double>& grid,
                                 const std::function<double(double)>& exact);

// The exact function that published statistics compare with: MIL's meaning,
// but 1 / x for inverse.
double exact_value(numerics::Function function, double x);

}  // namespace aneroid::conformance
