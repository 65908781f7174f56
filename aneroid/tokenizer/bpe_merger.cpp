#include "aneroid/tokenizer/bpe_merger.h"

#include <algorithm>
#include <utility>

namespace aneroid::tokenizer {
namespace {

// llama2.c looks for scores above this one only.
constexpr float kWorstScore = -1e10F;

uint32_t pack(std::string_view character) {
  uint32_t packed = 0;
  for (const char byte : character) {
    packed = packed << 8 | static_cast<unsigned char>(byte);
  }
  return packed;
}

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 |
         static_cast<uint32_t>(right);
}

}  // namespace

std::string_view first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return text.substr(0, length);
}

// Storage that the segments of one text share.
struct BpeMerger::Workspace {
  struct Symbol {
    int32_t id;  // -1: merged into the one before
    uint32_t previous;
    uint32_t next;
  };
  struct Candidate {
    float score;
    uint32_t left;  // index of the left symbol
    int32_t left_id;
    int32_t right_id;
    int32_t id;

    // For a max-heap: better score first, then further left.
    bool operator<(const Candidate& other) const {
      return std::pair(score, other.left) < std::pair(other.score, left);
    }
  };

  std::vector<int32_t> segment;  // ids of the characters
  std::vector<Symbol> symbols;
  std::vector<Candidate> heap;
};

BpeMerger::BpeMerger(std::span<const Piece> pieces) {
  std::unordered_map<std::string_view, int32_t> ids;
  ids.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (piece.kind == PieceKind::kByte) byte_ids_[piece.byte] = id;
    if (piece.kind != PieceKind::kText || piece.text.empty()) continue;
    const bool is_first = ids.emplace(piece.text, id).second;
    if (is_first && first_character(piece.text) == piece.text) {
      characters_[pack(piece.text)] = id;
    }
  }
  merges_.reserve(ids.size() * 4);
  for (const auto& [text, id] : ids) {
    std::string_view left = first_character(text);
    int32_t before = character_id(left);
    while (left.size() < text.size()) {
      const std::string_view right = text.substr(left.size());
      const std::string_view next = first_character(right);
      const int32_t after = character_id(next);
      if (before >= 0 && after >= 0) joints_.insert(pair_key(before, after));
      const auto left_piece = ids.find(left);
      const auto right_piece = ids.find(right);
      if (left_piece != ids.end() && right_piece != ids.end() &&
          pieces[id].score > kWorstScore) {
        merges_[pair_key(left_piece->second, right_piece->second)] = {
            id, pieces[id].score};
      }
      left = text.substr(0, left.size() + next.size());
      before = after;
    }
  }
}

int32_t BpeMerger::character_id(std::string_view character) const {
  const auto found = characters_.find(pack(character));
  return found == characters_.end() ? -1 : found->second;
}

const BpeMerger::Merge* BpeMerger::find_merge(int32_t left,
                                              int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BpeMerger::append_ids(std::string_view text,
                           std::vector<int32_t>& ids) const {
  Workspace work;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    text.remove_prefix(character.size());
    const int32_t id = character_id(character);
    const bool joins = id >= 0 && !work.segment.empty() &&
                       joints_.contains(pair_key(work.segment.back(), id));
    if (!joins) finish_segment(work, ids);
    if (id >= 0) {
      work.segment.push_back(id);
    } else {
      for (const char byte : character) {
        ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
      }
    }
  }
  finish_segment(work, ids);
}

void BpeMerger::finish_segment(Workspace& work,
                               std::vector<int32_t>& ids) const {
  auto& symbols = work.symbols;
  auto& heap = work.heap;
  const auto count = static_cast<uint32_t>(work.segment.size());
  const auto offer = [&](uint32_t left, uint32_t right) {
    const int32_t left_id = symbols[left].id;
    const int32_t right_id = symbols[right].id;
    const Merge* merge = find_merge(left_id, right_id);
    if (merge == nullptr) return;
    heap.push_back({merge->score, left, left_id, right_id, merge->id});
    std::push_heap(heap.begin(), heap.end());
  };

  symbols.clear();
  for (uint32_t i = 0; i < count; ++i) {
    symbols.push_back({work.segment[i], i - 1, i + 1});
  }
  for (uint32_t i = 0; i + 1 < count; ++i) offer(i, i + 1);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Workspace::Candidate best = heap.back();
    heap.pop_back();
    auto& left = symbols[best.left];
    // Stale unless both neighbours are still what they were.
    if (left.id != best.left_id || left.next >= count ||
        symbols[left.next].id != best.right_id) {
      continue;
    }
    symbols[left.next].id = -1;
    left.id = best.id;
    left.next = symbols[left.next].next;
    if (left.next < count) {
      symbols[left.next].previous = best.left;
      offer(best.left, left.next);
    }
    if (left.previous < count) offer(left.previous, best.left);
  }
  for (const auto& symbol : symbols) {
    if (symbol.id >= 0) ids.push_back(symbol.id);
  }
  work.segment.clear();
}

}  // namespace aneroid::tokenizer
