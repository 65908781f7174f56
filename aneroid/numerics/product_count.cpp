#include "aneroid/numerics/product_count.h"

#include <numeric>

#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::numerics {
namespace {

constexpr int kLeast = -14;
constexpr int kExponents = 31;  // -14 ... 16

struct Column {
  std::array<int64_t, kExponents> count{};
  int64_t zero = 0;
};

void add(Column& column, const cpu::ConstMatrix& matrix, int64_t offset) {
  const float value = decode(element(matrix, offset));
  if (value == 0.0F) {
    ++column.zero;
  } else {
    ++column.count[static_cast<size_t>(counted_exponent(value) - kLeast)];
  }
}

}  // namespace

int64_t ProductCount::total() const {
  return std::accumulate(by_exponent.begin(), by_exponent.end(), zero);
}

int64_t ProductCount::dropped() const {
  return std::accumulate(by_exponent.begin(),
                         by_exponent.begin() + (kLeastExponentSum + kOffset),
                         int64_t{0});
}

ProductCount& ProductCount::operator+=(const ProductCount& other) {
  for (size_t i = 0; i < by_exponent.size(); ++i) {
    by_exponent[i] += other.by_exponent[i];
  }
  zero += other.zero;
  return *this;
}

ProductCount count_products(const cpu::GemmShape& shape,
                            const cpu::ConstMatrix& a,
                            const cpu::ConstMatrix& b,
                            const cpu::GemmBatch& batch) {
  ProductCount result;
  for (int64_t p = 0; p < batch.count; ++p) {
    for (int64_t k = 0; k < shape.k; ++k) {
      // Every value of column k of A meets every value of row k of B.
      Column left;
      Column right;
      for (int64_t m = 0; m < shape.m; ++m) {
        add(left, a, p * batch.a_stride + m * a.row_stride + k * a.col_stride);
      }
      for (int64_t n = 0; n < shape.n; ++n) {
        add(right, b, p * batch.b_stride + k * b.row_stride + n * b.col_stride);
      }
      for (size_t i = 0; i < kExponents; ++i) {
        for (size_t j = 0; j < kExponents; ++j) {
          result.by_exponent[i + j] += left.count[i] * right.count[j];
        }
      }
      result.zero += left.zero * shape.n + (shape.m - left.zero) * right.zero;
    }
  }
  return result;
}

}  // namespace aneroid::numerics
