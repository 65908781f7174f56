#include "aneroid/mil/lexer.h"

#include <algorithm>

#include <fmt/format.h>

namespace aneroid::mil {
namespace {

// Not <cctype>: its answers depend on the locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_name_char(char c) {
  return is_name_start(c) || is_digit(c) || c == '@';
}

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool Lexer::skip_blanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      ++at_;
      ++line_;
      line_start_ = at_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
    } else if (text_.substr(at_, 2) == "//") {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (text_.substr(at_, 2) == "/*") {
      const size_t end = text_.find("*/", at_ + 2);
      if (end == std::string_view::npos) return false;
      for (; at_ < end + 2; ++at_) {
        if (text_[at_] != '\n') continue;
        ++line_;
        line_start_ = at_ + 1;
      }
    } else {
      break;
    }
  }
  return true;
}

size_t Lexer::number_end() const {
  size_t end = at_;
  if (text_[end] == '+' || text_[end] == '-') ++end;
  const std::string_view digits = text_.substr(end, 2);
  const bool hex = digits == "0x" || digits == "0X";
  for (; end < text_.size(); ++end) {
    const char c = text_[end];
    if (is_name_char(c) || c == '.') continue;
    const char before = end > at_ ? text_[end - 1] : ' ';
    const bool exponent =
        hex ? before == 'p' || before == 'P' : before == 'e' || before == 'E';
    if ((c != '+' && c != '-') || !exponent) break;
  }
  return end;
}

size_t Lexer::string_end() const {
  for (size_t end = at_ + 1; end < text_.size(); ++end) {
    if (text_[end] == '\\') {
      ++end;
    } else if (text_[end] == '"') {
      return end + 1;
    }
  }
  return std::string_view::npos;
}

Token Lexer::next() {
  Token token;
  const bool closed = skip_blanks();
  token.location = {line_, static_cast<int>(at_ - line_start_) + 1};
  if (!closed) {
    token.kind = Token::Kind::kInvalid;
    token.text = "a comment that does not end";
    return token;
  }
  if (at_ == text_.size()) return token;
  const SourceLocation location = token.location;
  token = scan();
  token.location = location;
  return token;
}

Token Lexer::scan() {
  using Kind = Token::Kind;
  const auto take = [this](Kind kind, size_t end) {
    const Token token{kind, text_.substr(at_, end - at_), {}};
    at_ = end;
    return token;
  };
  const char c = text_[at_];
  const char following = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  if (is_name_start(c)) {
    const auto* end =
        std::find_if_not(text_.begin() + at_, text_.end(), is_name_char);
    return take(Kind::kName, static_cast<size_t>(end - text_.begin()));
  }
  if (c == '-' && following == '>') return take(Kind::kPunctuation, at_ + 2);
  if (text_.substr(at_, 3) == "...") return take(Kind::kPunctuation, at_ + 3);
  if (is_digit(c) || c == '+' || c == '-' ||
      (c == '.' && is_digit(following))) {
    return take(Kind::kNumber, number_end());
  }
  if (c == '"') {
    const size_t end = string_end();
    if (end == std::string_view::npos) {
      return {Kind::kInvalid, "a string that does not end", {}};
    }
    const Token token = take(Kind::kString, end);
    for (size_t i = 0; i < token.text.size(); ++i) {
      if (token.text[i] != '\n') continue;
      ++line_;
      line_start_ = at_ - token.text.size() + i + 1;
    }
    return token;
  }
  constexpr std::string_view kPunctuation = "()[]{}<>,;=?";
  if (kPunctuation.find(c) != std::string_view::npos) {
    return take(Kind::kPunctuation, at_ + 1);
  }
  return {Kind::kInvalid, "a character that no token starts with", {}};
}

bool unescape(std::string_view token, std::string& out) {
  const std::string_view body = token.substr(1, token.size() - 2);
  out.reserve(body.size());
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    const char escape = ++i < body.size() ? body[i] : ' ';
    constexpr std::string_view kEscapes = "\"\\'nrt0";
    constexpr std::string_view kBytes("\"\\'\n\r\t\0", 7);
    const size_t known = kEscapes.find(escape);
    if (known != std::string_view::npos) {
      out += kBytes[known];
    } else if (escape == 'x' && i + 2 < body.size() &&
               hex_digit(body[i + 1]) >= 0 && hex_digit(body[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(body[i + 1]) * 16 +
                               hex_digit(body[i + 2]));
      i += 2;
    } else {
      return false;
    }
  }
  return true;
}

std::string describe(const Token& token) {
  if (token.kind == Token::Kind::kEnd) return "the end of the text";
  if (token.kind == Token::Kind::kInvalid) return std::string(token.text);
  constexpr size_t kShown = 40;
  std::string shown;
  for (const char c : token.text.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F) {
      shown += fmt::format("\\x{:02X}", byte);
    } else {
      shown += c;
    }
  }
  if (token.text.size() > kShown) shown += "...";
  return token.kind == Token::Kind::kString ? "the string " + shown
                                            : "'" + shown + "'";
}

}  // namespace aneroid::mil
