#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm.h"

namespace aneroid::cpu {
namespace {

double element(const ConstMatrix& matrix, int64_t offset) {
  if (matrix.storage == Storage::kHalf) {
    return static_cast<double>(
        to_float(static_cast<const Half*>(matrix.data)[offset]));
  }
  return static_cast<double>(static_cast<const float*>(matrix.data)[offset]);
}

void store(const Matrix& c, int64_t offset, double value, bool add) {
  if (c.storage == Storage::kHalf) {
    static_cast<Half*>(c.data)[offset] = to_half_away(value);
    return;
  }
  float& to = static_cast<float*>(c.data)[offset];
  to = static_cast<float>(add ? value + static_cast<double>(to) : value);
}

}  // namespace

void gemm_plain(const GemmShape& shape, const ConstMatrix& a,
                const ConstMatrix& b, const Matrix& c,
                const GemmOptions& options, const GemmBatch& batch) {
  for (int64_t p = 0; p < batch.count; ++p) {
    for (int64_t m = 0; m < shape.m; ++m) {
      for (int64_t n = 0; n < shape.n; ++n) {
        double sum = 0;
        for (int64_t k = 0; k < shape.k; ++k) {
          sum += element(a, p * batch.a_stride + m * a.row_stride +
                                k * a.col_stride) *
                 element(b, p * batch.b_stride + k * b.row_stride +
                                n * b.col_stride);
        }
        store(c, p * batch.c_stride + m * c.row_stride + n * c.col_stride,
              sum * static_cast<double>(options.scale), options.add_to_c);
      }
    }
  }
}

}  // namespace aneroid::cpu
