#include "aneroid/tokenizer/sentencepiece_check.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include <fmt/format.h>

namespace aneroid::tokenizer {
namespace {

// Field numbers of sentencepiece_model.proto.
constexpr uint64_t kNormalizerSpec = 3;
constexpr uint64_t kDenormalizerSpec = 5;
constexpr uint64_t kPrecompiledCharsmap = 2;

// Walks the fields of one protobuf message.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  // Moves to the next field with content of its own (a string or message).
  bool next() {
    while (!rest_.empty() && !damaged_) {
      const uint64_t tag = varint();
      number_ = tag >> 3;
      switch (tag & 7) {
        case 0:
          varint();
          break;
        case 1:
          take(8);
          break;
        case 2:
          content_ = take(varint());
          return !damaged_;
        case 5:
          take(4);
          break;
        default:  // groups: SentencePiece has none
          damaged_ = true;
      }
    }
    return false;
  }
  // After next() said no: whether it stopped before the end.
  bool damaged() const { return damaged_; }
  uint64_t number() const { return number_; }
  std::string_view content() const { return content_; }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    damaged_ = true;
    return 0;
  }
  std::string_view take(uint64_t bytes) {
    damaged_ = damaged_ || bytes > rest_.size();
    if (damaged_) return {};
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::string_view rest_;
  uint64_t number_ = 0;
  std::string_view content_;
  bool damaged_ = false;
};

// A map is: uint32 bytes of the trie; the trie, uint32 units; then the
// replacement texts, each ended by a zero byte. A unit of the trie has, from
// the low end: 8 bits label, 1 bit "a value follows", 1 bit and 22 bits for
// the distance to its children; with the top bit set it holds a value, the
// place of a replacement text.
std::string check_map(std::string_view map) {
  if (map.empty()) return {};
  uint32_t trie_bytes = 0;
  if (map.size() < sizeof(trie_bytes)) return "is cut off";
  std::memcpy(&trie_bytes, map.data(), sizeof(trie_bytes));
  map.remove_prefix(sizeof(trie_bytes));
  // A block of children is 256 units, so that any byte finds one.
  constexpr uint32_t kBlockUnits = 256;
  if (trie_bytes == 0 || trie_bytes % (kBlockUnits * 4) != 0 ||
      trie_bytes >= map.size()) {
    return fmt::format("has a trie of {} bytes in {}", trie_bytes, map.size());
  }
  std::vector<uint32_t> units(trie_bytes / 4);
  std::memcpy(units.data(), map.data(), trie_bytes);
  const std::string_view texts = map.substr(trie_bytes);
  if (texts.back() != '\0') return "has a replacement text without end";
  for (uint32_t i = 0; i < units.size(); ++i) {
    const uint32_t unit = units[i];
    if ((unit >> 31) != 0) continue;
    const uint32_t distance = (unit >> 10) << ((unit & 0x200U) >> 6);
    const uint32_t children = i ^ distance;
    if (children >= units.size()) {
      return fmt::format("has unit {} pointing to unit {} of {}", i, children,
                         units.size());
    }
    const bool has_value = (unit & 0x100U) != 0;
    const uint32_t value = units[children] & 0x7FFFFFFFU;
    if (has_value && value >= texts.size()) {
      return fmt::format("has a replacement text at byte {} of {}", value,
                         texts.size());
    }
  }
  return {};
}

}  // namespace

std::string find_character_map_damage(std::string_view model) {
  // A walk that stops early may have missed a map, so that is damage too.
  constexpr const char* kCutOff = "cannot be found: the file is cut off";
  Fields fields(model);
  while (fields.next()) {
    if (fields.number() != kNormalizerSpec &&
        fields.number() != kDenormalizerSpec) {
      continue;
    }
    Fields spec(fields.content());
    while (spec.next()) {
      if (spec.number() != kPrecompiledCharsmap) continue;
      std::string damage = check_map(spec.content());
      if (!damage.empty()) return damage;
    }
    if (spec.damaged()) return kCutOff;
  }
  return fields.damaged() ? kCutOff : "";
}

}  // namespace aneroid::tokenizer
