#include <string>
#include <utility>

#include <fmt/format.h>

#include "aneroid/blob/blob.h"
#include "aneroid/blob/layout.h"

namespace aneroid::blob {
namespace {

tl::unexpected<Diagnostic> bad(uint64_t offset, std::string message) {
  return input_error("blob", fmt::format("record at {}", offset),
                     std::move(message));
}

// Whether bytes [offset, offset + size) are in a file of `length` bytes; safe
// against overflow.
bool inside(uint64_t length, uint64_t offset, uint64_t size) {
  return size <= length && offset <= length - size;
}

bool has_sentinel(std::span<const std::byte> file, uint64_t offset) {
  return inside(file.size(), offset, kRecordSize) &&
         load<uint32_t>(file, offset + kRecordSentinel) == kSentinel;
}

// Where the caller probably meant to point; empty when there is no guess.
std::string offset_hint(std::span<const std::byte> file, uint64_t offset) {
  if (offset == 0) {
    return "rule C010: offset 0 is the file header; the first record is at 64";
  }
  const bool is_data =
      offset >= kRecordSize && has_sentinel(file, offset - kRecordSize) &&
      load<uint64_t>(file, offset - kRecordSize + kRecordDataOffset) == offset;
  if (is_data) {
    return fmt::format(
        "rule C010: {} is where the data starts; BLOBFILE names the record in "
        "front of it, at {}",
        offset, offset - kRecordSize);
  }
  return {};
}

}  // namespace

Status Reader::check_record(uint64_t offset) const {
  if (has_sentinel(file_, offset)) return {};
  Diagnostic diagnostic;
  diagnostic.label = "blob";
  diagnostic.place = fmt::format("record at {}", offset);
  if (!inside(file_.size(), offset, kRecordSize)) {
    diagnostic.message = fmt::format(
        "a record of 64 bytes at offset {} does not fit in a file of {} bytes",
        offset, file_.size());
  } else {
    diagnostic.message =
        fmt::format("no record here: the first word is {:#010x}, not {:#010x}",
                    load<uint32_t>(file_, offset + kRecordSentinel), kSentinel);
  }
  if (std::string hint = offset_hint(file_, offset); !hint.empty()) {
    diagnostic.notes.push_back(std::move(hint));
  }
  return tl::unexpected(std::move(diagnostic));
}

Result<Record> Reader::read_strict(uint64_t offset, DataType expected,
                                   uint64_t size) const {
  if (file_.size() < kHeaderSize) {
    return bad(offset, fmt::format("a weight file starts with a header of 64 "
                                   "bytes; this one has {} bytes in all",
                                   file_.size()));
  }
  const auto version = load<uint32_t>(file_, kHeaderVersion);
  if (version != kVersion) {
    return bad(offset, fmt::format("the file header says version {}; only "
                                   "version {} is known",
                                   version, kVersion));
  }
  if (offset % kAlignment != 0) {
    return bad(offset, fmt::format("offset {} is not a multiple of {}", offset,
                                   kAlignment));
  }
  ANEROID_TRY(check_record(offset));

  const auto code = load<uint32_t>(file_, offset + kRecordType);
  if (code != type_code(expected)) {
    const std::optional<DataType> stored = type_from_code(code);
    return bad(offset,
               fmt::format("the record holds {} (code {}), the program says {}",
                           stored ? name(*stored) : "an unknown type", code,
                           name(expected)));
  }
  const auto data_size = load<uint64_t>(file_, offset + kRecordDataSize);
  if (data_size != size) {
    return bad(offset, fmt::format("the record holds {} bytes, the program's "
                                   "tensor takes {}",
                                   data_size, size));
  }
  // The word is left uninitialised by older tools unless the type needs it,
  // so it is only looked at where it has a meaning.
  const auto padding = load<uint64_t>(file_, offset + kRecordPaddingBits);
  const auto width = static_cast<uint64_t>(bits(expected));
  const bool divides = width == 3 || width == 6 || padding % width == 0;
  if (width < 8 && (padding >= 8 || !divides)) {
    return bad(offset,
               fmt::format("{} padding bits cannot follow elements of {} bits",
                           padding, width));
  }
  const auto data_offset = load<uint64_t>(file_, offset + kRecordDataOffset);
  if (data_offset < offset + kRecordSize) {
    return bad(offset,
               fmt::format("rule C011: the record says its data starts at {}, "
                           "before the record ends at {}",
                           data_offset, offset + kRecordSize));
  }
  if (!inside(file_.size(), data_offset, data_size)) {
    return bad(offset, fmt::format("{} bytes at {} do not fit in a file of {} "
                                   "bytes; it may be truncated",
                                   data_size, data_offset, file_.size()));
  }
  return Record{expected, file_.subspan(data_offset, data_size)};
}

Result<Record> Reader::read_hand_made(uint64_t offset, DataType expected,
                                      uint64_t size) const {
  uint64_t data_offset = 0;
  if (offset == kFirstRecord && has_sentinel(file_, 0) &&
      !has_sentinel(file_, offset)) {
    data_offset = kRecordSize;  // no file header: the record is at 0
  } else {
    ANEROID_TRY(check_record(offset));
    data_offset = load<uint64_t>(file_, offset + kRecordDataOffset);
    if (data_offset == 0) data_offset = offset + kRecordSize;
  }
  if (!inside(file_.size(), data_offset, size)) {
    return bad(offset, fmt::format("the tensor's {} bytes at {} do not fit in "
                                   "a file of {} bytes; it may be truncated",
                                   size, data_offset, file_.size()));
  }
  return Record{expected, file_.subspan(data_offset, size)};
}

Result<Record> Reader::read(uint64_t offset, DataType expected,
                            int64_t elements) const {
  if (!is_storable(expected)) {
    return bad(offset, fmt::format("a weight file cannot hold {}; write the "
                                   "constant in the program instead",
                                   name(expected)));
  }
  const std::optional<uint64_t> size = packed_size(expected, elements);
  if (!size) {
    return bad(offset, fmt::format("{} elements of {} are not a size", elements,
                                   name(expected)));
  }
  return tolerance_ == Tolerance::kStrict
             ? read_strict(offset, expected, *size)
             : read_hand_made(offset, expected, *size);
}

Result<std::vector<std::byte>> Reader::read_elements(uint64_t offset,
                                                     DataType expected,
                                                     int64_t elements) const {
  ANEROID_ASSIGN(const Record record, read(offset, expected, elements));
  return unpack(expected, record.data, elements);
}

}  // namespace aneroid::blob
