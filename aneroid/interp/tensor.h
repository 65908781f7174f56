// Index arithmetic shared by the op functions; private to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/interp/interp.h"

namespace aneroid::interp {

using Strides = std::vector<int64_t>;

// Elements of a tensor of this shape; nullopt when a dimension is unknown or
// above 2^31, or when there are more than `max_elements`. With every shape
// behind this check, sums and pairwise products of dimensions cannot overflow.
std::optional<int64_t> limited_count(const Shape& shape, int64_t max_elements);

// Row-major strides, in elements; zeros for an empty tensor.
Strides strides_of(const Shape& shape);

// Strides that walk a tensor of shape `from` as if it had shape `to`: aligned
// at the right, 0 where a dimension is stretched. `from` must broadcast.
Strides stretched_strides(const Shape& from, const Shape& to);

// Shape of the NumPy broadcast; error ("interp") when dimensions differ and
// neither is 1.
Result<Shape> broadcast(const Shape& a, const Shape& b);

// Axis in [0, rank); negative ones count from the end.
Result<size_t> normal_axis(int64_t axis, size_t rank);
// Distinct axes, ascending; all of them when `axes` is empty.
Result<std::vector<size_t>> normal_axes(const std::vector<int64_t>& axes,
                                        size_t rank);

// Calls visit(base + sum of index * stride) for each index of `shape`, in
// row-major order. Every op that moves data is a walk.
template <typename Visit>
void walk(const Shape& shape, const Strides& strides, int64_t base,
          Visit visit) {
  for (const int64_t dim : shape) {
    if (dim == 0) return;
  }
  const size_t rank = shape.size();
  if (rank == 0) {
    visit(base);
    return;
  }
  const int64_t row = shape[rank - 1];
  const int64_t step = strides[rank - 1];
  std::vector<int64_t> index(rank, 0);
  int64_t offset = base;
  while (true) {
    for (int64_t i = 0; i < row; ++i) visit(offset + i * step);
    size_t dim = rank - 1;
    while (dim > 0) {
      --dim;
      offset += strides[dim];
      if (++index[dim] < shape[dim]) break;
      offset -= strides[dim] * shape[dim];
      index[dim] = 0;
      if (dim == 0) return;
    }
    if (rank == 1) return;
  }
}

// A dimension with everything before and after it multiplied together; outer
// is 0 for an empty tensor.
struct AxisView {
  int64_t outer = 1;
  int64_t size = 1;
  int64_t inner = 1;
};
AxisView around_axis(const Shape& shape, size_t axis);

}  // namespace aneroid::interp
