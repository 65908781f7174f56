// Text to token ids and back.
//
// Three kinds of file give a Tokenizer (load_tokenizer tells them apart by
// content):
//   SentencePiece .model    encoded by the SentencePiece library
//   llama2.c tokenizer.bin  byte-pair merging, the ids run.c would give
//   aneroid-bpe .json       written by our own trainer, see bpe_model.h
//
// All kinds follow the Llama habits: a text is encoded as if it began with one
// more space; what no piece covers is spelled as byte pieces "<0x00>" to
// "<0xFF>"; decoding drops one space at the start and after each BOS.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"

namespace aneroid::tokenizer {

enum class PieceKind : uint8_t {
  kText,     // stands for its text
  kByte,     // stands for one byte; its text is its name, "<0x0A>"
  kControl,  // BOS, EOS: stands for no text
  kUnknown,  // stands for something lost; decodes to " ⁇ "
};

struct Piece {
  std::string text;  // valid UTF-8, with plain spaces
  float score = 0;   // the best-scored pair merges first
  PieceKind kind = PieceKind::kText;
  uint8_t byte = 0;  // of kByte
};

// What a tokenizer knows besides how to encode.
struct Vocabulary {
  std::vector<Piece> pieces;  // by id
  int32_t bos_id = -1;        // -1: there is none
  int32_t eos_id = -1;
  // Encoding adds a space in front, so decoding drops one.
  bool leading_space = true;
};

// Immutable after construction; any number of threads may use one object.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Ids of `text`, with BOS in front and EOS behind when asked for. An empty
  // text has no ids of its own. Errors ("tokenizer"): the text is not UTF-8
  // (tells the first bad byte) or longer than kLongestText; `bos` or `eos`
  // asked of a tokenizer without one.
  Result<std::vector<int32_t>> encode(std::string_view text, bool bos,
                                      bool eos) const;

  // The text of a whole sequence: always valid UTF-8, stray bytes become
  // U+FFFD, an id outside the vocabulary decodes as unknown. For the text of a
  // growing sequence use StreamDecoder.
  std::string decode(std::span<const int32_t> ids) const;

  int32_t vocab_size() const {
    return static_cast<int32_t>(vocabulary_.pieces.size());
  }
  int32_t bos_id() const { return vocabulary_.bos_id; }
  int32_t eos_id() const { return vocabulary_.eos_id; }
  // The piece as the vocabulary spells it: " the", "<0x0A>", "<s>"; empty for
  // an id outside the vocabulary.
  std::string_view piece(int32_t id) const;
  const Vocabulary& vocabulary() const { return vocabulary_; }

  // "sentencepiece", "llama2.c" or "aneroid-bpe".
  virtual std::string_view format() const = 0;

  static constexpr size_t kLongestText = size_t{1} << 30;  // bytes

 protected:
  explicit Tokenizer(Vocabulary vocabulary);

 private:
  // Appends the ids of a text that is not empty and is valid UTF-8.
  virtual Status append_ids(std::string_view text,
                            std::vector<int32_t>& ids) const = 0;

  Vocabulary vocabulary_;
};

// Turns ids into text as they arrive. What push() returns is always whole
// UTF-8 characters: a character spelled by several byte tokens appears with
// the last of them. Not for use by several threads at once; the tokenizer must
// outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  std::string push(int32_t id);
  // Call at the end: a character left incomplete comes out as U+FFFD. The
  // decoder is then as new.
  std::string finish();

 private:
  std::string flush();

  const Tokenizer& tokenizer_;
  bool at_start_ = true;
  std::string pending_;  // the bytes of an incomplete character
};

// Loads any of the three kinds. Errors ("tokenizer"): unreadable, of no known
// kind, malformed (tells where), more than kMostPieces pieces.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(
    const std::filesystem::path& path);

// Error ("tokenizer") unless the tokenizer has exactly the pieces of a model's
// vocabulary; `place` names the model.
Status check_vocab_size(const Tokenizer& tokenizer, int64_t model_vocab_size,
                        std::string_view place);

inline constexpr size_t kMostPieces = size_t{1} << 20;

}  // namespace aneroid::tokenizer
