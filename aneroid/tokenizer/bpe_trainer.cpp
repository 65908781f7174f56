#include <algorithm>
#include <cmath>
#include <map>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/bpe_merger.h"
#include "aneroid/tokenizer/bpe_model.h"
#include "aneroid/tokenizer/formats.h"

namespace aneroid::tokenizer {
namespace {

// Longer words are learnt from in parts, so that a file without spaces does
// not take forever. Pieces stay below 64 * 4 bytes.
constexpr size_t kLongestWord = 64;  // characters

enum CharacterClass { kSpace, kLetter, kDigit, kBreak, kMark, kApostrophe };

// Whether a word goes on from a character of one class (row) to the next
// (column). It depends on the two neighbours alone: that is what lets an
// encoder find the same words by looking at the pieces.
constexpr bool kJoins[6][6] = {
    //  space letter digit break mark apostrophe
    {true, true, true, false, true, true},       // space
    {false, true, false, false, false, false},   // letter
    {false, false, false, false, false, false},  // digit
    {false, false, false, true, false, false},   // break
    {false, false, false, false, true, false},   // mark
    {false, true, false, false, false, false},   // apostrophe
};

CharacterClass class_of(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character == " ") return kSpace;
  if (character == "'" || character == "\xE2\x80\x99") return kApostrophe;
  if (lead < 0x20) return kBreak;
  if (lead >= '0' && lead <= '9') return kDigit;
  const bool ascii_letter = (lead | 0x20) >= 'a' && (lead | 0x20) <= 'z';
  if (lead < 0x80) return ascii_letter ? kLetter : kMark;
  // U+2000 to U+20FF, U+3000 to U+303F: punctuation and signs.
  const bool mark = (lead == 0xE2 && character[1] <= '\x83') ||
                    character.starts_with("\xE3\x80");
  return mark ? kMark : kLetter;
}

// Calls visit(character) for the space in front of the text and then for each
// of its characters.
template <typename Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  if (text.empty()) return;
  visit(std::string_view(" "));
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    visit(character);
    text.remove_prefix(character.size());
  }
}

// The commonest characters, the commonest first; the space always.
std::vector<std::string> choose_characters(std::span<const std::string> texts,
                                           size_t most, double coverage) {
  std::map<std::string_view, int64_t> counts;
  int64_t total = 0;
  for (const std::string& text : texts) {
    for_each_character(text, [&](std::string_view character) {
      ++counts[character];
      ++total;
    });
  }
  std::vector<std::pair<std::string_view, int64_t>> ranked(counts.begin(),
                                                           counts.end());
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) {
                     return std::pair(a.first != " ", -a.second) <
                            std::pair(b.first != " ", -b.second);
                   });
  std::vector<std::string> chosen;
  double covered = 0;
  for (const auto& [character, count] : ranked) {
    if (chosen.size() == most ||
        covered >= coverage * static_cast<double>(total)) {
      break;
    }
    chosen.emplace_back(character);
    covered += static_cast<double>(count);
  }
  return chosen;
}

// Counts pairs of neighbouring symbols over all words and keeps the counts
// while pairs merge.
class PairTable {
 public:
  struct Pair {
    int32_t left;
    int32_t right;
  };

  explicit PairTable(std::vector<std::string> characters)
      : symbols_(std::move(characters)) {
    for (size_t i = 0; i < symbols_.size(); ++i) {
      ids_[symbols_[i]] = static_cast<int32_t>(i);
    }
  }

  void add_words(std::span<const std::string> texts);

  // The commonest pair, of equals the one with the older symbols; false when
  // none occurs `least` times.
  bool find_best(int64_t least, Pair& best);

  // Joins the pair wherever it stands. True when that made a new symbol,
  // false when another pair had spelled the same text before.
  bool merge(const Pair& pair);

  const std::string& newest() const { return symbols_.back(); }

 private:
  struct Word {
    std::vector<int32_t> symbols;
    int64_t count;
  };
  struct Entry {
    int64_t count = 0;
    std::vector<uint32_t> words;  // where it stands, or stood
  };
  struct Candidate {
    int64_t count;
    uint64_t key;
    bool operator<(const Candidate& other) const {
      return std::pair(count, other.key) < std::pair(other.count, key);
    }
  };

  static uint64_t key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 |
           static_cast<uint32_t>(right);
  }

  std::vector<std::string> symbols_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<uint64_t, Entry> pairs_;
  std::priority_queue<Candidate> queue_;  // counts may be out of date
};

void PairTable::add_words(std::span<const std::string> texts) {
  std::unordered_map<std::string, int64_t> counts;
  for (const std::string& text : texts) {
    std::string word;
    size_t length = 0;
    CharacterClass before = kSpace;
    const auto finish = [&] {
      if (length > 1) ++counts[word];
      word.clear();
      length = 0;
    };
    for_each_character(text, [&](std::string_view character) {
      const CharacterClass now = class_of(character);
      const bool known = ids_.contains(std::string(character));
      if (!kJoins[before][now] || !known || length == kLongestWord) finish();
      before = now;
      if (!known) return;
      word += character;
      ++length;
    });
    finish();
  }
  for (const auto& [text, count] : counts) {
    Word word{{}, count};
    for_each_character(text, [&](std::string_view character) {
      word.symbols.push_back(ids_.at(std::string(character)));
    });
    word.symbols.erase(word.symbols.begin());  // the space in front
    const auto index = static_cast<uint32_t>(words_.size());
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      Entry& entry = pairs_[key(word.symbols[i], word.symbols[i + 1])];
      entry.count += count;
      if (entry.words.empty() || entry.words.back() != index) {
        entry.words.push_back(index);
      }
    }
    words_.push_back(std::move(word));
  }
  for (const auto& [pair, entry] : pairs_) queue_.push({entry.count, pair});
}

bool PairTable::find_best(int64_t least, Pair& best) {
  while (!queue_.empty()) {
    const Candidate top = queue_.top();
    queue_.pop();
    const int64_t count = pairs_.at(top.key).count;
    if (count < least) continue;
    if (count < top.count) {
      queue_.push({count, top.key});
      continue;
    }
    best = {static_cast<int32_t>(top.key >> 32),
            static_cast<int32_t>(top.key & 0xFFFFFFFFU)};
    return true;
  }
  return false;
}

bool PairTable::merge(const Pair& pair) {
  const std::string text = symbols_[pair.left] + symbols_[pair.right];
  const auto [named, is_new] =
      ids_.emplace(text, static_cast<int32_t>(symbols_.size()));
  if (is_new) symbols_.push_back(text);
  const int32_t joined = named->second;

  std::vector<uint32_t> places;
  places.swap(pairs_.at(key(pair.left, pair.right)).words);
  std::unordered_map<uint64_t, int64_t> changes;
  for (const uint32_t place : places) {
    Word& word = words_[place];
    std::vector<int32_t>& symbols = word.symbols;
    const auto count_pairs = [&](int64_t amount) {
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        changes[key(symbols[i], symbols[i + 1])] += amount;
      }
    };
    count_pairs(-word.count);
    size_t kept = 0;
    for (size_t i = 0; i < symbols.size(); ++kept) {
      const bool here = i + 1 < symbols.size() && symbols[i] == pair.left &&
                        symbols[i + 1] == pair.right;
      symbols[kept] = here ? joined : symbols[i];
      i += here ? 2 : 1;
    }
    symbols.resize(kept);
    count_pairs(word.count);
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (symbols[i] != joined && symbols[i + 1] != joined) continue;
      std::vector<uint32_t>& list =
          pairs_[key(symbols[i], symbols[i + 1])].words;
      if (list.empty() || list.back() != place) list.push_back(place);
    }
  }
  for (const auto& [changed, amount] : changes) {
    if (amount == 0) continue;
    Entry& entry = pairs_[changed];
    entry.count += amount;
    if (amount > 0) queue_.push({entry.count, changed});
  }
  return is_new;
}

Status check_request(std::span<const std::string> texts, int32_t vocab_size,
                     const BpeTrainOptions& options) {
  if (vocab_size <= BpeModel::kReserved ||
      static_cast<size_t>(vocab_size) > kMostPieces) {
    return tokenizer_error(
        "", fmt::format("a vocabulary of {} cannot be trained; {} to {} are "
                        "possible, 259 of them for <unk>, BOS, EOS and bytes",
                        vocab_size, BpeModel::kReserved + 1, kMostPieces));
  }
  if (!(options.character_coverage >= 0 && options.character_coverage <= 1) ||
      options.min_pair_count < 1) {
    return tokenizer_error(
        "", fmt::format("character coverage {} must be 0 to 1 and the least "
                        "pair count {} at least 1",
                        options.character_coverage, options.min_pair_count));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    size_t bad = 0;
    if (!is_utf8(texts[i], &bad)) {
      return tokenizer_error(
          fmt::format("document {}", i),
          fmt::format("is not UTF-8: byte 0x{:02X} at offset {}",
                      static_cast<unsigned char>(texts[i][bad]), bad));
    }
  }
  if (std::all_of(texts.begin(), texts.end(),
                  [](const std::string& text) { return text.empty(); })) {
    return tokenizer_error(
        "", fmt::format("{} documents without any text; a vocabulary is "
                        "learnt from text",
                        texts.size()));
  }
  return {};
}

}  // namespace

Result<BpeModel> train_bpe(std::span<const std::string> texts,
                           int32_t vocab_size, const BpeTrainOptions& options) {
  ANEROID_TRY(check_request(texts, vocab_size, options));
  BpeModel model;
  model.characters = choose_characters(texts, vocab_size - BpeModel::kReserved,
                                       options.character_coverage);
  PairTable table(model.characters);
  table.add_words(texts);
  PairTable::Pair best{};
  while (model.vocab_size() < vocab_size &&
         table.find_best(options.min_pair_count, best)) {
    if (table.merge(best)) model.merges.push_back(table.newest());
  }
  return model;
}

}  // namespace aneroid::tokenizer
