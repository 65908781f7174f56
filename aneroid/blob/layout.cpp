#include "aneroid/blob/layout.h"

#include <array>
#include <cassert>
#include <vector>

#include "aneroid/blob/blob.h"

namespace aneroid::blob {
namespace {

// The position in the table is the code; codes are only ever appended.
constexpr std::array kTypes = {
    DataType::kFp16,      DataType::kFp32,    DataType::kUint8,
    DataType::kInt8,      DataType::kBf16,    DataType::kInt16,
    DataType::kUint16,    DataType::kInt4,    DataType::kUint1,
    DataType::kUint2,     DataType::kUint4,   DataType::kUint3,
    DataType::kUint6,     DataType::kInt32,   DataType::kUint32,
    DataType::kFp8E4m3fn, DataType::kFp8E5m2,
};

}  // namespace

uint32_t type_code(DataType type) {
  for (uint32_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i] == type) return i + 1;
  }
  return 0;
}

std::optional<DataType> type_from_code(uint32_t code) {
  if (code == 0 || code > kTypes.size()) return std::nullopt;
  return kTypes[code - 1];
}

std::optional<uint64_t> packed_size(DataType type, int64_t count) {
  const auto width = static_cast<uint64_t>(bits(type));
  if (count < 0 || width == 0) return std::nullopt;
  const auto elements = static_cast<uint64_t>(count);
  if (elements > (uint64_t{1} << 62) / width) return std::nullopt;
  return (elements * width + 7) / 8;
}

bool is_storable(DataType type) { return type_code(type) != 0; }

std::vector<std::byte> pack(DataType type,
                            std::span<const std::byte> elements) {
  const auto width = static_cast<size_t>(bits(type));
  assert(width > 0);
  if (width >= 8) return {elements.begin(), elements.end()};
  std::vector<std::byte> packed((elements.size() * width + 7) / 8);
  for (size_t i = 0; i < elements.size(); ++i) {
    for (size_t b = 0; b < width; ++b) {
      if ((elements[i] >> b & std::byte{1}) == std::byte{0}) continue;
      const size_t bit = i * width + b;
      packed[bit / 8] |= std::byte{1} << (bit % 8);
    }
  }
  return packed;
}

std::vector<std::byte> unpack(DataType type, std::span<const std::byte> packed,
                              int64_t count) {
  const auto width = static_cast<size_t>(bits(type));
  const auto elements = static_cast<size_t>(count);
  assert(width > 0 && packed.size() >= packed_size(type, count));
  if (width >= 8) {
    const auto bytes = packed.first(elements * (width / 8));
    return {bytes.begin(), bytes.end()};
  }
  std::vector<std::byte> values(elements);
  for (size_t i = 0; i < elements; ++i) {
    unsigned value = 0;
    for (size_t b = 0; b < width; ++b) {
      const size_t bit = i * width + b;
      value |= (std::to_integer<unsigned>(packed[bit / 8]) >> (bit % 8) & 1U)
               << b;
    }
    const bool negative = type == DataType::kInt4 && (value & 8U) != 0;
    values[i] = static_cast<std::byte>(negative ? value | 0xF0U : value);
  }
  return values;
}

}  // namespace aneroid::blob
