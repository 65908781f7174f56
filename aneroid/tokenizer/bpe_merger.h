// Byte-pair merging as llama2.c's encode() does it, in O(n log n).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

// The rule: a text is its characters, each a piece or else its bytes; while
// two neighbours join to a piece, the best-scored such pair does, the leftmost
// of equals.
//
// Two things make it fast. A pair of characters that stands in no piece can
// never be joined over, so the text falls there into segments that merge
// independently, usually words. Inside a segment a heap finds the best pair.
//
// Only kText pieces take part: text that spells "<s>" or "<0x0A>" is text.
// Immutable; any number of threads may use one object.
class BpeMerger {
 public:
  // All 256 byte pieces must be there. Of equal pieces the first counts.
  explicit BpeMerger(std::span<const Piece> pieces);

  // `text` must be valid UTF-8.
  void append_ids(std::string_view text, std::vector<int32_t>& ids) const;

 private:
  struct Merge {
    int32_t id;
    float score;
  };
  struct Workspace;

  // The id of a one-character piece, or -1.
  int32_t character_id(std::string_view character) const;
  const Merge* find_merge(int32_t left, int32_t right) const;
  // Merges work.segment, appends its ids and empties it.
  void finish_segment(Workspace& work, std::vector<int32_t>& ids) const;

  std::array<int32_t, 256> byte_ids_{};
  std::unordered_map<uint32_t, int32_t> characters_;  // by packed bytes
  std::unordered_map<uint64_t, Merge> merges_;        // by (left, right) id
  std::unordered_set<uint64_t> joints_;  // neighbours inside some piece
};

// The first character of valid, not empty UTF-8.
std::string_view first_character(std::string_view text);

}  // namespace aneroid::tokenizer
