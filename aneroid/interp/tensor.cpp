#include "aneroid/interp/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "aneroid/base/half.h"

namespace aneroid::interp {
namespace {

template <typename T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Has no infinities: only the all-ones pattern is NaN.
double decode_fp8_e4m3fn(uint8_t code) {
  const double sign = (code & 0x80) != 0 ? -1.0 : 1.0;
  const int exponent = code >> 3 & 0xF;
  const int mantissa = code & 7;
  if ((code & 0x7F) == 0x7F) return std::numeric_limits<double>::quiet_NaN();
  if (exponent == 0) return sign * std::ldexp(mantissa, -9);
  return sign * std::ldexp(8 + mantissa, exponent - 10);
}

double decode_one(DataType dtype, const std::byte* bytes) {
  switch (dtype) {
    case DataType::kBool:
      return load<uint8_t>(bytes) != 0 ? 1.0 : 0.0;
    case DataType::kFp8E4m3fn:
      return decode_fp8_e4m3fn(load<uint8_t>(bytes));
    case DataType::kFp8E5m2:
      return to_float(Half{static_cast<uint16_t>(load<uint8_t>(bytes) << 8)});
    case DataType::kFp16:
      return to_float(Half{load<uint16_t>(bytes)});
    case DataType::kBf16: {
      const uint32_t bits = static_cast<uint32_t>(load<uint16_t>(bytes)) << 16;
      return load<float>(reinterpret_cast<const std::byte*>(&bits));
    }
    case DataType::kFp32:
      return load<float>(bytes);
    case DataType::kFp64:
      return load<double>(bytes);
    case DataType::kInt4:
    case DataType::kInt8:
      return load<int8_t>(bytes);
    case DataType::kInt16:
      return load<int16_t>(bytes);
    case DataType::kInt32:
      return load<int32_t>(bytes);
    case DataType::kInt64:
      return static_cast<double>(load<int64_t>(bytes));
    case DataType::kUint1:
    case DataType::kUint2:
    case DataType::kUint3:
    case DataType::kUint4:
    case DataType::kUint6:
    case DataType::kUint8:
      return load<uint8_t>(bytes);
    case DataType::kUint16:
      return load<uint16_t>(bytes);
    case DataType::kUint32:
      return load<uint32_t>(bytes);
    case DataType::kUint64:
      return static_cast<double>(load<uint64_t>(bytes));
    case DataType::kString:
      break;
  }
  return 0.0;
}

bool is_unsigned(DataType dtype) { return dtype >= DataType::kUint1; }

double to_whole(double value, DataType dtype) {
  if (std::isnan(value)) return 0.0;
  const int width = bits(dtype);
  const double low = is_unsigned(dtype) ? 0.0 : -std::ldexp(1.0, width - 1);
  const double high =
      std::ldexp(1.0, is_unsigned(dtype) ? width : width - 1) - 1.0;
  return std::clamp(std::trunc(value), low, high);
}

}  // namespace

std::vector<double> decode(DataType dtype, std::span<const std::byte> bytes) {
  const size_t width = aneroid::bytes(dtype);
  if (width == 0) return {};
  std::vector<double> values(bytes.size() / width);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = decode_one(dtype, bytes.data() + i * width);
  }
  return values;
}

double conform(double value, DataType dtype, Rounding rounding) {
  if (dtype == DataType::kFp64) return value;
  if (dtype == DataType::kFp16 && rounding == Rounding::kFp16) {
    return to_float(to_half_away(value));
  }
  if (is_float(dtype)) return static_cast<float>(value);
  if (is_integer(dtype)) return to_whole(value, dtype);
  return value != 0.0 ? 1.0 : 0.0;
}

std::optional<int64_t> limited_count(const Shape& shape, int64_t max_elements) {
  constexpr int64_t kMaxDim = int64_t{1} << 31;
  for (const int64_t dim : shape) {
    if (dim > kMaxDim) return std::nullopt;
  }
  const std::optional<int64_t> count = element_count(shape);
  return count && *count <= max_elements ? count : std::nullopt;
}

Strides strides_of(const Shape& shape) {
  // An empty tensor is never indexed, and its other dimensions may be so
  // large that their product overflows.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return Strides(shape.size(), 0);
  }
  Strides strides(shape.size(), 1);
  for (size_t i = shape.size(); i > 1; --i) {
    strides[i - 2] = strides[i - 1] * shape[i - 1];
  }
  return strides;
}

Strides stretched_strides(const Shape& from, const Shape& to) {
  Strides strides(to.size(), 0);
  const Strides own = strides_of(from);
  const size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[lead + i] = own[i];
  }
  return strides;
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const bool a_longer = a.size() >= b.size();
  Shape shape = a_longer ? a : b;
  const Shape& other = a_longer ? b : a;
  const size_t lead = shape.size() - other.size();
  for (size_t i = 0; i < other.size(); ++i) {
    int64_t& dim = shape[lead + i];
    if (dim == other[i] || other[i] == 1) continue;
    if (dim != 1) {
      return input_error(
          "interp", "",
          fmt::format("shapes {} and {} do not broadcast: {} "
                      "against {}",
                      to_string(a), to_string(b), dim, other[i]));
    }
    dim = other[i];
  }
  return shape;
}

Result<size_t> normal_axis(int64_t axis, size_t rank) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return input_error(
        "interp", "",
        fmt::format("axis {} of a tensor of rank {}", axis, rank));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<std::vector<size_t>> normal_axes(const std::vector<int64_t>& axes,
                                        size_t rank) {
  std::vector<size_t> normal;
  if (axes.empty()) {
    for (size_t i = 0; i < rank; ++i) normal.push_back(i);
    return normal;
  }
  for (const int64_t axis : axes) {
    ANEROID_ASSIGN(const size_t index, normal_axis(axis, rank));
    normal.push_back(index);
  }
  std::sort(normal.begin(), normal.end());
  if (std::adjacent_find(normal.begin(), normal.end()) != normal.end()) {
    return input_error("interp", "", "an axis is named twice");
  }
  return normal;
}

AxisView around_axis(const Shape& shape, size_t axis) {
  AxisView view;
  view.size = shape[axis];
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    view.outer = 0;
    return view;
  }
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i < axis) view.outer *= shape[i];
    if (i > axis) view.inner *= shape[i];
  }
  return view;
}

}  // namespace aneroid::interp
