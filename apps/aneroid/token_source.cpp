#include "apps/aneroid/token_source.h"

#include "aneroid/base/file.h"
#include "aneroid/data/documents.h"
#include "apps/aneroid/common.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/stories.h"

namespace aneroid::cli {

bool is_text(const std::string& data) {
  return data.empty() || data.ends_with(".txt");
}

Result<std::vector<std::string>> read_documents(const std::string& data) {
  if (data.empty()) return built_in_stories();
  ANEROID_ASSIGN(const std::string text, read_file(data));
  ANEROID_ASSIGN(const auto documents, data::split_documents(text, data));
  return std::vector<std::string>(documents.begin(), documents.end());
}

Result<std::vector<int32_t>> tokenize(
    const tokenizer::Tokenizer& tokenizer,
    const std::vector<std::string>& documents) {
  uint64_t bytes = 0;
  for (const std::string& document : documents) bytes += document.size();
  Progress progress({"tokenizing", "B", bytes});
  std::vector<int32_t> tokens;
  uint64_t done = 0;
  for (const std::string& document : documents) {
    ANEROID_ASSIGN(const auto ids,
                   tokenizer.encode(document, /*bos=*/true, /*eos=*/false));
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    done += document.size();
    progress.update(done);
  }
  return tokens;
}

Result<std::shared_ptr<const data::TokenShard>> open_tokens(
    const std::string& data, const tokenizer::Tokenizer* tokenizer,
    int64_t vocab_size) {
  if (!is_text(data)) {
    ANEROID_ASSIGN(auto shard, data::TokenShard::open(data, vocab_size));
    return std::make_shared<const data::TokenShard>(std::move(shard));
  }
  if (tokenizer == nullptr) {
    return usage_error("text needs a tokenizer: name it with --tokenizer");
  }
  ANEROID_TRY(tokenizer::check_vocab_size(*tokenizer, vocab_size, "model"));
  ANEROID_ASSIGN(const auto documents, read_documents(data));
  ANEROID_ASSIGN(const auto tokens, tokenize(*tokenizer, documents));
  ANEROID_ASSIGN(auto shard, data::TokenShard::from_tokens(
                                 tokens, vocab_size,
                                 data.empty() ? "the built-in stories" : data));
  return std::make_shared<const data::TokenShard>(std::move(shard));
}

}  // namespace aneroid::cli
