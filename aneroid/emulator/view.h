// Strided views of buffers: how slices, reshapes and transposes cost nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "aneroid/base/dtype.h"

namespace aneroid::emulator {

// Element (i0, i1, ...) of a view is at offset + sum(i * stride) of its
// buffer, in elements. A stride of 0 repeats the element.
struct View {
  int buffer = -1;
  int64_t offset = 0;
  Shape dims;
  Shape strides;

  int64_t count() const;
  friend bool operator==(const View&, const View&) = default;
};

// Whether both name the same elements in the same order: strides of dimensions
// of size 1 do not matter.
bool same_elements(const View& a, const View& b);

Shape dense_strides(const Shape& dims);
View dense_view(int buffer, const Shape& dims);

// The same elements in the same order under another shape, when strides can
// express it; nullopt when a copy is needed. Counts must be equal.
std::optional<View> reshape_view(const View& view, const Shape& dims);
View transpose_view(const View& view, const std::vector<int64_t>& perm);
// Elements begin, begin + step, ... per dimension; size elements of each.
View slice_view(const View& view, const Shape& begin, const Shape& size,
                const Shape& step);
// NumPy broadcasting to `dims`: missing and size-1 dimensions get stride 0.
View broadcast_view(const View& view, const Shape& dims);

// Drops size-1 dimensions and merges neighbours that step as one. The order
// of the elements does not change. A scalar becomes no dimensions.
void coalesce(Shape& dims, const std::vector<Shape*>& strides);

}  // namespace aneroid::emulator
