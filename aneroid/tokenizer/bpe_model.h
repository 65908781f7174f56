// A byte-pair vocabulary of our own: what the trainer makes and its file.
//
// The file is JSON:
//   {"format": "aneroid-bpe", "version": 1,
//    "merges": ["he", " t", ...],       pieces in the order learnt
//    "characters": [" ", "e", ...]}     characters that are pieces
//
// Ids: 0 <unk>, 1 <s> (BOS), 2 </s> (EOS), 3 + b the byte b, then the merges,
// then the characters. The score of a piece is the negative of its place after
// the bytes, so that what was learnt first merges first. This is the layout of
// SentencePiece's BPE models and of llama2.c, see save_llama2c.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

struct BpeModel {
  std::vector<std::string> merges;
  std::vector<std::string> characters;

  static constexpr int32_t kReserved = 3 + 256;
  int64_t vocab_size() const {
    return kReserved + static_cast<int64_t>(merges.size()) +
           static_cast<int64_t>(characters.size());
  }
};

struct BpeTrainOptions {
  // The commonest characters become pieces until they cover this share of the
  // text; the others are spelled in bytes. 0 to 1.
  double character_coverage = 0.9995;
  // A pair must occur this often to merge. At least 1.
  int64_t min_pair_count = 2;
};

// Learns a vocabulary from `texts`, each a document. The same input gives the
// same model on every machine. Merges stay inside words: a word is a run of
// letters, one digit, a run of punctuation or a run of line breaks, with the
// spaces in front of it; an apostrophe belongs to the letters behind it.
//
// The model has at most `vocab_size` pieces, fewer when the text runs out of
// pairs: ask model.vocab_size(). Errors ("tokenizer"): vocab_size below
// kReserved + 1 or above kMostPieces, options out of range, no text, a text
// that is not UTF-8.
Result<BpeModel> train_bpe(std::span<const std::string> texts,
                           int32_t vocab_size,
                           const BpeTrainOptions& options = {});

// Error ("tokenizer"): pieces that are empty, repeated, not UTF-8 or longer
// than 256 bytes, a merge with a character that is no piece, too many pieces.
Result<std::unique_ptr<Tokenizer>> make_tokenizer(const BpeModel& model);

// Atomically. Reading back is load_tokenizer's work. Errors: as
// make_tokenizer; "file" when the file cannot be written.
Status save_bpe(const BpeModel& model, const std::filesystem::path& path);

}  // namespace aneroid::tokenizer
