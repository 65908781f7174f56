// Matrix times vector, for decoding one token: bound by how fast the weights
// can be read, so they are kept in fp16 or fp32 and read exactly once.
#pragma once

#include <cstdint>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

// sum_i a[i] * b[i] in fp32 lanes.
float dot(const float* a, const float* b, int64_t n);

// A weight matrix [rows, columns], row-major.
class GemvMatrix {
 public:
  GemvMatrix() = default;
  // Copies; fp16 storage rounds half away from zero.
  GemvMatrix(const std::vector<float>& values, int64_t rows, int64_t columns,
             Storage storage);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t bytes() const;

  // y[r] = sum_c W[r, c] x[c]. Sums in fp32, each in an order that does not
  // depend on the number of threads. x and y must not overlap.
  void multiply(ThreadPool& pool, const float* x, float* y) const;
  // Copies row r to `values`.
  void row(int64_t r, float* values) const;

 private:
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  std::vector<Half> half_;
  std::vector<float> float_;
};

}  // namespace aneroid::cpu
