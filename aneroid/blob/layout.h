// Where the fields of a weight file are; private to this folder.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "aneroid/base/dtype.h"

namespace aneroid::blob {

static_assert(std::endian::native == std::endian::little,
              "weight files are little-endian and read in place");

inline constexpr uint64_t kHeaderSize = 64;
inline constexpr uint64_t kRecordSize = 64;

// Offsets within the header and within a record.
inline constexpr uint64_t kHeaderCount = 0;
inline constexpr uint64_t kHeaderVersion = 4;
inline constexpr uint64_t kRecordSentinel = 0;
inline constexpr uint64_t kRecordType = 4;
inline constexpr uint64_t kRecordDataSize = 8;
inline constexpr uint64_t kRecordDataOffset = 16;
inline constexpr uint64_t kRecordPaddingBits = 24;

// The bytes at `offset` must exist.
template <typename T>
T load(std::span<const std::byte> bytes, uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}
template <typename T>
void store(std::span<std::byte> bytes, uint64_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(T));
}

// The record's code for a type; 0 when there is none.
uint32_t type_code(DataType type);
std::optional<DataType> type_from_code(uint32_t code);

// Bytes that `count` packed elements take; nullopt on overflow or a negative
// count.
std::optional<uint64_t> packed_size(DataType type, int64_t count);

}  // namespace aneroid::blob
