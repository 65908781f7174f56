// The tokens behind --data: a shard, a text file, or the built-in stories.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/data/shard.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::cli {

// Text by its name: ends in .txt. Anything else is a token shard.
bool is_text(const std::string& data);

// Documents of a text file, or the built-in stories when `data` is empty.
Result<std::vector<std::string>> read_documents(const std::string& data);

// BOS before each document. Shows progress.
Result<std::vector<int32_t>> tokenize(
    const tokenizer::Tokenizer& tokenizer,
    const std::vector<std::string>& documents);

// The tokens of `data`; `tokenizer` may be null for a shard.
Result<std::shared_ptr<const data::TokenShard>> open_tokens(
    const std::string& data, const tokenizer::Tokenizer* tokenizer,
    int64_t vocab_size);

}  // namespace aneroid::cli
