// Inside the folder: the Tokenizer of everything that merges by score.
#pragma once

#include <memory>
#include <string_view>

#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

// The vocabulary must have all 256 byte pieces. `format` must outlive the
// tokenizer.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary,
                                              std::string_view format);

// "<0x0A>" for 10.
std::string byte_piece_name(int byte);

}  // namespace aneroid::tokenizer
