#include "aneroid/data/shard.h"

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/data/histogram.h"
#include "aneroid/data/test_support.h"

namespace aneroid::data {
namespace {

using Ids = std::vector<int32_t>;

Ids read_all(const TokenShard& shard) {
  Ids ids(shard.size());
  shard.read(0, ids);
  return ids;
}

class ShardTest : public TemporaryFolderTest {
 protected:
  void expect_refusal(const std::string& bytes, int64_t vocab_size,
                      const std::string& why) const {
    const auto shard = TokenShard::open(write("s.bin", bytes), vocab_size);
    ASSERT_FALSE(shard) << why;
    EXPECT_EQ(shard.error().label, "shard");
    EXPECT_EQ(shard.error().place, (folder_ / "s.bin").string());
    EXPECT_NE(shard.error().message.find(why), std::string::npos)
        << shard.error().message;
  }
};

TEST_F(ShardTest, BothFormatsRoundTrip) {
  Ids ids(200000);
  std::iota(ids.begin(), ids.end(), 0);
  for (int32_t& id : ids) id %= 65536;
  const auto path = folder_ / "s.bin";
  ASSERT_TRUE(write_shard(path, ids, ShardFormat::kUint16));
  EXPECT_EQ(std::filesystem::file_size(path), 400000);
  const TokenShard narrow = TokenShard::open(path, 65536).value();
  EXPECT_EQ(narrow.width(), 2);
  EXPECT_EQ(narrow.size(), ids.size());
  EXPECT_EQ(read_all(narrow), ids);

  ids.back() = 151935;
  ASSERT_TRUE(write_shard(path, ids, ShardFormat::kUint32));
  EXPECT_EQ(std::filesystem::file_size(path), 16 + 800000);
  const TokenShard wide = TokenShard::open(path, 151936).value();
  EXPECT_EQ(wide.width(), 4);
  EXPECT_EQ(read_all(wide), ids);
  Ids part(3);
  wide.read(199997, part);
  EXPECT_EQ(part, (Ids{ids[199997], ids[199998], 151935}));
}

TEST_F(ShardTest, FilesAreTheDocumentedBytes) {
  const auto path = folder_ / "s.bin";
  ASSERT_TRUE(write_shard(path, Ids{1, 0x1234}, ShardFormat::kUint16));
  EXPECT_EQ(read_file(path).value(), std::string("\x01\x00\x34\x12", 4));
  ASSERT_TRUE(write_shard(path, Ids{0x12345}, ShardFormat::kUint32));
  EXPECT_EQ(read_file(path).value(),
            std::string("ANTK\x01\x00\x04\x00\x01\x00\x00\x00\x00\x00\x00\x00"
                        "\x45\x23\x01\x00",
                        20));
}

TEST_F(ShardTest, MovedShardsStayReadable) {
  TokenShard one = TokenShard::from_tokens(Ids{5, 6, 7}, 8, "text").value();
  TokenShard two = std::move(one);
  EXPECT_EQ(read_all(two), (Ids{5, 6, 7}));
  EXPECT_EQ(two.place(), "text");
}

TEST_F(ShardTest, RefusesFilesThatAreNoShard) {
  expect_refusal("", 512, "holds no tokens");
  expect_refusal("abc", 512, "has 3 bytes, an odd number");
  EXPECT_EQ(TokenShard::open(folder_ / "absent", 512).error().label, "file");
  EXPECT_EQ(TokenShard::open(folder_, 512).error().label, "file");
}

TEST_F(ShardTest, RefusesAHeaderThatDoesNotFit) {
  ASSERT_TRUE(
      write_shard(folder_ / "good.bin", Ids{1, 2, 3}, ShardFormat::kUint32));
  const std::string good = read_file(folder_ / "good.bin").value();
  expect_refusal(good.substr(0, 15), 512, "has 15 bytes of a header of 16");
  expect_refusal(good.substr(0, 16), 512, "states 3 ids");
  expect_refusal(good.substr(0, 27), 512, "but holds 11 bytes");
  expect_refusal(good + "more", 512, "but holds 16 bytes");
  std::string bytes = good;
  bytes[4] = 2;
  expect_refusal(bytes, 512, "has version 2 with ids of 4 bytes");
  bytes = good;
  bytes[6] = 8;
  expect_refusal(bytes, 512, "version 1 with ids of 8 bytes");
  // A count whose size in bytes overflows 64 bits to the right one.
  bytes = good;
  const uint64_t count = (uint64_t{1} << 62) + 3;
  std::memcpy(bytes.data() + 8, &count, sizeof(count));
  expect_refusal(bytes, 512, "states 4611686018427387907 ids");
  bytes = good.substr(0, 16);
  std::memset(bytes.data() + 8, 0, 8);
  expect_refusal(bytes, 512, "holds no tokens");
}

TEST_F(ShardTest, RefusesIdsOutsideTheVocabulary) {
  Ids ids(50000, 7);
  ids[40001] = 512;
  ids[40002] = 600;
  for (const auto format : {ShardFormat::kUint16, ShardFormat::kUint32}) {
    ASSERT_TRUE(write_shard(folder_ / "good.bin", ids, format));
    expect_refusal(read_file(folder_ / "good.bin").value(), 512,
                   "token 40001 is 512, outside the vocabulary of 512");
  }
  EXPECT_TRUE(TokenShard::open(folder_ / "good.bin", 601));
  expect_refusal("ab", 0, "a vocabulary of 0");
  expect_refusal("ab", int64_t{1} << 40, "a vocabulary of 1099511627776");
  const auto negative = TokenShard::from_tokens(Ids{1, -3}, 1 << 30, "text");
  ASSERT_FALSE(negative);
  EXPECT_NE(negative.error().message.find("token 1 is -3"), std::string::npos);
  EXPECT_FALSE(TokenShard::from_tokens({}, 512, "text"));
}

TEST_F(ShardTest, RefusesToWriteWhatDoesNotFit) {
  const auto path = folder_ / "s.bin";
  const Status large = write_shard(path, Ids{1, 65536}, ShardFormat::kUint16);
  ASSERT_FALSE(large);
  EXPECT_NE(large.error().message.find("token 1 is 65536"), std::string::npos);
  EXPECT_NE(large.error().message.find("write uint32"), std::string::npos);
  EXPECT_FALSE(write_shard(path, Ids{-1}, ShardFormat::kUint32));
  EXPECT_FALSE(write_shard(path, {}, ShardFormat::kUint16));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(write_shard(folder_ / "no" / "s.bin", Ids{1}, ShardFormat::kUint16)
                .error()
                .label,
            "file");
  EXPECT_EQ(smallest_format(65536), ShardFormat::kUint16);
  EXPECT_EQ(smallest_format(65537), ShardFormat::kUint32);
}

TEST_F(ShardTest, MutatedHeadersNeverCrash) {
  Random random(9);
  ASSERT_TRUE(
      write_shard(folder_ / "good.bin", Ids(20, 3), ShardFormat::kUint32));
  const std::string good = read_file(folder_ / "good.bin").value();
  for (int round = 0; round < 300; ++round) {
    std::string bytes = good;
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    bytes.resize(random.below(4) == 0 ? random.below(bytes.size())
                                      : bytes.size());
    const auto shard = TokenShard::open(write("m.bin", bytes), 512);
    if (!shard) continue;
    for (const int32_t id : read_all(*shard)) EXPECT_LT(id, 512);
  }
}

TEST_F(ShardTest, Histogram) {
  const TokenShard shard =
      TokenShard::from_tokens(Ids{9, 3, 3, 5, 5, 3, 0}, 10, "text").value();
  const TokenHistogram all = count_ids(shard, shard.all());
  EXPECT_EQ(all.total, 7);
  EXPECT_EQ(all.used, 4);
  EXPECT_EQ(all.counts.size(), 10);
  EXPECT_EQ(all.counts[3], 3);
  EXPECT_EQ(all.used_ids(), (Ids{0, 3, 5, 9}));
  EXPECT_EQ(all.commonest(3), (Ids{3, 5, 0}));
  EXPECT_EQ(all.commonest(99).size(), 4);
  const TokenHistogram part = count_ids(shard, {1, 2});
  EXPECT_EQ(part.total, 2);
  EXPECT_EQ(part.used_ids(), Ids{3});
}

TEST_F(ShardTest, TheStoryShard) {
  const auto path =
      shared_data() / "stories" / "tinystories-v1-train-head.llama2.u16";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  const TokenShard shard = TokenShard::open(path, 32000).value();
  EXPECT_EQ(shard.size(), 255251);
  Ids first(1);
  shard.read(0, first);
  EXPECT_EQ(first[0], 1);
  const TokenHistogram histogram = count_ids(shard, shard.all());
  EXPECT_EQ(static_cast<int64_t>(histogram.used_ids().size()), histogram.used);
  EXPECT_FALSE(TokenShard::open(path, 512));
}

}  // namespace
}  // namespace aneroid::data
