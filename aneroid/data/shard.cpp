#include "aneroid/data/shard.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace aneroid::data {
namespace {

static_assert(std::endian::native == std::endian::little,
              "shards are read in place");

// Starts a file of uint32 ids.
struct Header {
  char magic[4];
  uint16_t version;
  uint16_t id_bytes;
  uint64_t count;
};
static_assert(sizeof(Header) == 16);
constexpr Header kHeader{{'A', 'N', 'T', 'K'}, 1, 4, 0};

tl::unexpected<Diagnostic> shard_error(std::string place, std::string message) {
  return input_error("shard", std::move(place), std::move(message));
}

// The index of the first id at or above `limit`, or ids.size(). The maximum
// of a block vectorises; only a block with a bad id is searched.
template <typename T>
size_t first_at_or_above(std::span<const T> ids, int64_t limit) {
  constexpr size_t kBlock = size_t{1} << 14;
  for (size_t start = 0; start < ids.size(); start += kBlock) {
    const auto block = ids.subspan(start, std::min(kBlock, ids.size() - start));
    T largest = 0;
    for (const T id : block) largest = std::max(largest, id);
    if (largest < limit) continue;
    const auto bad = std::find_if(block.begin(), block.end(),
                                  [&](T id) { return id >= limit; });
    return start + static_cast<size_t>(bad - block.begin());
  }
  return ids.size();
}

Result<std::span<const uint32_t>> read_header(std::span<const std::byte> bytes,
                                              const std::string& place) {
  if (bytes.size() < sizeof(Header)) {
    return shard_error(
        place, fmt::format("has {} bytes of a header of {}; the file is cut "
                           "off, make it again",
                           bytes.size(), sizeof(Header)));
  }
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof(header));
  if (header.version != kHeader.version ||
      header.id_bytes != kHeader.id_bytes) {
    return shard_error(
        place, fmt::format("has version {} with ids of {} bytes; this program "
                           "reads version {} with ids of {}",
                           header.version, header.id_bytes, kHeader.version,
                           kHeader.id_bytes));
  }
  const uint64_t body = bytes.size() - sizeof(Header);
  if (body % sizeof(uint32_t) != 0 || body / sizeof(uint32_t) != header.count) {
    return shard_error(
        place, fmt::format("states {} ids of 4 bytes but holds {} bytes of "
                           "them; the file is cut off or damaged, make it "
                           "again",
                           header.count, body));
  }
  return std::span(
      reinterpret_cast<const uint32_t*>(bytes.data() + sizeof(Header)),
      header.count);
}

}  // namespace

Result<TokenShard> TokenShard::open(const std::filesystem::path& path,
                                    int64_t vocab_size) {
  TokenShard shard;
  shard.place_ = path.string();
  shard.vocab_size_ = vocab_size;
  ANEROID_ASSIGN(shard.file_, MappedFile::open(path));
  const std::span<const std::byte> bytes = shard.file_.bytes();
  const bool has_header =
      bytes.size() >= sizeof(kHeader.magic) &&
      std::memcmp(bytes.data(), kHeader.magic, sizeof(kHeader.magic)) == 0;
  if (has_header) {
    ANEROID_ASSIGN(shard.wide_, read_header(bytes, shard.place_));
  } else if (bytes.size() % sizeof(uint16_t) != 0) {
    return shard_error(
        shard.place_,
        fmt::format("has {} bytes, an odd number; a shard is 2 bytes per id: "
                    "the file is cut off or no shard",
                    bytes.size()));
  } else {
    shard.narrow_ = {reinterpret_cast<const uint16_t*>(bytes.data()),
                     bytes.size() / sizeof(uint16_t)};
  }
  ANEROID_TRY(shard.check_ids());
  return shard;
}

Result<TokenShard> TokenShard::from_tokens(std::span<const int32_t> tokens,
                                           int64_t vocab_size,
                                           std::string_view place) {
  TokenShard shard;
  shard.place_ = place;
  shard.vocab_size_ = vocab_size;
  // A negative id becomes one above any vocabulary.
  shard.memory_.assign(tokens.begin(), tokens.end());
  shard.wide_ = shard.memory_;
  ANEROID_TRY(shard.check_ids());
  return shard;
}

Status TokenShard::check_ids() const {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  if (vocab_size_ < 1 || vocab_size_ > kMost) {
    return shard_error(place_, fmt::format("cannot be read for a vocabulary of "
                                           "{}; 1 to {} are possible",
                                           vocab_size_, kMost));
  }
  if (size() == 0) {
    return shard_error(place_, "holds no tokens; make it again from text");
  }
  const size_t bad = wide_.empty() ? first_at_or_above(narrow_, vocab_size_)
                                   : first_at_or_above(wide_, vocab_size_);
  if (bad == size()) return {};
  const int64_t id = wide_.empty() ? narrow_[bad]
                     : memory_.empty()
                         ? int64_t{wide_[bad]}
                         : int64_t{static_cast<int32_t>(wide_[bad])};
  return shard_error(
      place_,
      fmt::format("token {} is {}, outside the vocabulary of {}; use the "
                  "model and the shard of one tokenizer",
                  bad, id, vocab_size_));
}

void TokenShard::read(uint64_t first, std::span<int32_t> ids) const {
  assert(first <= size() && ids.size() <= size() - first);
  if (wide_.empty()) {
    std::copy_n(narrow_.data() + first, ids.size(), ids.data());
  } else {
    std::memcpy(ids.data(), wide_.data() + first, ids.size_bytes());
  }
}

ShardFormat smallest_format(int64_t vocab_size) {
  return vocab_size <= int64_t{1} << 16 ? ShardFormat::kUint16
                                        : ShardFormat::kUint32;
}

Status write_shard(const std::filesystem::path& path,
                   std::span<const int32_t> tokens, ShardFormat format) {
  const bool narrow = format == ShardFormat::kUint16;
  const int32_t largest = narrow ? std::numeric_limits<uint16_t>::max()
                                 : std::numeric_limits<int32_t>::max();
  if (tokens.empty()) {
    return shard_error(path.string(), "there are no tokens to write");
  }
  const auto bad = std::find_if(tokens.begin(), tokens.end(), [&](int32_t id) {
    return id < 0 || id > largest;
  });
  if (bad != tokens.end()) {
    return shard_error(
        path.string(),
        fmt::format("token {} is {}; this kind of shard holds 0 to {}{}",
                    bad - tokens.begin(), *bad, largest,
                    narrow && *bad > 0 ? ": write uint32" : ""));
  }
  return write_file_atomically(path, [&](FileSink& sink) {
    if (!narrow) {
      Header header = kHeader;
      header.count = tokens.size();
      sink.write(std::as_bytes(std::span(&header, 1)));
      sink.write(std::as_bytes(tokens));
      return;
    }
    std::vector<uint16_t> block;
    constexpr size_t kBlock = size_t{1} << 16;
    for (size_t start = 0; start < tokens.size(); start += kBlock) {
      const auto part =
          tokens.subspan(start, std::min(kBlock, tokens.size() - start));
      block.assign(part.begin(), part.end());
      sink.write(std::as_bytes(std::span(block)));
    }
  });
}

}  // namespace aneroid::data
