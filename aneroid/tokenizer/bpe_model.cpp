#include "aneroid/tokenizer/bpe_model.h"

#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/bpe_merger.h"
#include "aneroid/tokenizer/bpe_tokenizer.h"
#include "aneroid/tokenizer/formats.h"

namespace aneroid::tokenizer {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "aneroid-bpe";
constexpr int kVersion = 1;
constexpr size_t kLongestPiece = 256;

Status check_pieces(const BpeModel& model, std::string_view place) {
  if (model.vocab_size() > static_cast<int64_t>(kMostPieces)) {
    return tokenizer_error(std::string(place),
                           fmt::format("has {} pieces; at most {} are allowed",
                                       model.vocab_size(), kMostPieces));
  }
  std::unordered_set<std::string_view> seen;
  std::unordered_set<std::string_view> characters;
  const auto check = [&](std::string_view list, size_t index,
                         std::string_view text) -> Status {
    const auto refuse = [&](std::string_view what) {
      return tokenizer_error(std::string(place),
                             fmt::format("{}[{}] {}", list, index, what));
    };
    if (text.empty() || text.size() > kLongestPiece) {
      return refuse(fmt::format("has {} bytes; 1 to {} are possible",
                                text.size(), kLongestPiece));
    }
    if (!is_utf8(text)) return refuse("is not UTF-8");
    if (!seen.insert(text).second) {
      return refuse(fmt::format("repeats the piece \"{}\"", text));
    }
    if (list == "characters") {
      if (first_character(text) != text) {
        return refuse(fmt::format("is \"{}\", more than one character", text));
      }
      characters.insert(text);
      return {};
    }
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view character = first_character(rest);
      if (!characters.contains(character)) {
        return refuse(
            fmt::format("has \"{}\", which is not among the characters, so "
                        "nothing can merge to it",
                        character));
      }
      rest.remove_prefix(character.size());
    }
    return {};
  };
  for (size_t i = 0; i < model.characters.size(); ++i) {
    ANEROID_TRY(check("characters", i, model.characters[i]));
  }
  for (size_t i = 0; i < model.merges.size(); ++i) {
    ANEROID_TRY(check("merges", i, model.merges[i]));
  }
  return {};
}

Vocabulary vocabulary_of(const BpeModel& model) {
  Vocabulary vocabulary{{}, 1, 2, true};
  std::vector<Piece>& pieces = vocabulary.pieces;
  pieces.push_back({"<unk>", 0, PieceKind::kUnknown});
  pieces.push_back({"<s>", 0, PieceKind::kControl});
  pieces.push_back({"</s>", 0, PieceKind::kControl});
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back({byte_piece_name(byte), 0, PieceKind::kByte,
                      static_cast<uint8_t>(byte)});
  }
  for (const auto* list : {&model.merges, &model.characters}) {
    for (const std::string& text : *list) {
      const auto place = pieces.size() - BpeModel::kReserved;
      pieces.push_back({text, -static_cast<float>(place)});
    }
  }
  return vocabulary;
}

Result<std::vector<std::string>> read_list(const Json& document,
                                           const std::string& key,
                                           std::string_view place) {
  const auto list = document.find(key);
  if (list == document.end() || !list->is_array()) {
    return tokenizer_error(
        std::string(place),
        fmt::format("has no list \"{}\"; an aneroid-bpe file needs one", key));
  }
  std::vector<std::string> texts;
  for (const Json& entry : *list) {
    if (!entry.is_string()) {
      return tokenizer_error(std::string(place),
                             fmt::format("{}[{}] is {}, not text", key,
                                         texts.size(), entry.type_name()));
    }
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_tokenizer(const BpeModel& model) {
  ANEROID_TRY(check_pieces(model, "model"));
  return make_bpe_tokenizer(vocabulary_of(model), kFormat);
}

Result<std::unique_ptr<Tokenizer>> parse_aneroid_bpe(std::string_view bytes,
                                                     std::string_view place) {
  const std::string file(place);
  // Copying a value nested without limit would overflow the stack.
  constexpr int kDeepest = 64;
  bool too_deep = false;
  const auto keep = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kDeepest;
    return !too_deep;
  };
  Json document;
  try {
    document = Json::parse(bytes, keep);
  } catch (const Json::exception& error) {
    return tokenizer_error(file, fmt::format("is not JSON: {}", error.what()));
  }
  if (too_deep) {
    return tokenizer_error(
        file, fmt::format("nests deeper than {} levels; no tokenizer does",
                          kDeepest));
  }
  if (document.value("format", Json()) != Json(kFormat)) {
    return tokenizer_error(
        file,
        document.contains("model")
            ? "looks like a Hugging Face tokenizer.json, which is not read "
              "here; use the SentencePiece tokenizer.model beside it"
            : "is JSON but no tokenizer: \"format\" is not \"aneroid-bpe\"");
  }
  const Json version = document.value("version", Json());
  if (version != Json(kVersion)) {
    return tokenizer_error(
        file, fmt::format("has version {}; this program reads version {}",
                          version.dump(), kVersion));
  }
  BpeModel model;
  ANEROID_ASSIGN(model.merges, read_list(document, "merges", place));
  ANEROID_ASSIGN(model.characters, read_list(document, "characters", place));
  ANEROID_TRY(check_pieces(model, place));
  return make_bpe_tokenizer(vocabulary_of(model), kFormat);
}

Status save_bpe(const BpeModel& model, const std::filesystem::path& path) {
  ANEROID_TRY(check_pieces(model, path.string()));
  const Json document = {{"format", kFormat},
                         {"version", kVersion},
                         {"merges", model.merges},
                         {"characters", model.characters}};
  return write_file_atomically(path, document.dump(1) + "\n");
}

}  // namespace aneroid::tokenizer
