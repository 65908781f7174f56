#include "aneroid/base/dtype.h"

#include <array>

#include <fmt/format.h>

namespace aneroid {
namespace {

struct Row {
  DataType type;
  std::string_view name;
  int bits;
  bool is_float;
  bool is_integer;
};

constexpr std::array kRows = {
    Row{DataType::kBool, "bool", 8, false, false},
    Row{DataType::kString, "string", 0, false, false},
    Row{DataType::kFp8E4m3fn, "fp8e4m3fn", 8, true, false},
    Row{DataType::kFp8E5m2, "fp8e5m2", 8, true, false},
    Row{DataType::kFp16, "fp16", 16, true, false},
    Row{DataType::kFp32, "fp32", 32, true, false},
    Row{DataType::kFp64, "fp64", 64, true, false},
    Row{DataType::kBf16, "bf16", 16, true, false},
    Row{DataType::kInt4, "int4", 4, false, true},
    Row{DataType::kInt8, "int8", 8, false, true},
    Row{DataType::kInt16, "int16", 16, false, true},
    Row{DataType::kInt32, "int32", 32, false, true},
    Row{DataType::kInt64, "int64", 64, false, true},
    Row{DataType::kUint1, "uint1", 1, false, true},
    Row{DataType::kUint2, "uint2", 2, false, true},
    Row{DataType::kUint3, "uint3", 3, false, true},
    Row{DataType::kUint4, "uint4", 4, false, true},
    Row{DataType::kUint6, "uint6", 6, false, true},
    Row{DataType::kUint8, "uint8", 8, false, true},
    Row{DataType::kUint16, "uint16", 16, false, true},
    Row{DataType::kUint32, "uint32", 32, false, true},
    Row{DataType::kUint64, "uint64", 64, false, true},
};

const Row& row(DataType type) { return kRows[static_cast<size_t>(type)]; }

}  // namespace

std::string_view name(DataType type) { return row(type).name; }

std::optional<DataType> data_type_from_name(std::string_view wanted) {
  for (const Row& candidate : kRows) {
    if (candidate.name == wanted) return candidate.type;
  }
  return std::nullopt;
}

int bits(DataType type) { return row(type).bits; }

size_t bytes(DataType type) {
  return (static_cast<size_t>(row(type).bits) + 7) / 8;
}

bool is_float(DataType type) { return row(type).is_float; }
bool is_integer(DataType type) { return row(type).is_integer; }

std::optional<int64_t> element_count(const Shape& shape) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0) return std::nullopt;
    if (dim != 0 && count > kLimit / dim) return std::nullopt;
    count *= dim;
  }
  return count;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    if (shape[i] == kUnknownDim) {
      text += "?";
    } else if (shape[i] == kVariadicDim) {
      text += "...";
    } else {
      text += fmt::format("{}", shape[i]);
    }
  }
  return text + "]";
}

}  // namespace aneroid
