#include "aneroid/emulator/view.h"

#include <cassert>

namespace aneroid::emulator {

int64_t View::count() const {
  int64_t n = 1;
  for (const int64_t dim : dims) n *= dim;
  return n;
}

bool same_elements(const View& a, const View& b) {
  if (a.buffer != b.buffer || a.offset != b.offset || a.dims != b.dims) {
    return false;
  }
  for (size_t i = 0; i < a.dims.size(); ++i) {
    if (a.dims[i] != 1 && a.strides[i] != b.strides[i]) return false;
  }
  return true;
}

Shape dense_strides(const Shape& dims) {
  Shape strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  return strides;
}

View dense_view(int buffer, const Shape& dims) {
  return {buffer, 0, dims, dense_strides(dims)};
}

std::optional<View> reshape_view(const View& view, const Shape& dims) {
  // Merge what steps as one, then cut the merged runs into the new dimensions.
  Shape old_dims = view.dims;
  Shape old_strides = view.strides;
  coalesce(old_dims, {&old_strides});

  View result{view.buffer, view.offset, dims, Shape(dims.size(), 0)};
  size_t old_index = old_dims.size();
  int64_t left = 1;    // elements of the current run not yet used
  int64_t stride = 1;  // stride at which they follow one another
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] == 1) continue;
    if (left == 1) {
      if (old_index == 0) return std::nullopt;
      --old_index;
      left = old_dims[old_index];
      stride = old_strides[old_index];
    }
    if (left % dims[i] != 0) return std::nullopt;
    result.strides[i] = stride;
    stride *= dims[i];
    left /= dims[i];
  }
  return result;
}

View transpose_view(const View& view, const std::vector<int64_t>& perm) {
  View result{view.buffer, view.offset, Shape(perm.size()), Shape(perm.size())};
  for (size_t i = 0; i < perm.size(); ++i) {
    result.dims[i] = view.dims[static_cast<size_t>(perm[i])];
    result.strides[i] = view.strides[static_cast<size_t>(perm[i])];
  }
  return result;
}

View slice_view(const View& view, const Shape& begin, const Shape& size,
                const Shape& step) {
  View result = view;
  for (size_t i = 0; i < view.dims.size(); ++i) {
    result.offset += begin[i] * view.strides[i];
    result.dims[i] = size[i];
    result.strides[i] *= step[i];
  }
  return result;
}

View broadcast_view(const View& view, const Shape& dims) {
  assert(view.dims.size() <= dims.size());
  View result{view.buffer, view.offset, dims, Shape(dims.size(), 0)};
  const size_t shift = dims.size() - view.dims.size();
  for (size_t i = 0; i < view.dims.size(); ++i) {
    if (view.dims[i] != 1) result.strides[i + shift] = view.strides[i];
  }
  return result;
}

void coalesce(Shape& dims, const std::vector<Shape*>& strides) {
  size_t kept = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    bool merges = kept > 0;
    for (const Shape* s : strides) {
      merges = merges && (*s)[kept - 1] == (*s)[i] * dims[i];
    }
    if (merges) {
      dims[kept - 1] *= dims[i];
      for (Shape* s : strides) (*s)[kept - 1] = (*s)[i];
    } else {
      dims[kept] = dims[i];
      for (Shape* s : strides) (*s)[kept] = (*s)[i];
      ++kept;
    }
  }
  dims.resize(kept);
  for (Shape* s : strides) s->resize(kept);
}

}  // namespace aneroid::emulator
