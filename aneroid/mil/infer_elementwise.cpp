// Element-wise ops, reductions and normalisations.
#include <fmt/format.h>

#include "aneroid/mil/infer.h"

namespace aneroid::mil {

Result<Types> infer_same_as_x(const InferContext& op) {
  return Types{*op.type("x")};
}

Result<Types> infer_along_axis(const InferContext& op) {
  if (const auto axis = op.int_or("axis", 0)) {
    ANEROID_TRY(normalize_axis(*axis, op.shape("x").size(), "axis"));
  }
  return Types{*op.type("x")};
}

Result<Types> infer_binary(const InferContext& op) {
  ANEROID_ASSIGN(Shape shape, broadcast(op.shape("x"), op.shape("y")));
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_comparison(const InferContext& op) {
  ANEROID_ASSIGN(Shape shape, broadcast(op.shape("x"), op.shape("y")));
  return Types{tensor(DataType::kBool, std::move(shape))};
}

Result<Types> infer_select(const InferContext& op) {
  ANEROID_ASSIGN(Shape shape, broadcast(op.shape("a"), op.shape("b")));
  ANEROID_ASSIGN(shape, broadcast(shape, op.shape("cond")));
  return Types{tensor(op.dtype("a"), std::move(shape))};
}

Result<Types> infer_cast(const InferContext& op) {
  const std::string wanted = op.string_or("dtype", "");
  const auto dtype = data_type_from_name(wanted);
  if (!dtype || *dtype == DataType::kString) {
    return type_error(
        fmt::format("cannot cast to '{}'; use fp16, fp32, int32, bool or a "
                    "narrower integer",
                    wanted));
  }
  return Types{tensor(*dtype, op.shape("x"))};
}

namespace {

// `shape` with the given (normalised) axes removed, or kept as 1.
Shape reduced(const Shape& shape, const std::vector<int64_t>& axes,
              bool keep_dims) {
  std::vector<bool> gone(shape.size());
  for (const int64_t axis : axes) gone[static_cast<size_t>(axis)] = true;
  Shape result;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!gone[i]) {
      result.push_back(shape[i]);
    } else if (keep_dims) {
      result.push_back(1);
    }
  }
  return result;
}

// Which dimensions go is not known, only how many.
Shape reduced_unknown(size_t rank, size_t axes, bool keep_dims) {
  return Shape(keep_dims || axes > rank ? rank : rank - axes, kUnknownDim);
}

std::vector<int64_t> all_axes(size_t rank) {
  std::vector<int64_t> axes(rank);
  for (size_t i = 0; i < rank; ++i) axes[i] = static_cast<int64_t>(i);
  return axes;
}

// The per-channel operand `name`, if given, is a vector of `channels`.
Status check_channels(const InferContext& op, std::string_view name,
                      int64_t channels) {
  if (!op.has(name)) return {};
  if (compatible(op.shape(name), Shape{channels})) return {};
  return shape_error(
      fmt::format("{} must have the shape [{}] of the channels, "
                  "not {}",
                  name, channels, to_string(op.shape(name))));
}

}  // namespace

Result<Types> infer_reduce(const InferContext& op) {
  const Shape& x = op.shape("x");
  const bool keep_dims = op.int_or("keep_dims", 0).value_or(0) != 0;
  std::vector<int64_t> axes = all_axes(x.size());
  if (op.has("axes")) {
    const auto given = op.ints("axes");
    if (!given) {
      const auto count = element_count(op.shape("axes"));
      return Types{tensor(
          op.dtype("x"),
          reduced_unknown(x.size(), static_cast<size_t>(count.value_or(0)),
                          keep_dims))};
    }
    ANEROID_ASSIGN(axes, normalize_axes(*given, x.size(), "axis"));
  }
  return Types{tensor(op.dtype("x"), reduced(x, axes, keep_dims))};
}

Result<Types> infer_reduce_arg(const InferContext& op) {
  const Shape& x = op.shape("x");
  const bool keep_dims = op.int_or("keep_dims", 0).value_or(0) != 0;
  const auto dtype = data_type_from_name(op.string_or("output_dtype", "int32"));
  if (!dtype || !is_integer(*dtype)) {
    return type_error("output_dtype must be int32 or uint16");
  }
  const auto given = op.int_or("axis", -1);
  if (!given) {
    return Types{tensor(*dtype, reduced_unknown(x.size(), 1, keep_dims))};
  }
  ANEROID_ASSIGN(const int64_t axis, normalize_axis(*given, x.size(), "axis"));
  return Types{tensor(*dtype, reduced(x, {axis}, keep_dims))};
}

Result<Types> infer_layer_norm(const InferContext& op) {
  const Shape& x = op.shape("x");
  std::vector<int64_t> axes = all_axes(x.size());
  if (op.has("axes")) {
    const auto given = op.ints("axes");
    if (!given) return Types{*op.type("x")};
    ANEROID_ASSIGN(axes, normalize_axes(*given, x.size(), "axis"));
  }
  Shape normalised;
  for (const int64_t axis : axes) {
    normalised.push_back(x[static_cast<size_t>(axis)]);
  }
  for (const std::string_view operand : {"gamma", "beta"}) {
    if (op.has(operand) && !compatible(op.shape(operand), normalised)) {
      return shape_error(fmt::format(
          "{} must have the shape {} of the normalised axes, not {}", operand,
          to_string(normalised), to_string(op.shape(operand))));
    }
  }
  return Types{*op.type("x")};
}

Result<Types> infer_channel_norm(const InferContext& op) {
  const Shape& x = op.shape("x");
  if (x.size() < 3 || x.size() > 5) {
    return shape_error(
        fmt::format("x must have rank 3 to 5 (batch, channels, "
                    "positions), not {}",
                    x.size()));
  }
  for (const std::string_view operand :
       {"mean", "variance", "gamma", "beta", "alpha"}) {
    ANEROID_TRY(check_channels(op, operand, x[1]));
  }
  return Types{*op.type("x")};
}

}  // namespace aneroid::mil
