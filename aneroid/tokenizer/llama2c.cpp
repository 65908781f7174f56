#include "aneroid/tokenizer/llama2c.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/bpe_tokenizer.h"
#include "aneroid/tokenizer/formats.h"

namespace aneroid::tokenizer {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int32_t kUnknownId = 0;
constexpr int32_t kBosId = 1;
constexpr int32_t kEosId = 2;
constexpr int32_t kFirstByteId = 3;
constexpr int32_t kFirstTextId = kFirstByteId + 256;
// Keeps the time to load a hostile file within a few seconds.
constexpr int32_t kLongestPiece = 256;

// Takes a value off the front; nothing when too few bytes are left.
template <typename T>
std::optional<T> take(std::string_view& bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.remove_prefix(sizeof(T));
  return value;
}

template <typename T>
void put(std::string& bytes, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

// What a piece is follows from its id alone; says what is wrong with its text,
// or nothing.
std::string classify(int32_t id, Piece& piece) {
  if (id == kUnknownId) {
    piece.kind = PieceKind::kUnknown;
  } else if (id == kBosId || id == kEosId) {
    piece.kind = PieceKind::kControl;
    piece.text = id == kBosId ? "<s>" : "</s>";
  } else if (id < kFirstTextId) {
    const int byte = id - kFirstByteId;
    piece.kind = PieceKind::kByte;
    piece.byte = static_cast<uint8_t>(byte);
    if (piece.text != byte_piece_name(byte)) {
      return fmt::format("must be the byte piece {}", byte_piece_name(byte));
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> parse_llama2c(std::string_view bytes,
                                                 std::string_view place) {
  const std::string file(place);
  std::string_view rest = bytes;
  const int32_t longest = take<int32_t>(rest).value_or(0);
  if (longest < 1 || longest > kLongestPiece) {
    return tokenizer_error(
        file, fmt::format("states a longest piece of {} bytes; 1 to {} are "
                          "possible",
                          longest, kLongestPiece));
  }
  Vocabulary vocabulary{{}, kBosId, kEosId, true};
  while (!rest.empty()) {
    const auto id = static_cast<int32_t>(vocabulary.pieces.size());
    const auto refuse = [&, at = bytes.size() -
                                 rest.size()](std::string_view what) {
      return tokenizer_error(
          file, fmt::format("piece {} at byte {} {}; the file may be damaged "
                            "or no llama2.c tokenizer",
                            id, at, what));
    };
    if (vocabulary.pieces.size() == kMostPieces) {
      return refuse(fmt::format("is more than the {} pieces read", id));
    }
    const auto score = take<float>(rest);
    const auto length = take<int32_t>(rest);
    if (!score || !length) return refuse("is cut off");
    if (!std::isfinite(*score)) return refuse("has a score that is no number");
    if (*length < 1 || *length > longest) {
      return refuse(
          fmt::format("has {} bytes; 1 to {} are possible", *length, longest));
    }
    if (rest.size() < static_cast<size_t>(*length)) return refuse("is cut off");
    Piece piece{std::string(rest.substr(0, *length)), *score};
    if (!is_utf8(piece.text)) return refuse("is not UTF-8");
    if (const std::string wrong = classify(id, piece); !wrong.empty()) {
      return refuse(wrong);
    }
    rest.remove_prefix(*length);
    vocabulary.pieces.push_back(std::move(piece));
  }
  if (vocabulary.pieces.size() < kFirstTextId) {
    return tokenizer_error(
        file, fmt::format("has {} pieces; <unk>, BOS, EOS and 256 byte pieces "
                          "are needed at least",
                          vocabulary.pieces.size()));
  }
  return make_bpe_tokenizer(std::move(vocabulary), "llama2.c");
}

Status save_llama2c(const Tokenizer& tokenizer,
                    const std::filesystem::path& path) {
  const std::vector<Piece>& pieces = tokenizer.vocabulary().pieces;
  bool follows = tokenizer.bos_id() == kBosId && tokenizer.eos_id() == kEosId &&
                 tokenizer.vocabulary().leading_space &&
                 pieces.size() >= kFirstTextId;
  for (int32_t byte = 0; follows && byte < 256; ++byte) {
    follows = pieces[kFirstByteId + byte].text == byte_piece_name(byte);
  }
  if (!follows) {
    return tokenizer_error(
        path.string(),
        "a llama2.c tokenizer has BOS 1, EOS 2, the bytes from id 3 and a "
        "space in front of a text; this vocabulary has another layout");
  }
  std::string body;
  size_t longest = 0;
  for (size_t id = 0; id < pieces.size(); ++id) {
    std::string text = pieces[id].text;
    if (id == kBosId) text = "\n<s>\n";
    if (id == kEosId) text = "\n</s>\n";
    longest = std::max(longest, text.size());
    put(body, pieces[id].score);
    put(body, static_cast<int32_t>(text.size()));
    body += text;
  }
  std::string head;
  put(head, static_cast<int32_t>(longest));
  return write_file_atomically(path, head + body);
}

}  // namespace aneroid::tokenizer
