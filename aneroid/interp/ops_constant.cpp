// Constants, conversions between element types, and quantisation.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

Result<DataType> type_named(const Context& context, std::string_view input,
                            std::string_view otherwise) {
  ANEROID_ASSIGN(const std::string text, context.text(input, otherwise));
  const std::optional<DataType> type = data_type_from_name(text);
  if (!type || *type == DataType::kString) {
    return Context::error(
        fmt::format("{} \"{}\" is not an element type", input, text));
  }
  return *type;
}

Results convert(const Context& context, const HostTensor& x, DataType type) {
  ANEROID_ASSIGN(HostTensor y, context.make(type, x.shape));
  y.data = x.data;
  return std::vector{std::move(y)};
}

// A scale or zero point: one element, or one per index of `axis`.
struct PerAxis {
  const HostTensor* values = nullptr;  // null for all zeros
  int64_t inner = 1;
  int64_t size = 1;

  double at(size_t element) const {
    if (values == nullptr) return 0.0;
    const auto index = static_cast<int64_t>(element) / inner % size;
    return values->data[static_cast<size_t>(index)];
  }
};

Result<PerAxis> per_axis(const Context& context, const HostTensor& x,
                         std::string_view input, const HostTensor* values) {
  PerAxis result;
  result.values = values;
  if (values == nullptr || values->data.size() == 1) return result;
  ANEROID_ASSIGN(const int64_t named, context.integer("axis", std::nullopt));
  ANEROID_ASSIGN(const size_t axis, normal_axis(named, x.shape.size()));
  if (static_cast<int64_t>(values->data.size()) != x.shape[axis]) {
    return Context::error(
        fmt::format("{} has {} elements for dimension {} of "
                    "{}",
                    input, values->data.size(), axis, to_string(x.shape)));
  }
  const AxisView view = around_axis(x.shape, axis);
  result.inner = view.inner;
  result.size = view.size;
  return result;
}

struct Affine {
  PerAxis scale;
  PerAxis zero_point;
};

Result<Affine> affine(const Context& context, const HostTensor& x) {
  Affine result;
  ANEROID_ASSIGN(const HostTensor* scale, context.tensor("scale"));
  ANEROID_ASSIGN(result.scale, per_axis(context, x, "scale", scale));
  ANEROID_ASSIGN(result.zero_point,
                 per_axis(context, x, "zero_point",
                          context.optional_tensor("zero_point")));
  return result;
}

// scale * (q - zero_point), in the type of the scale.
Results affine_dequantize(const Context& context, std::string_view input) {
  ANEROID_ASSIGN(const HostTensor* q, context.tensor(input));
  ANEROID_ASSIGN(const Affine map, affine(context, *q));
  ANEROID_ASSIGN(HostTensor y, context.make(map.scale.values->dtype, q->shape));
  for (size_t i = 0; i < y.data.size(); ++i) {
    y.data[i] = map.scale.at(i) * (q->data[i] - map.zero_point.at(i));
  }
  return std::vector{std::move(y)};
}

}  // namespace

Results constant(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* value, context.tensor("val"));
  return std::vector{*value};
}

Results cast(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const DataType type, type_named(context, "dtype", ""));
  return convert(context, *x, type);
}

Results constexpr_cast(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("source_val"));
  ANEROID_ASSIGN(const DataType type,
                 type_named(context, "output_dtype", "fp32"));
  return convert(context, *x, type);
}

// clamp(round(x / scale) + zero_point), halves away from zero as the engine
// does (rule N09); the clamp is the rounding to the result's type.
Results quantize(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("input"));
  ANEROID_ASSIGN(const Affine map, affine(context, *x));
  ANEROID_ASSIGN(const DataType type,
                 type_named(context, "output_dtype", "int8"));
  ANEROID_ASSIGN(HostTensor y, context.make(type, x->shape));
  for (size_t i = 0; i < y.data.size(); ++i) {
    y.data[i] = std::round(x->data[i] / map.scale.at(i)) + map.zero_point.at(i);
  }
  return std::vector{std::move(y)};
}

Results dequantize(const Context& context) {
  return affine_dequantize(context, "input");
}

Results constexpr_affine_dequantize(const Context& context) {
  return affine_dequantize(context, "quantized_data");
}

// scale[b] * (data - offset[b]) where each dimension of scale divides that of
// data into blocks.
Results constexpr_blockwise_shift_scale(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* data, context.tensor("data"));
  ANEROID_ASSIGN(const HostTensor* scale, context.tensor("scale"));
  const HostTensor* offset = context.optional_tensor("offset");
  const size_t rank = data->shape.size();
  bool fits = scale->shape.size() == rank &&
              (offset == nullptr || offset->shape == scale->shape);
  // As [blocks0, block0, blocks1, block1, ...]: inside a block the scale
  // stands still.
  Shape pairs;
  Strides strides;
  const Strides own = strides_of(scale->shape);
  for (size_t i = 0; fits && i < rank; ++i) {
    const int64_t blocks = scale->shape[i];
    fits = blocks > 0 && data->shape[i] % blocks == 0;
    if (!fits) break;
    pairs.insert(pairs.end(), {blocks, data->shape[i] / blocks});
    strides.insert(strides.end(), {own[i], 0});
  }
  if (!fits) {
    return Context::error(
        fmt::format("scale {} (and offset) must have the rank of data {} and "
                    "divide its dimensions",
                    to_string(scale->shape), to_string(data->shape)));
  }
  ANEROID_ASSIGN(HostTensor y, context.make(scale->dtype, data->shape));
  size_t i = 0;
  walk(pairs, strides, 0, [&](int64_t block) {
    const auto b = static_cast<size_t>(block);
    const double shift = offset == nullptr ? 0.0 : offset->data[b];
    y.data[i] = scale->data[b] * (data->data[i] - shift);
    ++i;
  });
  return std::vector{std::move(y)};
}

Results fill(const Context& context) {
  ANEROID_ASSIGN(const Shape shape, context.integers("shape"));
  ANEROID_ASSIGN(const double value, context.number("value", 0.0));
  const HostTensor* typed = context.optional_tensor("value");
  ANEROID_ASSIGN(
      HostTensor y,
      context.make(typed == nullptr ? DataType::kFp32 : typed->dtype, shape));
  std::fill(y.data.begin(), y.data.end(), value);
  return std::vector{std::move(y)};
}

}  // namespace aneroid::interp
