#include "aneroid/data/documents.h"

#include <fmt/format.h>

#include "aneroid/base/file.h"

namespace aneroid::data {
namespace {

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

Result<std::vector<std::string>> split_documents(std::string_view text,
                                                 std::string_view place) {
  size_t bad = 0;
  if (!is_utf8(text, &bad)) {
    return input_error(
        "text", std::string(place),
        fmt::format("is not UTF-8: byte 0x{:02X} at offset {}; convert it, for "
                    "example with iconv -t UTF-8",
                    static_cast<unsigned char>(text[bad]), bad));
  }
  std::vector<std::string> documents;
  if (text.find(kDocumentEnd) == std::string_view::npos) {
    if (!trim(text).empty()) documents.emplace_back(text);
  } else {
    while (!text.empty()) {
      const size_t end = text.find(kDocumentEnd);
      const std::string_view document = trim(text.substr(0, end));
      if (!document.empty()) documents.emplace_back(document);
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + kDocumentEnd.size());
    }
  }
  if (documents.empty()) {
    return input_error("text", std::string(place),
                       "holds no text; a document of some words is needed");
  }
  return documents;
}

}  // namespace aneroid::data
