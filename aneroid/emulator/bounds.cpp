#include "aneroid/emulator/bounds.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "aneroid/base/half.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/norms.h"

namespace aneroid::emulator {
namespace {

const Half* data_of(const cpu::ConstMatrix& matrix, int64_t offset) {
  return static_cast<const Half*>(matrix.data) + offset;
}

}  // namespace

double largest_product(cpu::ThreadPool& pool, const ProductOperands& operands) {
  const cpu::GemmShape& shape = operands.shape;
  const cpu::ConstMatrix& a = operands.a;
  const cpu::ConstMatrix& b = operands.b;
  const cpu::GemmBatch& batch = operands.batch;
  // Of sums of squares, in the order of their bits: NaN is the largest.
  std::atomic<uint64_t> largest = 0;
  pool.run(batch.count, [&](int64_t p, int) {
    const double rows =
        double{cpu::largest_square_sum(data_of(a, p * batch.a_stride), shape.m,
                                       shape.k, a.row_stride, a.col_stride)};
    const double columns =
        double{cpu::largest_square_sum(data_of(b, p * batch.b_stride), shape.n,
                                       shape.k, b.col_stride, b.row_stride)};
    const auto bits = std::bit_cast<uint64_t>(std::abs(rows * columns));
    uint64_t before = largest.load();
    while (before < bits && !largest.compare_exchange_weak(before, bits)) {
    }
  });
  return std::sqrt(std::bit_cast<double>(largest.load()));
}

bool all_finite(cpu::ThreadPool& pool, const ProductOperands& operands,
                Side side) {
  const cpu::GemmShape& shape = operands.shape;
  const cpu::GemmBatch& batch = operands.batch;
  const bool is_a = side == Side::kA;
  const cpu::ConstMatrix& matrix = is_a ? operands.a : operands.b;
  int64_t lines = is_a ? shape.m : shape.k;
  int64_t length = is_a ? shape.k : shape.n;
  int64_t stride = matrix.row_stride;
  if (matrix.col_stride != 1) {
    std::swap(lines, length);
    stride = matrix.col_stride;
  }
  if (stride == length) {  // no gaps: one line
    length *= lines;
    lines = 1;
  }
  std::atomic<bool> finite = true;
  pool.run(batch.count, [&](int64_t p, int) {
    const int64_t first = p * (is_a ? batch.a_stride : batch.b_stride);
    for (int64_t line = 0; line < lines; ++line) {
      if (!cpu::all_finite(data_of(matrix, first + line * stride),
                           static_cast<size_t>(length))) {
        finite = false;
        return;
      }
    }
  });
  return finite;
}

}  // namespace aneroid::emulator
