// Files of token ids; docs/data.md describes them byte by byte.
//
//   uint16  nothing but little-endian ids, as llama2.c writes them
//   uint32  a header of 16 bytes, then little-endian ids
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/file.h"

namespace aneroid::data {

// Part of a shard: tokens first to first + count - 1.
struct TokenRange {
  uint64_t first = 0;
  uint64_t count = 0;
};

// A sequence of token ids, each in [0, vocab_size), in a mapped file or in
// memory. Movable. Any number of threads may read one object.
class TokenShard {
 public:
  // Maps the file, told apart by its header, and looks at every id. Errors
  // ("shard"): empty, of odd size, a header that does not fit the file, an id
  // outside the vocabulary (tells the first), a vocabulary below 1 or above
  // 2^31 - 1; ("file"): missing, unreadable.
  static Result<TokenShard> open(const std::filesystem::path& path,
                                 int64_t vocab_size);

  // Takes ids from memory. Errors ("shard"): none, or one outside the
  // vocabulary. `place` names them in messages.
  static Result<TokenShard> from_tokens(std::span<const int32_t> tokens,
                                        int64_t vocab_size,
                                        std::string_view place);

  uint64_t size() const { return narrow_.size() + wide_.size(); }
  TokenRange all() const { return {0, size()}; }
  int64_t vocab_size() const { return vocab_size_; }
  const std::string& place() const { return place_; }
  // Bytes per id: 2 or 4.
  int width() const { return wide_.empty() ? 2 : 4; }

  // Copies ids first, first + 1, ... until `ids` is full; first + ids.size()
  // must not exceed size().
  void read(uint64_t first, std::span<int32_t> ids) const;

 private:
  Status check_ids() const;

  std::string place_;
  int64_t vocab_size_ = 0;
  MappedFile file_;
  std::vector<uint32_t> memory_;
  // One of the two is empty; the other views file_ or memory_.
  std::span<const uint16_t> narrow_;
  std::span<const uint32_t> wide_;
};

enum class ShardFormat { kUint16, kUint32 };

// kUint16 when every id of the vocabulary fits it.
ShardFormat smallest_format(int64_t vocab_size);

// Writes atomically. Errors: "shard" when there are no ids, or one is
// negative or too large for the format (tells the first); "file" when the file
// cannot be written.
Status write_shard(const std::filesystem::path& path,
                   std::span<const int32_t> tokens, ShardFormat format);

}  // namespace aneroid::data
