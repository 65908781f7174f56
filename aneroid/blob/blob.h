// Weight files ("blob v2"): a 64-byte header, then records of 64 bytes each
// followed by their data. docs/spec/blob.md has the layout.
//
// A BLOBFILE constant names the offset of the record, never of the data
// (rule C010). Everything in a file is untrusted: each number is checked
// before it is used. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"

namespace aneroid::blob {

inline constexpr uint64_t kAlignment = 64;
inline constexpr uint64_t kFirstRecord = 64;
inline constexpr uint32_t kSentinel = 0xDEADBEEF;
inline constexpr uint32_t kVersion = 2;

// Whether a record can hold the type: bool, string, fp64, int64 and uint64
// have no code.
bool is_storable(DataType type);

// Types under 8 bits take a whole byte per element in memory and are a bit
// stream in files, first element in the lowest bits.
std::vector<std::byte> pack(DataType type, std::span<const std::byte> elements);
// `packed` holds at least count * bits(type) bits. int4 is sign-extended.
std::vector<std::byte> unpack(DataType type, std::span<const std::byte> packed,
                              int64_t count);

class Writer {
 public:
  // Appends a record whose elements are as in memory (see pack) and returns
  // its offset, a multiple of 64. Errors ("blob"): a type without a code, a
  // size that is not whole elements.
  Result<uint64_t> append(DataType type, std::span<const std::byte> elements);
  // The file. The writer is empty afterwards.
  std::vector<std::byte> finish();

 private:
  std::vector<std::byte> file_;
  uint32_t count_ = 0;
};

// A file with one record at kFirstRecord, data at 128. The type must be
// storable and `elements` whole.
std::vector<std::byte> single_blob(DataType type,
                                   std::span<const std::byte> elements);

struct Record {
  DataType dtype = DataType::kFp16;
  std::span<const std::byte> data;  // as in the file; borrows it
};

enum class Tolerance : uint8_t {
  kStrict,
  // Also accepts what published training tools write by hand: no file header,
  // unaligned records, a type or size that contradicts the tensor, data
  // offset 0 for "after the record". The tensor's type is trusted instead.
  kHandMade,
};

// Reads records of a file that it borrows.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file,
                  Tolerance tolerance = Tolerance::kStrict)
      : file_(file), tolerance_(tolerance) {}

  // The record at `offset`, which must hold `elements` elements of `expected`.
  // Errors ("blob"): a bad header, offset, sentinel, type, size, data offset
  // or padding, with both numbers; a note names rule C010 when the offset is
  // that of the header or of the data.
  Result<Record> read(uint64_t offset, DataType expected,
                      int64_t elements) const;
  // The same, copied to memory layout: bytes(expected) per element.
  Result<std::vector<std::byte>> read_elements(uint64_t offset,
                                               DataType expected,
                                               int64_t elements) const;

 private:
  Result<Record> read_strict(uint64_t offset, DataType expected,
                             uint64_t size) const;
  Result<Record> read_hand_made(uint64_t offset, DataType expected,
                                uint64_t size) const;
  Status check_record(uint64_t offset) const;

  std::span<const std::byte> file_;
  Tolerance tolerance_;
};

}  // namespace aneroid::blob
