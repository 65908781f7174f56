#include "aneroid/tokenizer/tokenizer.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/formats.h"

namespace aneroid::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";    // U+FFFD
constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";  // as SentencePiece

// Bytes of the character that starts with `lead`; 1 when none does.
size_t character_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte >= 0xF0 && byte <= 0xF4) return 4;
  if (byte >= 0xE0 && byte < 0xF0) return 3;
  if (byte >= 0xC2 && byte < 0xE0) return 2;
  return 1;
}

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80;
}

// Moves the whole characters at the front of `pending` to `text`; bytes that
// can belong to no character become U+FFFD.
void move_characters(std::string& pending, std::string& text) {
  std::string_view rest = pending;
  while (!rest.empty()) {
    const size_t length = character_length(rest[0]);
    const std::string_view character = rest.substr(0, length);
    if (character.size() == length && is_utf8(character)) {
      text += character;
      rest.remove_prefix(length);
    } else if (character.size() < length &&
               std::all_of(character.begin() + 1, character.end(),
                           is_continuation)) {
      break;  // more may come
    } else {
      text += kReplacement;
      rest.remove_prefix(1);
    }
  }
  pending = std::string(rest);
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)) {}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, bool bos,
                                               bool eos) const {
  if (text.size() > kLongestText) {
    return tokenizer_error(
        "text", fmt::format("has {} bytes; at most {} are encoded at once: "
                            "split it into documents",
                            text.size(), kLongestText));
  }
  size_t bad = 0;
  if (!is_utf8(text, &bad)) {
    return tokenizer_error(
        "text",
        fmt::format("is not UTF-8: byte 0x{:02X} at offset {}; convert the "
                    "text, for example with iconv -t UTF-8",
                    static_cast<unsigned char>(text[bad]), bad));
  }
  if ((bos && bos_id() < 0) || (eos && eos_id() < 0)) {
    return tokenizer_error(
        "", fmt::format("the vocabulary of {} pieces has no {} token; encode "
                        "without it",
                        vocab_size(), bos && bos_id() < 0 ? "BOS" : "EOS"));
  }
  std::vector<int32_t> ids;
  if (bos) ids.push_back(bos_id());
  if (!text.empty()) ANEROID_TRY(append_ids(text, ids));
  if (eos) ids.push_back(eos_id());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  StreamDecoder decoder(*this);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::string_view Tokenizer::piece(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return vocabulary_.pieces[id].text;
}

std::string StreamDecoder::push(int32_t id) {
  static const Piece kLost{std::string(kUnknownText), 0, PieceKind::kUnknown};
  const Vocabulary& vocabulary = tokenizer_.vocabulary();
  const bool known = id >= 0 && id < tokenizer_.vocab_size();
  const Piece& piece = known ? vocabulary.pieces[id] : kLost;
  if (piece.kind == PieceKind::kControl) {
    at_start_ = at_start_ || id == vocabulary.bos_id;
    return flush();
  }
  const bool drop_space =
      std::exchange(at_start_, false) && vocabulary.leading_space;
  std::string text;
  if (piece.kind == PieceKind::kByte) {
    if (drop_space && piece.byte == ' ') return text;
    pending_ += static_cast<char>(piece.byte);
    move_characters(pending_, text);
    return text;
  }
  std::string_view added =
      piece.kind == PieceKind::kText ? piece.text : kUnknownText;
  if (drop_space && added.starts_with(' ')) added.remove_prefix(1);
  text = flush();
  return text.append(added);
}

std::string StreamDecoder::finish() {
  at_start_ = true;
  return flush();
}

std::string StreamDecoder::flush() {
  // An incomplete character is one loss, however many bytes it has so far.
  return std::exchange(pending_, {}).empty() ? std::string()
                                             : std::string(kReplacement);
}

Status check_vocab_size(const Tokenizer& tokenizer, int64_t model_vocab_size,
                        std::string_view place) {
  if (tokenizer.vocab_size() == model_vocab_size) return {};
  return tokenizer_error(
      std::string(place),
      fmt::format("the model has a vocabulary of {} and the tokenizer has {} "
                  "pieces; use the tokenizer the model was trained with",
                  model_vocab_size, tokenizer.vocab_size()));
}

}  // namespace aneroid::tokenizer
