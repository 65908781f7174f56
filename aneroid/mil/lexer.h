// MIL text to tokens. Private to this folder. A Lexer is a small value: copy it
// to look ahead.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "aneroid/mil/ir.h"

namespace aneroid::mil {

struct Token {
  enum class Kind : uint8_t {
    kName,
    kNumber,       // with its sign; not checked further
    kString,       // `text` includes the quotes and escapes
    kPunctuation,  // one of ( ) [ ] { } < > , ; = ? -> ...
    kEnd,
    kInvalid,  // `text` says why
  };
  Kind kind = Kind::kEnd;
  std::string_view text;
  SourceLocation location;

  bool is(std::string_view punctuation) const {
    return kind == Kind::kPunctuation && text == punctuation;
  }
  bool is_name() const { return kind == Kind::kName; }
  bool is_name(std::string_view word) const {
    return kind == Kind::kName && text == word;
  }
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // Skips white space and comments. After the end, or an invalid token, the
  // same kind is returned for ever.
  Token next();

 private:
  // False when a comment does not end.
  bool skip_blanks();
  Token scan();
  size_t number_end() const;
  size_t string_end() const;

  std::string_view text_;
  size_t at_ = 0;
  size_t line_start_ = 0;
  int line_ = 1;
};

// The bytes of a string token. False for an unknown escape.
bool unescape(std::string_view token, std::string& out);

// A token for messages: 'conv', the string "abc...", the end of the text.
std::string describe(const Token& token);

}  // namespace aneroid::mil
