// tokenizer.bin, the vocabulary file of llama2.c and its many relatives.
//
//   int32   length of the longest piece in bytes
//   then for each piece, in the order of ids, until the end of the file:
//   float32 score
//   int32   length
//   bytes   text, with plain spaces
//
// Ids are fixed by convention: 0 <unk>, 1 BOS, 2 EOS, 3 + b the byte b.
// Read it with load_tokenizer.
#pragma once

#include <filesystem>

#include "aneroid/base/diagnostic.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

// Writes atomically. Programs that read the file give the same ids as
// `tokenizer` when that merges by score (llama2.c, aneroid-bpe, SentencePiece
// BPE). Errors: "tokenizer" when its ids do not follow the convention, "file"
// when the file cannot be written.
Status save_llama2c(const Tokenizer& tokenizer,
                    const std::filesystem::path& path);

}  // namespace aneroid::tokenizer
