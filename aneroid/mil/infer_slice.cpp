// Slices.
#include <algorithm>

#include <fmt/format.h>

#include "aneroid/mil/infer.h"

namespace aneroid::mil {

Result<Types> infer_slice_by_size(const InferContext& op) {
  const Shape& x = op.shape("x");
  ANEROID_ASSIGN(const MaybeInts begin, per_dimension(op, "begin", x.size()));
  ANEROID_ASSIGN(const MaybeInts size, per_dimension(op, "size", x.size()));
  Shape shape(x.size(), kUnknownDim);
  for (size_t i = 0; i < x.size(); ++i) {
    const int64_t dim = x[i];
    std::optional<int64_t> first;
    if (begin) first = (*begin)[i];
    if (first && *first < 0) {
      if (dim == kUnknownDim) {
        first.reset();
      } else {
        *first += dim;
      }
    }
    if (first && (*first < 0 || (dim != kUnknownDim && *first > dim))) {
      return shape_error(
          fmt::format("slice_by_size: begin {} is outside dimension {} of {}",
                      (*begin)[i], i, to_string(x)));
    }
    if (!size) continue;
    const int64_t count = (*size)[i];
    if (count < -1) {
      return shape_error(fmt::format(
          "slice_by_size: size {} of dimension {} must be -1 or more", count,
          i));
    }
    const bool to_end = count == -1;
    if (dim == kUnknownDim) {
      shape[i] = to_end ? kUnknownDim : count;
    } else if (to_end) {
      shape[i] = first ? dim - *first : kUnknownDim;
    } else if (count > dim - first.value_or(0)) {
      return shape_error(fmt::format(
          "slice_by_size: {} elements from {} do not fit dimension {} of {}",
          count, first.value_or(0), i, to_string(x)));
    } else {
      shape[i] = count;
    }
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

namespace {

// The operands of slice_by_index and slice_update.
struct IndexSlice {
  MaybeInts begin;
  MaybeInts end;
  MaybeInts stride;
  MaybeInts begin_mask;
  MaybeInts end_mask;
  MaybeInts squeeze_mask;
};

Result<IndexSlice> index_slice(const InferContext& op, size_t rank) {
  IndexSlice slice;
  const auto or_all = [&](std::string_view name,
                          int64_t value) -> Result<MaybeInts> {
    if (!op.has(name)) return MaybeInts(std::vector<int64_t>(rank, value));
    return per_dimension(op, name, rank);
  };
  ANEROID_ASSIGN(slice.begin, per_dimension(op, "begin", rank));
  ANEROID_ASSIGN(slice.end, per_dimension(op, "end", rank));
  ANEROID_ASSIGN(slice.stride, or_all("stride", 1));
  ANEROID_ASSIGN(slice.begin_mask, or_all("begin_mask", 0));
  ANEROID_ASSIGN(slice.end_mask, or_all("end_mask", 0));
  ANEROID_ASSIGN(slice.squeeze_mask, or_all("squeeze_mask", 0));
  return slice;
}

// Elements that begin:end:stride picks out of `dim`, as NumPy counts them.
int64_t slice_count(const IndexSlice& slice, size_t i, int64_t dim) {
  const int64_t stride = (*slice.stride)[i];
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? dim : dim - 1;
  const auto place = [&](int64_t index) {
    return std::clamp(index < 0 ? index + dim : index, low, high);
  };
  const int64_t begin = (*slice.begin_mask)[i] != 0 ? (stride > 0 ? low : high)
                                                    : place((*slice.begin)[i]);
  const int64_t end = (*slice.end_mask)[i] != 0 ? (stride > 0 ? high : low)
                                                : place((*slice.end)[i]);
  const int64_t distance = stride > 0 ? end - begin : begin - end;
  if (distance <= 0) return 0;
  // -stride would overflow for the smallest integer.
  const uint64_t step = stride > 0 ? static_cast<uint64_t>(stride)
                                   : 0 - static_cast<uint64_t>(stride);
  return static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / step + 1);
}

Result<Shape> sliced_shape(const InferContext& op, const Shape& x) {
  ANEROID_ASSIGN(const IndexSlice slice, index_slice(op, x.size()));
  if (!slice.squeeze_mask) return Shape{kVariadicDim};
  Shape shape;
  for (size_t i = 0; i < x.size(); ++i) {
    if (slice.stride && (*slice.stride)[i] == 0) {
      return shape_error(fmt::format("stride of dimension {} is 0", i));
    }
    if ((*slice.squeeze_mask)[i] != 0) {
      if (slice.begin && x[i] != kUnknownDim &&
          ((*slice.begin)[i] < -x[i] || (*slice.begin)[i] >= x[i])) {
        return shape_error(fmt::format("index {} is outside dimension {} of {}",
                                       (*slice.begin)[i], i, to_string(x)));
      }
      continue;
    }
    const bool known = slice.begin && slice.end && slice.stride &&
                       slice.begin_mask && slice.end_mask &&
                       x[i] != kUnknownDim;
    shape.push_back(known ? slice_count(slice, i, x[i]) : kUnknownDim);
  }
  return shape;
}

}  // namespace

Result<Types> infer_slice_by_index(const InferContext& op) {
  ANEROID_ASSIGN(Shape shape, sliced_shape(op, op.shape("x")));
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_slice_update(const InferContext& op) {
  ANEROID_ASSIGN(const Shape shape, sliced_shape(op, op.shape("x")));
  if (!compatible(shape, op.shape("update"))) {
    return shape_error(
        fmt::format("slice_update: the slice is {}, the update {}",
                    to_string(shape), to_string(op.shape("update"))));
  }
  return Types{*op.type("x")};
}

}  // namespace aneroid::mil
