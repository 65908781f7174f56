#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/bpe_tokenizer.h"
#include "aneroid/tokenizer/formats.h"
#include "aneroid/tokenizer/sentencepiece_check.h"

namespace aneroid::tokenizer {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

std::string with_plain_spaces(std::string text) {
  for (size_t at = 0; (at = text.find(kSpaceMark, at)) != std::string::npos;) {
    text.replace(at, kSpaceMark.size(), " ");
  }
  return text;
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::unique_ptr<Processor> processor,
                         Vocabulary vocabulary)
      : Tokenizer(std::move(vocabulary)), processor_(std::move(processor)) {}

  std::string_view format() const override { return "sentencepiece"; }

 private:
  Status append_ids(std::string_view text,
                    std::vector<int32_t>& ids) const override {
    std::vector<int> found;
    const auto status = processor_->Encode({text.data(), text.size()}, &found);
    if (!status.ok()) {
      return tokenizer_error(
          "text", "SentencePiece cannot encode it: " + status.ToString());
    }
    ids.insert(ids.end(), found.begin(), found.end());
    return {};
  }

  std::unique_ptr<Processor> processor_;
};

Result<Piece> read_piece(const Processor& processor, int id,
                         std::string_view place) {
  Piece piece{with_plain_spaces(processor.IdToPiece(id)),
              processor.GetScore(id)};
  const auto refuse = [&](std::string_view what) {
    return tokenizer_error(std::string(place),
                           fmt::format("piece {} {}", id, what));
  };
  if (!is_utf8(piece.text)) return refuse("is not UTF-8");
  if (processor.IsControl(id)) piece.kind = PieceKind::kControl;
  if (processor.IsUnknown(id)) piece.kind = PieceKind::kUnknown;
  if (processor.IsByte(id)) {
    piece.kind = PieceKind::kByte;
    int byte = 0;
    while (byte < 256 && piece.text != byte_piece_name(byte)) ++byte;
    if (byte == 256) return refuse("is a byte piece with the name of none");
    piece.byte = static_cast<uint8_t>(byte);
  }
  return piece;
}

// Whether the model puts a space in front of a text.
bool adds_space(const Processor& processor) {
  std::vector<std::string> pieces;
  return processor.Encode("a", &pieces).ok() && !pieces.empty() &&
         pieces[0].starts_with(kSpaceMark);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> parse_sentencepiece(std::string_view bytes,
                                                       std::string_view place) {
  if (const std::string damage = find_character_map_damage(bytes);
      !damage.empty()) {
    return tokenizer_error(
        std::string(place),
        fmt::format("is a damaged SentencePiece model: its character map {}",
                    damage));
  }
  auto processor = std::make_unique<Processor>();
  const auto status =
      processor->LoadFromSerializedProto({bytes.data(), bytes.size()});
  if (!status.ok()) {
    return tokenizer_error(
        std::string(place),
        fmt::format("looks like a SentencePiece model but does not load ({}); "
                    "the file may be damaged",
                    status.ToString()));
  }
  const int size = processor->GetPieceSize();
  if (size < 1 || size > static_cast<int>(kMostPieces)) {
    return tokenizer_error(
        std::string(place),
        fmt::format("has {} pieces; 1 to {} are possible", size, kMostPieces));
  }
  Vocabulary vocabulary;
  vocabulary.bos_id = processor->bos_id();
  vocabulary.eos_id = processor->eos_id();
  vocabulary.leading_space = adds_space(*processor);
  for (int id = 0; id < size; ++id) {
    ANEROID_ASSIGN(Piece piece, read_piece(*processor, id, place));
    vocabulary.pieces.push_back(std::move(piece));
  }
  return std::make_unique<SentencePieceTokenizer>(std::move(processor),
                                                  std::move(vocabulary));
}

}  // namespace aneroid::tokenizer
