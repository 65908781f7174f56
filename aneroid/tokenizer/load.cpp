#include <cstring>

#include "aneroid/base/file.h"
#include "aneroid/tokenizer/formats.h"

namespace aneroid::tokenizer {
namespace {

constexpr uint64_t kLargestFile = uint64_t{32} << 20;

// Each kind by its first bytes: "{"; an int32 below 2^16 (the longest piece);
// the protobuf tag of field 1, the list of pieces.
bool is_json(std::string_view bytes) {
  const size_t first = bytes.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && bytes[first] == '{';
}

bool is_llama2c(std::string_view bytes) {
  return bytes.size() >= 4 && bytes[2] == 0 && bytes[3] == 0;
}

bool is_sentencepiece(std::string_view bytes) {
  return bytes.starts_with('\n');
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> load_tokenizer(
    const std::filesystem::path& path) {
  struct Format {
    bool (*matches)(std::string_view);
    decltype(&parse_llama2c) parse;
  };
  constexpr Format kFormats[] = {{is_llama2c, parse_llama2c},
                                 {is_json, parse_aneroid_bpe},
                                 {is_sentencepiece, parse_sentencepiece}};
  ANEROID_ASSIGN(const std::string bytes, read_file(path, kLargestFile));
  for (const Format& format : kFormats) {
    if (format.matches(bytes)) return format.parse(bytes, path.string());
  }
  return tokenizer_error(
      path.string(),
      bytes.empty() ? "is empty"
                    : "is no tokenizer known here: use a SentencePiece .model, "
                      "a llama2.c tokenizer.bin or an aneroid-bpe .json");
}

}  // namespace aneroid::tokenizer
