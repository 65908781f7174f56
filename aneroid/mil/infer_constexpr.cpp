// Constants, compressed constants, quantisation, state.
#include <fmt/format.h>

#include "aneroid/mil/infer.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

// A scale or zero point: one value, or one per element of `axis` of `data`.
Status check_per_axis(const InferContext& op, std::string_view name,
                      const Shape& data) {
  if (!op.has(name) || op.shape(name).empty()) return {};
  const Shape& shape = op.shape(name);
  const auto given = op.int_or("axis", 0);
  if (!given) return {};
  ANEROID_ASSIGN(const int64_t axis,
                 normalize_axis(*given, data.size(), "axis"));
  const int64_t size = data[static_cast<size_t>(axis)];
  if (shape.size() == 1 && (shape[0] == 1 || compatible(shape[0], size))) {
    return {};
  }
  return shape_error(fmt::format(
      "{} must be one value or a vector of the {} elements of axis {}, not {}",
      name, size, axis, to_string(shape)));
}

// The ios16 forms carry the result's shape as an operand.
std::optional<Shape> explicit_shape(const InferContext& op) {
  return op.has("shape") ? op.ints("shape") : std::nullopt;
}

Status check_dims(const Shape& shape) {
  for (const int64_t dim : shape) {
    if (dim < 0) {
      return shape_error(fmt::format("the shape {} has a negative dimension",
                                     to_string(shape)));
    }
  }
  return {};
}

}  // namespace

Result<Types> infer_const(const InferContext& op) {
  return Types{*op.type("val")};
}

Result<Types> infer_quantize(const InferContext& op) {
  const auto dtype = data_type_from_name(op.string_or("output_dtype", ""));
  if (dtype != DataType::kInt8 && dtype != DataType::kUint8) {
    return type_error(
        fmt::format("quantize: output_dtype must be int8 or "
                    "uint8, not '{}'",
                    op.string_or("output_dtype", "")));
  }
  if (op.has("zero_point") && op.dtype("zero_point") != *dtype) {
    return type_error(fmt::format("quantize: zero_point is {}, output_dtype {}",
                                  name(op.dtype("zero_point")), name(*dtype)));
  }
  ANEROID_TRY(check_per_axis(op, "scale", op.shape("input")));
  ANEROID_TRY(check_per_axis(op, "zero_point", op.shape("input")));
  return Types{tensor(*dtype, op.shape("input"))};
}

Result<Types> infer_dequantize(const InferContext& op) {
  ANEROID_TRY(check_per_axis(op, "scale", op.shape("input")));
  ANEROID_TRY(check_per_axis(op, "zero_point", op.shape("input")));
  return Types{tensor(op.dtype("scale"), op.shape("input"))};
}

Result<Types> infer_affine_dequantize(const InferContext& op) {
  const Shape& data = op.shape("quantized_data");
  ANEROID_TRY(check_per_axis(op, "scale", data));
  ANEROID_TRY(check_per_axis(op, "zero_point", data));
  return Types{tensor(op.dtype("scale"), data)};
}

Result<Types> infer_blockwise_shift_scale(const InferContext& op) {
  const Shape& data = op.shape("data");
  const Shape& scale = op.shape("scale");
  if (data.size() != scale.size()) {
    return shape_error(fmt::format("scale {} must have the rank of data {}",
                                   to_string(scale), to_string(data)));
  }
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] == kUnknownDim || scale[i] == kUnknownDim) continue;
    if (scale[i] < 1 || data[i] % scale[i] != 0) {
      return shape_error(fmt::format(
          "dimension {}: {} elements do not divide into the {} blocks of scale",
          i, data[i], scale[i]));
    }
  }
  if (op.has("offset") && !compatible(op.shape("offset"), scale)) {
    return shape_error(fmt::format("offset {} must have the shape of scale {}",
                                   to_string(op.shape("offset")),
                                   to_string(scale)));
  }
  return Types{tensor(op.dtype("scale"), data)};
}

Result<Types> infer_lut_to_dense(const InferContext& op) {
  if (op.has("shape")) {
    const auto shape = explicit_shape(op);
    if (!shape) return Types{tensor(op.dtype("lut"), {kVariadicDim})};
    ANEROID_TRY(check_dims(*shape));
    return Types{tensor(op.dtype("lut"), *shape)};
  }
  const Shape& indices = op.shape("indices");
  const Shape& lut = op.shape("lut");
  if (lut.size() != indices.size() + 2) {
    return shape_error(
        fmt::format("lut {} must have two dimensions more than indices {}",
                    to_string(lut), to_string(indices)));
  }
  Shape shape = indices;
  const int64_t vector_size = lut.back();
  if (op.has("vector_axis")) {
    const auto given = op.int_or("vector_axis", 0);
    if (!given)
      return Types{tensor(op.dtype("lut"), Shape(shape.size(), kUnknownDim))};
    ANEROID_ASSIGN(const int64_t axis,
                   normalize_axis(*given, shape.size(), "vector_axis"));
    int64_t& dim = shape[static_cast<size_t>(axis)];
    constexpr int64_t kLargest = int64_t{1} << 31;
    if (dim > kLargest || vector_size > kLargest) {
      return shape_error("constexpr_lut_to_dense: a dimension exceeds 2^31");
    }
    dim = dim == kUnknownDim || vector_size == kUnknownDim ? kUnknownDim
                                                           : dim * vector_size;
  } else if (!compatible(vector_size, 1)) {
    return input_error(
        "mil.input", "",
        fmt::format("vectors of {} entries need vector_axis", vector_size));
  }
  return Types{tensor(op.dtype("lut"), std::move(shape))};
}

Result<Types> infer_sparse_to_dense(const InferContext& op) {
  const DataType dtype = op.dtype("nonzero_data");
  if (!op.has("shape")) return Types{tensor(dtype, op.shape("mask"))};
  const auto shape = explicit_shape(op);
  if (!shape) return Types{tensor(dtype, {kVariadicDim})};
  ANEROID_TRY(check_dims(*shape));
  return Types{tensor(dtype, *shape)};
}

Result<Types> infer_constexpr_cast(const InferContext& op) {
  if (op.string_or("output_dtype", "") != "fp32" ||
      op.dtype("source_val") != DataType::kFp16) {
    return type_error("constexpr_cast widens fp16 to fp32 only");
  }
  return Types{tensor(DataType::kFp32, op.shape("source_val"))};
}

Result<Types> infer_read_state(const InferContext& op) {
  const Type& state = *op.type("input");
  if (state.kind != Type::Kind::kState || state.args.size() != 1) {
    return type_error(
        fmt::format("read_state needs a state, not {}", print(state)));
  }
  return Types{state.args.front()};
}

Result<Types> infer_write_state(const InferContext& op) {
  const Type& state = *op.type("input");
  if (state.kind != Type::Kind::kState || state.args.size() != 1) {
    return type_error(
        fmt::format("write_state needs a state, not {}", print(state)));
  }
  if (!compatible(state.args.front(), *op.type("data"))) {
    return shape_error(fmt::format("write_state: {} into {}",
                                   print(*op.type("data")), print(state)));
  }
  return Types{};
}

Result<Types> infer_from_buffer(const InferContext& op) {
  return Types{tensor(op.dtype("input"), op.shape("input"))};
}

Result<Types> infer_to_buffer(const InferContext& op) {
  Type type = tensor(op.dtype("input"), op.shape("input"));
  type.kind = Type::Kind::kTensorBuffer;
  return Types{std::move(type)};
}

}  // namespace aneroid::mil
