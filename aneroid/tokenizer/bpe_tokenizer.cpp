#include "aneroid/tokenizer/bpe_tokenizer.h"

#include <string>
#include <utility>

#include <fmt/format.h>

#include "aneroid/tokenizer/bpe_merger.h"

namespace aneroid::tokenizer {
namespace {

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(Vocabulary content, std::string_view format)
      : Tokenizer(std::move(content)),
        format_(format),
        merger_(vocabulary().pieces) {}

  std::string_view format() const override { return format_; }

 private:
  Status append_ids(std::string_view text,
                    std::vector<int32_t>& ids) const override {
    merger_.append_ids(" " + std::string(text), ids);
    return {};
  }

  std::string_view format_;
  BpeMerger merger_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary,
                                              std::string_view format) {
  return std::make_unique<BpeTokenizer>(std::move(vocabulary), format);
}

std::string byte_piece_name(int byte) {
  return fmt::format("<0x{:02X}>", byte);
}

}  // namespace aneroid::tokenizer
