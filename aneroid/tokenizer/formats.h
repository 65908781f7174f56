// Inside the folder: the readers that load_tokenizer chooses from.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "aneroid/base/diagnostic.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::tokenizer {

inline tl::unexpected<Diagnostic> tokenizer_error(std::string place,
                                                  std::string message) {
  return input_error("tokenizer", std::move(place), std::move(message));
}

// Each takes the bytes of a whole file; `place` names it in messages.
Result<std::unique_ptr<Tokenizer>> parse_sentencepiece(std::string_view bytes,
                                                       std::string_view place);
Result<std::unique_ptr<Tokenizer>> parse_llama2c(std::string_view bytes,
                                                 std::string_view place);
Result<std::unique_ptr<Tokenizer>> parse_aneroid_bpe(std::string_view bytes,
                                                     std::string_view place);

}  // namespace aneroid::tokenizer
