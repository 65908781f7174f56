// Element types of MIL and of our files, and shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aneroid {

enum class DataType : uint8_t {
  kBool,
  kString,
  kFp8E4m3fn,
  kFp8E5m2,
  kFp16,
  kFp32,
  kFp64,
  kBf16,
  kInt4,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint1,
  kUint2,
  kUint3,
  kUint4,
  kUint6,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
};

// The name in MIL text: "fp16", "int32", "bool".
std::string_view name(DataType type);
std::optional<DataType> data_type_from_name(std::string_view name);

// Bits of one element as stored in files; 0 for strings.
int bits(DataType type);
// Bytes of one element in memory, where types under 8 bits take a whole byte;
// 0 for strings.
size_t bytes(DataType type);
bool is_float(DataType type);
bool is_integer(DataType type);  // bool and string are not

// Dimensions, outermost first. A rank-0 shape is a scalar.
using Shape = std::vector<int64_t>;
inline constexpr int64_t kUnknownDim = -1;   // '?'
inline constexpr int64_t kVariadicDim = -2;  // '...'

// Product of the dimensions, 1 for a scalar; nullopt when a dimension is
// unknown or negative, or when the product exceeds 2^62.
std::optional<int64_t> element_count(const Shape& shape);
std::string to_string(const Shape& shape);  // "[1, 768, 1, 256]"

}  // namespace aneroid
