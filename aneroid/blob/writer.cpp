#include <cassert>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "aneroid/blob/blob.h"
#include "aneroid/blob/layout.h"

namespace aneroid::blob {

Result<uint64_t> Writer::append(DataType type,
                                std::span<const std::byte> elements) {
  const uint32_t code = type_code(type);
  if (code == 0) {
    return input_error("blob", "",
                       fmt::format("a weight file has no type code for {}; "
                                   "write the constant in the program instead",
                                   name(type)));
  }
  if (elements.size() % bytes(type) != 0) {
    return input_error(
        "blob", "",
        fmt::format("{} bytes are not whole elements of {} ({} bytes each)",
                    elements.size(), name(type), bytes(type)));
  }
  const std::vector<std::byte> packed = pack(type, elements);
  const auto width = static_cast<uint64_t>(bits(type));
  const uint64_t padding =
      width < 8 ? packed.size() * 8 - elements.size() * width : 0;

  const uint64_t end = file_.empty() ? kHeaderSize : file_.size();
  const uint64_t record = (end + kAlignment - 1) / kAlignment * kAlignment;
  file_.resize(record + kRecordSize);
  store(file_, record + kRecordSentinel, kSentinel);
  store(file_, record + kRecordType, code);
  store(file_, record + kRecordDataSize, uint64_t{packed.size()});
  store(file_, record + kRecordDataOffset, record + kRecordSize);
  store(file_, record + kRecordPaddingBits, padding);
  file_.insert(file_.end(), packed.begin(), packed.end());
  ++count_;
  return record;
}

std::vector<std::byte> Writer::finish() {
  if (file_.empty()) file_.resize(kHeaderSize);
  store(file_, kHeaderCount, count_);
  store(file_, kHeaderVersion, kVersion);
  count_ = 0;
  return std::exchange(file_, {});
}

std::vector<std::byte> single_blob(DataType type,
                                   std::span<const std::byte> elements) {
  Writer writer;
  [[maybe_unused]] const Result<uint64_t> offset =
      writer.append(type, elements);
  assert(offset.has_value() && *offset == kFirstRecord);
  return writer.finish();
}

}  // namespace aneroid::blob
