// Bounds of matrix products, cheap beside the products: by Cauchy-Schwarz no
// element of A B exceeds the norm of its row of A times that of its column
// of B.
#pragma once

#include <cstdint>

#include "aneroid/base/half.h"

namespace aneroid::cpu {

// The largest sum of squares of a row of an fp16 matrix, element (i, j) at
// data[i row_stride + j col_stride], where one stride must be 1. Summed in
// fp32; not finite when a value is not; 0 without rows. Vector code chosen for
// the CPU at run time.
float largest_square_sum(const Half* data, int64_t rows, int64_t columns,
                         int64_t row_stride, int64_t col_stride);

}  // namespace aneroid::cpu
