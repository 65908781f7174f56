#include "aneroid/numerics/integer_matrix.h"

#include <algorithm>
#include <vector>

#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::numerics {
namespace {

// Sums of this many products fit 32 bits.
constexpr int64_t kBlock = 65536;
constexpr int64_t kRowsPerTask = 8;

// `rows` lines of `columns` numbers, line after line.
std::vector<int8_t> packed(const cpu::ConstMatrix& matrix, int64_t rows,
                           int64_t columns) {
  std::vector<int8_t> values;
  values.reserve(static_cast<size_t>(rows * columns));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      values.push_back(static_cast<int8_t>(to_float(
          element(matrix, r * matrix.row_stride + c * matrix.col_stride))));
    }
  }
  return values;
}

int64_t dot(const int8_t* a, const int8_t* b, int64_t count) {
  int64_t sum = 0;
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t last = std::min(count, first + kBlock);
    int32_t part = 0;
    for (int64_t i = first; i < last; ++i) {
      part += int32_t{a[i]} * int32_t{b[i]};
    }
    sum += part;
  }
  return sum;
}

}  // namespace

void integer_product(cpu::ThreadPool& pool, const cpu::GemmShape& shape,
                     const cpu::ConstMatrix& a, const cpu::ConstMatrix& b,
                     const cpu::Matrix& c, double scale) {
  const std::vector<int8_t> left = packed(a, shape.m, shape.k);
  cpu::ConstMatrix turned = b;
  std::swap(turned.row_stride, turned.col_stride);
  const std::vector<int8_t> right = packed(turned, shape.n, shape.k);
  const int64_t tasks = (shape.m + kRowsPerTask - 1) / kRowsPerTask;
  pool.run(tasks, [&](int64_t task, int) {
    const int64_t first = task * kRowsPerTask;
    const int64_t last = std::min(shape.m, first + kRowsPerTask);
    for (int64_t n = 0; n < shape.n; ++n) {
      for (int64_t m = first; m < last; ++m) {
        const int64_t sum =
            dot(left.data() + m * shape.k, right.data() + n * shape.k, shape.k);
        static_cast<Half*>(c.data)[m * c.row_stride + n * c.col_stride] =
            IntegerAccumulator(sum).result(scale);
      }
    }
  });
}

}  // namespace aneroid::numerics
