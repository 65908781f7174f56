#include "aneroid/blob/blob.h"

#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"

namespace aneroid::blob {
namespace {

std::vector<std::byte> to_bytes(const std::vector<int>& values) {
  std::vector<std::byte> bytes;
  bytes.reserve(values.size());
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

template <typename T>
void put(std::vector<std::byte>& file, size_t offset, T value) {
  std::memcpy(file.data() + offset, &value, sizeof(T));
}
template <typename T>
T get(const std::vector<std::byte>& file, size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof(T));
  return value;
}

const std::vector<std::byte>& payload() {
  static const std::vector<std::byte> kBytes =
      to_bytes({1, 2, 3, 4, 5, 6, 7, 8});
  return kBytes;
}

// One fp16 record of four elements: 64 + 64 + 8 bytes.
std::vector<std::byte> small_file() {
  return single_blob(DataType::kFp16, payload());
}

// The message and notes of a failed read of small_file()'s only tensor.
std::string refusal(const std::vector<std::byte>& file, uint64_t offset = 64,
                    DataType type = DataType::kFp16, int64_t elements = 4,
                    Tolerance tolerance = Tolerance::kStrict) {
  const auto record = Reader(file, tolerance).read(offset, type, elements);
  if (record) return "accepted";
  EXPECT_EQ(record.error().label, "blob");
  return to_string(record.error());
}

TEST(BlobWriter, SingleBlobHasTheDocumentedLayout) {
  const std::vector<std::byte> file = small_file();
  ASSERT_EQ(file.size(), 136U);
  EXPECT_EQ(get<uint32_t>(file, 0), 1U);
  EXPECT_EQ(get<uint32_t>(file, 4), 2U);
  EXPECT_EQ(get<uint32_t>(file, 64), 0xDEADBEEFU);
  EXPECT_EQ(get<uint32_t>(file, 68), 1U);
  EXPECT_EQ(get<uint64_t>(file, 72), 8U);
  EXPECT_EQ(get<uint64_t>(file, 80), 128U);
  EXPECT_EQ(get<uint64_t>(file, 88), 0U);
  EXPECT_EQ(std::vector(file.begin() + 128, file.end()), payload());
}

TEST(BlobWriter, RecordsAreAlignedAndReadBack) {
  Writer writer;
  const std::vector<std::byte> floats(4 * 33, std::byte{7});
  const std::vector<std::byte> ints(5, std::byte{9});
  EXPECT_EQ(writer.append(DataType::kFp16, payload()).value(), 64U);
  EXPECT_EQ(writer.append(DataType::kFp32, floats).value(), 192U);
  EXPECT_EQ(writer.append(DataType::kInt8, ints).value(), 448U);
  EXPECT_EQ(writer.append(DataType::kInt32, {}).value(), 576U);
  const std::vector<std::byte> file = writer.finish();
  EXPECT_EQ(get<uint32_t>(file, 0), 4U);
  const Reader reader(file);
  EXPECT_EQ(reader.read_elements(64, DataType::kFp16, 4).value(), payload());
  EXPECT_EQ(reader.read_elements(192, DataType::kFp32, 33).value(), floats);
  EXPECT_EQ(reader.read_elements(448, DataType::kInt8, 5).value(), ints);
  EXPECT_TRUE(reader.read(576, DataType::kInt32, 0)->data.empty());
}

TEST(BlobWriter, IsEmptyAfterFinish) {
  Writer writer;
  ASSERT_TRUE(writer.append(DataType::kFp16, payload()));
  const std::vector<std::byte> first = writer.finish();
  EXPECT_EQ(writer.finish().size(), 64U);
  ASSERT_TRUE(writer.append(DataType::kFp16, payload()));
  EXPECT_EQ(writer.finish(), first);
}

TEST(BlobWriter, RefusesTypesWithoutACodeAndPartialElements) {
  Writer writer;
  for (const DataType type : {DataType::kBool, DataType::kString,
                              DataType::kFp64, DataType::kInt64}) {
    EXPECT_FALSE(is_storable(type));
    EXPECT_FALSE(writer.append(type, payload())) << name(type);
  }
  const auto odd = writer.append(DataType::kFp16, to_bytes({1, 2, 3}));
  ASSERT_FALSE(odd);
  EXPECT_NE(odd.error().message.find("3 bytes"), std::string::npos);
}

TEST(BlobPacking, MatchesTheFormatsExamples) {
  EXPECT_EQ(pack(DataType::kUint4, to_bytes({1, 2, 3})),
            to_bytes({0x21, 0x03}));
  // Four indices of 6 bits take three bytes.
  EXPECT_EQ(pack(DataType::kUint6, to_bytes({1, 2, 3, 63})),
            to_bytes({0x81, 0x30, 0xFC}));
  EXPECT_EQ(unpack(DataType::kInt4, to_bytes({0x8F}), 2),
            to_bytes({0xFF, 0xF8}));
  EXPECT_EQ(unpack(DataType::kUint2, to_bytes({0x6C}), 4),
            to_bytes({0, 3, 2, 1}));
}

TEST(BlobPacking, RoundTripsEverySubByteType) {
  Random random(7);
  for (const DataType type :
       {DataType::kUint1, DataType::kUint2, DataType::kUint3, DataType::kUint4,
        DataType::kUint6, DataType::kInt4}) {
    for (int count = 0; count < 20; ++count) {
      std::vector<std::byte> elements;
      for (int i = 0; i < count; ++i) {
        const auto value = static_cast<int>(random.below(1U << bits(type)));
        elements.push_back(static_cast<std::byte>(
            type == DataType::kInt4 ? value - 8 : value));
      }
      const auto file = single_blob(type, elements);
      EXPECT_EQ(Reader(file).read_elements(64, type, count).value(), elements)
          << name(type) << " x " << count;
    }
  }
}

TEST(BlobReader, NamesRuleC010ForTheOffsetsPeopleWrite) {
  const std::vector<std::byte> file = small_file();
  EXPECT_NE(refusal(file, 0).find("C010: offset 0 is the file header"),
            std::string::npos);
  // A file long enough to have 64 bytes at 128.
  const auto longer = single_blob(DataType::kFp16, std::vector<std::byte>(256));
  const std::string at_data = refusal(longer, 128);
  EXPECT_NE(at_data.find("C010: 128 is where the data starts"),
            std::string::npos)
      << at_data;
  EXPECT_NE(at_data.find("at 64"), std::string::npos);
}

TEST(BlobReader, RefusesWhatContradictsTheProgram) {
  const std::vector<std::byte> file = small_file();
  EXPECT_NE(refusal(file, 64, DataType::kInt8, 8)
                .find("holds fp16 (code 1), the program says int8"),
            std::string::npos);
  EXPECT_NE(refusal(file, 64, DataType::kFp16, 5).find("takes 10"),
            std::string::npos);
  EXPECT_NE(refusal(file, 64, DataType::kBool, 8).find("cannot hold bool"),
            std::string::npos);
  EXPECT_NE(refusal(file, 64, DataType::kFp16, -1).find("not a size"),
            std::string::npos);
  EXPECT_NE(refusal(file, 64, DataType::kFp32, INT64_MAX).find("not a size"),
            std::string::npos);
}

TEST(BlobReader, RefusesLyingRecords) {
  const auto broken = [](size_t offset, auto value) {
    std::vector<std::byte> file = small_file();
    put(file, offset, value);
    return refusal(file);
  };
  EXPECT_NE(broken(4, uint32_t{1}).find("version 1"), std::string::npos);
  EXPECT_NE(broken(64, uint32_t{0}).find("0xdeadbeef"), std::string::npos);
  EXPECT_NE(broken(68, uint32_t{99}).find("unknown type (code 99)"),
            std::string::npos);
  EXPECT_NE(broken(72, UINT64_MAX).find("holds 18446744073709551615"),
            std::string::npos);
  EXPECT_NE(broken(80, UINT64_MAX - 3).find("do not fit"), std::string::npos);
  EXPECT_NE(broken(80, uint64_t{130}).find("do not fit"), std::string::npos);
  EXPECT_NE(broken(80, uint64_t{0}).find("C011"), std::string::npos);
}

TEST(BlobReader, ChecksOffsetsWithoutOverflow) {
  const std::vector<std::byte> file = small_file();
  EXPECT_NE(refusal(file, 65).find("not a multiple of 64"), std::string::npos);
  for (const uint64_t offset :
       {uint64_t{192}, uint64_t{1} << 40, UINT64_MAX - 63}) {
    EXPECT_NE(refusal(file, offset).find("does not fit in a file of 136"),
              std::string::npos);
  }
}

TEST(BlobReader, ChecksPaddingOnlyWhereItMeansSomething) {
  std::vector<std::byte> fp16 = small_file();
  put(fp16, 88, uint64_t{11751492080});  // seen in files of older tools
  EXPECT_EQ(refusal(fp16), "accepted");
  std::vector<std::byte> uint4 =
      single_blob(DataType::kUint4, to_bytes({1, 2, 3}));
  EXPECT_EQ(refusal(uint4, 64, DataType::kUint4, 3), "accepted");
  for (const uint64_t padding : {3, 8, 1000}) {
    put(uint4, 88, padding);
    EXPECT_NE(refusal(uint4, 64, DataType::kUint4, 3).find("padding bits"),
              std::string::npos);
  }
}

TEST(BlobReader, EveryTruncationIsRefused) {
  const std::vector<std::byte> file = small_file();
  for (size_t length = 0; length < file.size(); ++length) {
    const std::vector<std::byte> part(file.begin(),
                                      file.begin() + static_cast<long>(length));
    EXPECT_NE(refusal(part), "accepted") << length;
    EXPECT_NE(refusal(part, 64, DataType::kFp16, 4, Tolerance::kHandMade),
              "accepted")
        << length;
  }
}

TEST(BlobReader, HandMadeFilesNeedTheTolerantMode) {
  // As in published benchmarks: type 1 for int8, byte 10 set, data offset 0.
  std::vector<std::byte> file(64 + 2 * (64 + 10));
  put(file, 0, uint32_t{1});
  put(file, 4, uint32_t{2});
  for (const size_t record : {64U, 138U}) {
    put(file, record, uint32_t{0xDEADBEEF});
    put(file, record + 4, uint32_t{1});
    file[record + 10] = std::byte{8};
    file[record + 64] = static_cast<std::byte>(record);
  }
  EXPECT_NE(refusal(file, 64, DataType::kInt8, 10), "accepted");
  const Reader reader(file, Tolerance::kHandMade);
  EXPECT_EQ(reader.read(64, DataType::kInt8, 10)->data[0], std::byte{64});
  EXPECT_EQ(reader.read(138, DataType::kInt8, 10)->data[0], std::byte{138});
  EXPECT_FALSE(reader.read(138, DataType::kInt8, 11));
  put(file, 64 + 16, UINT64_MAX);
  EXPECT_FALSE(reader.read(64, DataType::kInt8, 10));
}

TEST(BlobReader, TolerantModeReadsAFileWithoutAHeader) {
  std::vector<std::byte> file(64 + 4, std::byte{0});
  put(file, 0, uint32_t{0xDEADBEEF});
  put(file, 4, uint32_t{1});
  put(file, 64, uint32_t{0x04030201});
  EXPECT_FALSE(Reader(file).read(64, DataType::kInt8, 4));
  const Reader reader(file, Tolerance::kHandMade);
  EXPECT_EQ(reader.read_elements(64, DataType::kInt8, 4).value(),
            to_bytes({1, 2, 3, 4}));
  EXPECT_EQ(reader.read_elements(0, DataType::kInt8, 4).value(),
            to_bytes({1, 2, 3, 4}));
  EXPECT_FALSE(reader.read(64, DataType::kInt8, 5));
}

// Whatever the bytes, a read ends in a refusal or in bytes of the file.
TEST(BlobReader, SurvivesRandomMutations) {
  Random random(1);
  Writer writer;
  ASSERT_TRUE(writer.append(DataType::kFp16, payload()));
  ASSERT_TRUE(writer.append(DataType::kUint3, to_bytes({1, 2, 3, 4, 5})));
  const std::vector<std::byte> good = writer.finish();
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::byte> file = good;
    for (uint64_t i = random.below(4); i > 0; --i) {
      file[random.below(file.size())] = static_cast<std::byte>(random.next());
    }
    file.resize(random.below(4) == 0 ? random.below(file.size() + 1)
                                     : file.size());
    const auto tolerance =
        random.below(2) == 0 ? Tolerance::kStrict : Tolerance::kHandMade;
    const uint64_t offset = random.below(5) * 64;
    const DataType type =
        random.below(2) == 0 ? DataType::kFp16 : DataType::kUint3;
    const auto values =
        Reader(file, tolerance)
            .read_elements(offset, type,
                           static_cast<int64_t>(random.below(40)));
    accepted += values ? 1 : 0;
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace aneroid::blob
