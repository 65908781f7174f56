// Text files as documents.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"

namespace aneroid::data {

// Where one document ends and the next begins.
inline constexpr std::string_view kDocumentEnd = "<|endoftext|>";

// The documents of a text file: split at each kDocumentEnd, without the blank
// space around them and without empty ones; a text without any kDocumentEnd is
// one document, byte for byte. For training, each document starts with BOS.
// Errors ("text"), with `place` naming the file: not UTF-8 (tells the first
// bad byte), nothing but blank space and separators.
Result<std::vector<std::string>> split_documents(std::string_view text,
                                                 std::string_view place);

}  // namespace aneroid::data
