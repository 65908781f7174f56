#include "aneroid/pipeline/host_norm.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace aneroid::pipeline {
namespace {

// Columns per task: whole cache lines, and sums that stay in registers.
constexpr int64_t kColumns = 32;
using Sums = std::array<double, kColumns>;

// Calls body(first, count) for the columns' shares.
template <typename Body>
void for_columns(cpu::ThreadPool& pool, const NormShape& shape,
                 const Body& body) {
  pool.run((shape.columns + kColumns - 1) / kColumns, [&](int64_t task, int) {
    const int64_t first = task * kColumns;
    body(first, static_cast<size_t>(std::min(kColumns, shape.columns - first)));
  });
}

// Adds a[c, t] b[c, t] weight[c] over the channels; a null weight is 1.
void add_products(const NormShape& shape, const float* a, const float* b,
                  const float* weight, int64_t first, size_t count,
                  Sums& sums) {
  for (int64_t c = 0; c < shape.channels; ++c) {
    const float* a_row = a + c * shape.columns + first;
    const float* b_row = b + c * shape.columns + first;
    const double factor = weight == nullptr ? 1.0 : weight[c];
    for (size_t t = 0; t < count; ++t) {
      sums[t] += factor * a_row[t] * b_row[t];
    }
  }
}

Sums inverse_rms(const NormShape& shape, const float* x, int64_t first,
                 size_t count) {
  Sums r{};
  add_products(shape, x, x, nullptr, first, count, r);
  for (size_t t = 0; t < count; ++t) {
    r[t] = 1.0 / std::sqrt(r[t] / static_cast<double>(shape.channels) +
                           shape.epsilon);
  }
  return r;
}

}  // namespace

void rms_norm(cpu::ThreadPool& pool, const NormShape& shape, const float* x,
              const float* gain, float* y) {
  for_columns(pool, shape, [&](int64_t first, size_t count) {
    const Sums r = inverse_rms(shape, x, first, count);
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int64_t at = c * shape.columns + first;
      for (size_t t = 0; t < count; ++t) {
        y[at + static_cast<int64_t>(t)] = x[at + static_cast<int64_t>(t)] *
                                          static_cast<float>(r[t]) * gain[c];
      }
    }
  });
}

void add_rms_norm_gradient(cpu::ThreadPool& pool, const NormShape& shape,
                           const float* dy, const float* x, const float* gain,
                           float* dx) {
  for_columns(pool, shape, [&](int64_t first, size_t count) {
    const Sums r = inverse_rms(shape, x, first, count);
    Sums slope{};
    add_products(shape, dy, x, gain, first, count, slope);
    for (size_t t = 0; t < count; ++t) {
      slope[t] *= r[t] * r[t] / static_cast<double>(shape.channels);
    }
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int64_t row = c * shape.columns + first;
      for (size_t t = 0; t < count; ++t) {
        const int64_t at = row + static_cast<int64_t>(t);
        dx[at] += static_cast<float>(
            r[t] * (double{gain[c]} * dy[at] - x[at] * slope[t]));
      }
    }
  });
}

}  // namespace aneroid::pipeline
