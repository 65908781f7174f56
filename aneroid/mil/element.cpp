#include "aneroid/mil/element.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "aneroid/base/half.h"

namespace aneroid::mil {
namespace {

static_assert(std::endian::native == std::endian::little,
              "constants are kept little-endian and copied as they are");

template <typename T>
T load(const std::byte* element) {
  T value;
  std::memcpy(&value, element, sizeof value);
  return value;
}

void append_bytes(uint64_t bits, size_t size, Value::Bytes& out) {
  for (size_t i = 0; i < size; ++i) {
    out.push_back(static_cast<std::byte>(bits >> (8 * i)));
  }
}

// The float formats without a base library type.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;
  bool finite_only;  // e4m3fn: all ones is NaN, there is no infinity

  int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  uint32_t exponent_mask() const { return (1U << exponent_bits) - 1; }
  uint32_t mantissa_mask() const { return (1U << mantissa_bits) - 1; }
};

SmallFloat small_float(DataType dtype) {
  switch (dtype) {
    case DataType::kFp8E4m3fn:
      return {4, 3, true};
    case DataType::kFp8E5m2:
      return {5, 2, false};
    default:
      return {8, 7, false};  // bf16
  }
}

double decode_small(const SmallFloat& format, uint32_t bits) {
  const uint32_t mantissa = bits & format.mantissa_mask();
  const uint32_t exponent =
      (bits >> format.mantissa_bits) & format.exponent_mask();
  const bool negative =
      (bits >> (format.mantissa_bits + format.exponent_bits) & 1) != 0;
  double magnitude = 0;
  if (exponent == format.exponent_mask() &&
      (!format.finite_only || mantissa == format.mantissa_mask())) {
    magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else {
    const bool subnormal = exponent == 0;
    const double fraction =
        (subnormal ? 0 : format.mantissa_mask() + 1.0) + mantissa;
    magnitude =
        std::ldexp(fraction, static_cast<int>(subnormal ? 1 : exponent) -
                                 format.bias() - format.mantissa_bits);
  }
  return negative ? -magnitude : magnitude;
}

uint32_t encode_small(const SmallFloat& format, double value) {
  const uint32_t sign = (std::signbit(value) ? 1U : 0U)
                        << (format.mantissa_bits + format.exponent_bits);
  const uint32_t ones =
      (format.exponent_mask() << format.mantissa_bits) | format.mantissa_mask();
  const uint32_t infinity = format.finite_only ? ones
                                               : format.exponent_mask()
                                                     << format.mantissa_bits;
  const double magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | ones;
  if (std::isinf(value)) return sign | infinity;
  int exponent = 0;
  std::frexp(magnitude, &exponent);
  exponent = std::max(exponent - 1, 1 - format.bias());
  if (exponent > format.bias() + 1) return sign | infinity;
  const auto steps = static_cast<uint32_t>(
      std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent)));
  const uint32_t leading = 1U << format.mantissa_bits;
  // A carry out of the mantissa moves into the exponent by itself.
  const uint32_t bits = steps < leading
                            ? steps
                            : (static_cast<uint32_t>(exponent + format.bias())
                               << format.mantissa_bits) +
                                  (steps - leading);
  return sign | std::min(bits, infinity);
}

int64_t saturate(double value) {
  constexpr double kLimit = 0x1p63;
  if (std::isnan(value)) return 0;
  if (value >= kLimit) return std::numeric_limits<int64_t>::max();
  if (value < -kLimit) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

}  // namespace

double element_as_double(DataType dtype, const std::byte* element) {
  switch (dtype) {
    case DataType::kFp16:
      return to_float(Half{load<uint16_t>(element)});
    case DataType::kFp32:
      return load<float>(element);
    case DataType::kFp64:
      return load<double>(element);
    case DataType::kBf16:
      return decode_small(small_float(dtype), load<uint16_t>(element));
    case DataType::kFp8E4m3fn:
    case DataType::kFp8E5m2:
      return decode_small(small_float(dtype), load<uint8_t>(element));
    case DataType::kUint64:
      return static_cast<double>(load<uint64_t>(element));
    default:
      return static_cast<double>(element_as_int(dtype, element));
  }
}

int64_t element_as_int(DataType dtype, const std::byte* element) {
  switch (dtype) {
    case DataType::kInt4:
    case DataType::kInt8:
      return load<int8_t>(element);
    case DataType::kInt16:
      return load<int16_t>(element);
    case DataType::kInt32:
      return load<int32_t>(element);
    case DataType::kInt64:
      return load<int64_t>(element);
    case DataType::kUint16:
      return load<uint16_t>(element);
    case DataType::kUint32:
      return load<uint32_t>(element);
    case DataType::kUint64:
      return static_cast<int64_t>(
          std::min(load<uint64_t>(element),
                   static_cast<uint64_t>(std::numeric_limits<int64_t>::max())));
    case DataType::kString:
      return 0;
    default:
      return is_float(dtype) ? saturate(element_as_double(dtype, element))
                             : load<uint8_t>(element);
  }
}

void append_double(DataType dtype, double value, Value::Bytes& out) {
  switch (dtype) {
    case DataType::kFp16:
      return append_bytes(to_half_even(value).bits, 2, out);
    case DataType::kFp32:
      return append_bytes(std::bit_cast<uint32_t>(static_cast<float>(value)), 4,
                          out);
    case DataType::kFp64:
      return append_bytes(std::bit_cast<uint64_t>(value), 8, out);
    case DataType::kBf16:
    case DataType::kFp8E4m3fn:
    case DataType::kFp8E5m2:
      return append_bytes(encode_small(small_float(dtype), value), bytes(dtype),
                          out);
    default:
      return append_int(dtype, saturate(std::nearbyint(value)), out);
  }
}

void append_int(DataType dtype, int64_t value, Value::Bytes& out) {
  if (is_float(dtype))
    return append_double(dtype, static_cast<double>(value), out);
  append_bytes(static_cast<uint64_t>(value), bytes(dtype), out);
}

}  // namespace aneroid::mil
