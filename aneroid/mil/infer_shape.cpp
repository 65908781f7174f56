// Ops that move elements: reshape, joins, gathers. Slices are in
// infer_slice.cpp.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/mil/infer.h"

namespace aneroid::mil {
namespace {

constexpr int64_t kLargest = int64_t{1} << 62;

// Sums and products of dimensions: unknown stays unknown.
Result<int64_t> plus(int64_t a, int64_t b) {
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  if (a > kLargest - b) return shape_error("a dimension exceeds 2^62");
  return a + b;
}
Result<int64_t> times(int64_t a, int64_t b) {
  if (a == kUnknownDim || b == kUnknownDim) return kUnknownDim;
  if (b != 0 && a > kLargest / b) {
    return shape_error("a dimension exceeds 2^62");
  }
  return a * b;
}

// The shape of a result whose dimensions are the elements of a vector that is
// not known: only its length says something.
Shape shape_from_unknown(const Shape& vector) {
  constexpr int64_t kMaxRank = 64;
  if (vector.size() != 1 || vector[0] < 0 || vector[0] > kMaxRank) {
    return {kVariadicDim};
  }
  return Shape(static_cast<size_t>(vector[0]), kUnknownDim);
}

// One dimension known from two places.
Result<int64_t> unify(int64_t a, int64_t b, std::string_view what, size_t at) {
  if (!compatible(a, b)) {
    return shape_error(
        fmt::format("{}: {} and {} differ in dimension {}", what, a, b, at));
  }
  return a == kUnknownDim ? b : a;
}

}  // namespace

Result<Types> infer_reshape(const InferContext& op) {
  const Shape& x = op.shape("x");
  const auto wanted = op.ints("shape");
  if (!wanted) {
    return Types{tensor(op.dtype("x"), shape_from_unknown(op.shape("shape")))};
  }
  Shape shape = *wanted;
  std::optional<size_t> inferred;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && shape.size() == x.size()) {
      shape[i] = x[i];
    } else if (shape[i] == -1) {
      if (inferred) {
        return shape_error(fmt::format("reshape to {}: only one -1 is allowed",
                                       to_string(*wanted)));
      }
      inferred = i;
    } else if (shape[i] < -1) {
      return shape_error(
          fmt::format("reshape: dimension {} is {}", i, shape[i]));
    }
  }
  const auto total = element_count(x);
  Shape others = shape;
  if (inferred) others[*inferred] = 1;
  const auto known = element_count(others);
  if (!total || !known) return Types{tensor(op.dtype("x"), std::move(shape))};
  const bool fits =
      inferred ? *known != 0 && *total % *known == 0 : *total == *known;
  if (!fits) {
    return shape_error(fmt::format("cannot reshape {} ({} elements) to {}",
                                   to_string(x), *total, to_string(*wanted)));
  }
  if (inferred) shape[*inferred] = *total / *known;
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_transpose(const InferContext& op) {
  const Shape& x = op.shape("x");
  ANEROID_ASSIGN(const MaybeInts perm, per_dimension(op, "perm", x.size()));
  Shape shape(x.size(), kUnknownDim);
  if (perm) {
    ANEROID_ASSIGN(const auto axes, normalize_axes(*perm, x.size(), "perm"));
    for (size_t i = 0; i < axes.size(); ++i) {
      shape[i] = x[static_cast<size_t>(axes[i])];
    }
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_expand_dims(const InferContext& op) {
  const Shape& x = op.shape("x");
  const auto given = op.ints("axes");
  if (!given) return Types{tensor(op.dtype("x"), {kVariadicDim})};
  const size_t rank = x.size() + given->size();
  ANEROID_ASSIGN(const auto axes, normalize_axes(*given, rank, "axis"));
  Shape shape(rank, kUnknownDim);
  for (const int64_t axis : axes) shape[static_cast<size_t>(axis)] = 1;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) {
    const bool inserted = std::find(axes.begin(), axes.end(),
                                    static_cast<int64_t>(i)) != axes.end();
    if (!inserted) shape[i] = x[next++];
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_squeeze(const InferContext& op) {
  const Shape& x = op.shape("x");
  std::vector<bool> gone(x.size());
  if (op.has("axes")) {
    const auto given = op.ints("axes");
    if (!given) return Types{tensor(op.dtype("x"), {kVariadicDim})};
    ANEROID_ASSIGN(const auto axes, normalize_axes(*given, x.size(), "axis"));
    for (const int64_t axis : axes) {
      const auto i = static_cast<size_t>(axis);
      if (!compatible(x[i], 1)) {
        return shape_error(
            fmt::format("cannot squeeze dimension {} of {}: its size is not 1",
                        axis, to_string(x)));
      }
      gone[i] = true;
    }
  } else {
    for (size_t i = 0; i < x.size(); ++i) gone[i] = x[i] == 1;
  }
  Shape shape;
  for (size_t i = 0; i < x.size(); ++i) {
    if (!gone[i]) shape.push_back(x[i]);
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_concat(const InferContext& op) {
  const auto types = op.types("values");
  const size_t rank = types.front()->shape.size();
  for (const Type* type : types) {
    if (type->shape.size() != rank) {
      return shape_error(
          fmt::format("concat of ranks {} and {}", rank, type->shape.size()));
    }
  }
  const auto given = op.int_or("axis", 0);
  if (!given) {
    return Types{tensor(types.front()->dtype, Shape(rank, kUnknownDim))};
  }
  ANEROID_ASSIGN(const int64_t axis, normalize_axis(*given, rank, "axis"));
  Shape shape = types.front()->shape;
  for (auto type = types.begin() + 1; type != types.end(); ++type) {
    for (size_t i = 0; i < rank; ++i) {
      const int64_t dim = (*type)->shape[i];
      ANEROID_ASSIGN(shape[i], i == static_cast<size_t>(axis)
                                   ? plus(shape[i], dim)
                                   : unify(shape[i], dim, "concat", i));
    }
  }
  return Types{tensor(types.front()->dtype, std::move(shape))};
}

Result<Types> infer_stack(const InferContext& op) {
  const auto types = op.types("values");
  Shape shape = types.front()->shape;
  for (const Type* type : types) {
    if (type->shape.size() != shape.size()) {
      return shape_error(fmt::format("stack of {} and {}", to_string(shape),
                                     to_string(type->shape)));
    }
    for (size_t i = 0; i < shape.size(); ++i) {
      ANEROID_ASSIGN(shape[i], unify(shape[i], type->shape[i], "stack", i));
    }
  }
  const auto count = static_cast<int64_t>(types.size());
  if (const auto given = op.int_or("axis", 0)) {
    ANEROID_ASSIGN(const int64_t axis,
                   normalize_axis(*given, shape.size() + 1, "axis"));
    shape.insert(shape.begin() + axis, count);
  } else {
    shape.assign(shape.size() + 1, kUnknownDim);
  }
  return Types{tensor(types.front()->dtype, std::move(shape))};
}

Result<Types> infer_split(const InferContext& op) {
  const Shape& x = op.shape("x");
  const auto given = op.int_or("axis", 0);
  const auto sizes = op.ints("split_sizes");
  const auto parts = op.int_or("num_splits", 0);
  if (!given || !parts || (!sizes && !op.has("num_splits"))) {
    return input_error("mil.const", "",
                       "split needs an axis and either num_splits or "
                       "split_sizes, known when compiling");
  }
  ANEROID_ASSIGN(const int64_t axis, normalize_axis(*given, x.size(), "axis"));
  const int64_t dim = x[static_cast<size_t>(axis)];
  std::vector<int64_t> dims;
  if (sizes) {
    dims = *sizes;
    int64_t total = 0;
    for (const int64_t size : dims) {
      if (size < 0) {
        return shape_error(fmt::format("split: a part has size {}", size));
      }
      ANEROID_ASSIGN(total, plus(total, size));
    }
    if (!compatible(total, dim)) {
      return shape_error(
          fmt::format("split: parts of {} elements in all, dimension {} has {}",
                      total, axis, dim));
    }
  } else {
    constexpr int64_t kMaxParts = 1 << 16;
    if (*parts < 1 || *parts > kMaxParts ||
        (dim != kUnknownDim && dim % *parts != 0)) {
      return shape_error(
          fmt::format("split: dimension {} of size {} does not divide into {} "
                      "equal parts (at most {})",
                      axis, dim, *parts, kMaxParts));
    }
    dims.assign(static_cast<size_t>(*parts),
                dim == kUnknownDim ? kUnknownDim : dim / *parts);
  }
  Types types;
  for (const int64_t size : dims) {
    Shape shape = x;
    shape[static_cast<size_t>(axis)] = size;
    types.push_back(tensor(op.dtype("x"), std::move(shape)));
  }
  return types;
}

Result<Types> infer_tile(const InferContext& op) {
  Shape shape = op.shape("x");
  ANEROID_ASSIGN(const MaybeInts reps, per_dimension(op, "reps", shape.size()));
  for (size_t i = 0; i < shape.size(); ++i) {
    if (reps && (*reps)[i] < 0) {
      return shape_error(fmt::format("tile: reps[{}] is {}", i, (*reps)[i]));
    }
    ANEROID_ASSIGN(shape[i], times(shape[i], reps ? (*reps)[i] : kUnknownDim));
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_pad(const InferContext& op) {
  Shape shape = op.shape("x");
  const auto pad = op.ints("pad");
  if (!pad) {
    std::fill(shape.begin(), shape.end(), kUnknownDim);
    return Types{tensor(op.dtype("x"), std::move(shape))};
  }
  if (pad->size() % 2 != 0 || pad->size() / 2 > shape.size()) {
    return shape_error(
        fmt::format("pad has {} elements; it needs a pair (before, after) for "
                    "each of at most {} last dimensions",
                    pad->size(), shape.size()));
  }
  const size_t first = shape.size() - pad->size() / 2;
  for (size_t i = 0; i < pad->size(); ++i) {
    if ((*pad)[i] < 0) {
      return shape_error(
          fmt::format("pad[{}] is {}; it must not be negative", i, (*pad)[i]));
    }
    int64_t& dim = shape[first + i / 2];
    ANEROID_ASSIGN(dim, plus(dim, (*pad)[i]));
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_gather(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& indices = op.shape("indices");
  const auto given = op.int_or("axis", 0);
  const auto batch = op.int_or("batch_dims", 0);
  if (!given || !batch) return Types{tensor(op.dtype("x"), {kVariadicDim})};
  ANEROID_ASSIGN(const int64_t axis, normalize_axis(*given, x.size(), "axis"));
  if (*batch < 0 || *batch > axis ||
      *batch > static_cast<int64_t>(indices.size())) {
    return shape_error(fmt::format(
        "gather: batch_dims {} must be at most axis {} and the rank {} of the "
        "indices",
        *batch, axis, indices.size()));
  }
  Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), indices.begin() + *batch, indices.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_gather_along_axis(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& indices = op.shape("indices");
  if (indices.size() != x.size()) {
    return shape_error(fmt::format(
        "gather_along_axis needs indices of the rank of x, got {} and {}",
        to_string(indices), to_string(x)));
  }
  if (const auto axis = op.int_or("axis", 0)) {
    ANEROID_TRY(normalize_axis(*axis, x.size(), "axis"));
  }
  return Types{tensor(op.dtype("x"), indices)};
}

Result<Types> infer_fill(const InferContext& op) {
  const DataType dtype = op.dtype("value");
  if (op.has("ref_tensor")) return Types{tensor(dtype, op.shape("ref_tensor"))};
  const auto shape = op.ints("shape");
  if (!shape)
    return Types{tensor(dtype, shape_from_unknown(op.shape("shape")))};
  for (const int64_t dim : *shape) {
    if (dim < 0) {
      return shape_error(
          fmt::format("fill: the shape {} has a negative "
                      "dimension",
                      to_string(*shape)));
    }
  }
  return Types{tensor(dtype, *shape)};
}

Result<Types> infer_shape_of(const InferContext& op) {
  const auto rank = static_cast<int64_t>(op.shape("x").size());
  return Types{tensor(DataType::kInt32, {rank})};
}

Result<Types> infer_range(const InferContext& op) {
  double bounds[3] = {};
  size_t i = 0;
  for (const std::string_view name : {"start", "end", "step"}) {
    const Value* value = op.constant(name);
    const auto elements =
        value == nullptr ? std::vector<double>() : as_doubles(*value);
    if (elements.empty()) {
      return Types{tensor(op.dtype("start"), {kUnknownDim})};
    }
    bounds[i++] = elements.front();
  }
  const double count = std::ceil((bounds[1] - bounds[0]) / bounds[2]);
  if (!(count < static_cast<double>(kLargest))) {
    return shape_error(fmt::format("range_1d from {} to {} by {} has no end",
                                   bounds[0], bounds[1], bounds[2]));
  }
  return Types{
      tensor(op.dtype("start"), {static_cast<int64_t>(std::max(count, 0.0))})};
}

Result<Types> infer_topk(const InferContext& op) {
  Shape shape = op.shape("x");
  const auto k = op.int_or("k", 1);
  const auto given = op.int_or("axis", -1);
  const auto dtype =
      data_type_from_name(op.string_or("output_indices_dtype", "int32"));
  if (!dtype || !is_integer(*dtype)) {
    return type_error("output_indices_dtype must be an integer type");
  }
  if (!given) {
    std::fill(shape.begin(), shape.end(), kUnknownDim);
  } else {
    ANEROID_ASSIGN(const int64_t axis,
                   normalize_axis(*given, shape.size(), "axis"));
    int64_t& dim = shape[static_cast<size_t>(axis)];
    if (k && (*k < -1 || (dim != kUnknownDim && *k > dim))) {
      return shape_error(
          fmt::format("topk: k is {}, dimension {} has {}", *k, axis, dim));
    }
    if (!k || *k != -1) dim = k.value_or(kUnknownDim);
  }
  Types types{tensor(op.dtype("x"), shape)};
  if (op.int_or("return_indices", 1).value_or(1) != 0) {
    types.push_back(tensor(*dtype, std::move(shape)));
  }
  return types;
}

}  // namespace aneroid::mil
