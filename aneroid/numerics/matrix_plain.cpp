#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::numerics {

Half element(const cpu::ConstMatrix& matrix, int64_t offset) {
  if (matrix.storage == cpu::Storage::kHalf) {
    return static_cast<const Half*>(matrix.data)[offset];
  }
  return encode(
      static_cast<double>(static_cast<const float*>(matrix.data)[offset]));
}

namespace {

void store(const cpu::Matrix& matrix, int64_t offset, Half value) {
  if (matrix.storage == cpu::Storage::kHalf) {
    static_cast<Half*>(matrix.data)[offset] = value;
  } else {
    static_cast<float*>(matrix.data)[offset] = to_float(value);
  }
}

}  // namespace

void matrix_product_plain(const cpu::GemmShape& shape,
                          const cpu::ConstMatrix& a, const cpu::ConstMatrix& b,
                          const cpu::Matrix& c, const cpu::GemmBatch& batch,
                          const Bias& bias) {
  for (int64_t p = 0; p < batch.count; ++p) {
    for (int64_t m = 0; m < shape.m; ++m) {
      for (int64_t n = 0; n < shape.n; ++n) {
        Accumulator sum;
        if (bias.data != nullptr) {
          sum =
              Accumulator(bias.data[m * bias.row_stride + n * bias.col_stride]);
        }
        for (int64_t k = 0; k < shape.k; ++k) {
          sum.add(element(a, p * batch.a_stride + m * a.row_stride +
                                 k * a.col_stride),
                  element(b, p * batch.b_stride + k * b.row_stride +
                                 n * b.col_stride));
        }
        store(c, p * batch.c_stride + m * c.row_stride + n * c.col_stride,
              sum.result());
      }
    }
  }
}

}  // namespace aneroid::numerics
