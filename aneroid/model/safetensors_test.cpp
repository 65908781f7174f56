#include "aneroid/model/safetensors.h"

#include <numeric>

#include <nlohmann/json.hpp>

#include "aneroid/model/test_support.h"

namespace aneroid::model {
namespace {

class SafetensorsTest : public FolderTest {
 protected:
  Result<SafetensorsFile> open(std::string_view content) {
    write(at("t.safetensors"), content);
    return SafetensorsFile::open(at("t.safetensors"));
  }
  void refused(std::string_view header, std::string_view data,
               std::string_view words) {
    SCOPED_TRACE(header.substr(0, 200));
    expect_error(open(assemble(header, data)), "safetensors", words);
  }
};

TensorView view(std::string name, DataType type, Shape shape,
                std::string_view bytes) {
  return {std::move(name), type, std::move(shape),
          std::as_bytes(std::span(bytes))};
}

TEST_F(SafetensorsTest, ReadsAFileOfTheFormatsOwnExampleShape) {
  const auto file = open(
      assemble(R"({"b":{"dtype":"F16","shape":[1,3],"data_offsets":[4,10]},)"
               R"("__metadata__":{"k":"v"},)"
               R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
               "0123456789"));
  ASSERT_TRUE(file) << to_string(file.error());
  ASSERT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors()[0].name, "a");  // in the order of the bytes
  EXPECT_EQ(file->tensors()[0].shape, Shape{});
  const TensorView* b = file->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->type, DataType::kFp16);
  EXPECT_EQ(b->shape, (Shape{1, 3}));
  EXPECT_EQ(std::memcmp(b->bytes.data(), "456789", 6), 0);
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_EQ(*file->find_metadata("k"), "v");
  EXPECT_EQ(file->find_metadata("x"), nullptr);
}

TEST_F(SafetensorsTest, RoundTripOfEveryType) {
  std::vector<TensorView> tensors;
  const std::string bytes(64, 'q');
  for (int i = 0; i <= static_cast<int>(DataType::kUint64); ++i) {
    const auto type = static_cast<DataType>(i);
    if (safetensors_name(type).empty()) continue;
    tensors.push_back(
        view(fmt::format("t{}", i), type, {2, 3},
             std::string_view(bytes).substr(0, 6 * aneroid::bytes(type))));
  }
  ASSERT_EQ(tensors.size(), 15U);
  tensors.push_back(view("empty", DataType::kFp32, {0, 5}, ""));
  tensors.push_back(view("ünïcode \"quoted\"\n", DataType::kUint8, {1}, "x"));
  const Metadata metadata = {{"key", "välue"}, {"empty", ""}};
  ASSERT_TRUE(write_safetensors(at("t"), tensors, metadata));

  const auto file = SafetensorsFile::open(at("t"));
  ASSERT_TRUE(file) << to_string(file.error());
  EXPECT_EQ(file->metadata(), metadata);
  ASSERT_EQ(file->tensors().size(), tensors.size());
  for (const TensorView& tensor : tensors) {
    const TensorView* read = file->find(tensor.name);
    ASSERT_NE(read, nullptr) << tensor.name;
    EXPECT_EQ(read->type, tensor.type);
    EXPECT_EQ(read->shape, tensor.shape);
    EXPECT_TRUE(std::equal(read->bytes.begin(), read->bytes.end(),
                           tensor.bytes.begin(), tensor.bytes.end()));
  }
  uint64_t length = 0;
  std::memcpy(&length, read(at("t")).data(), sizeof length);
  EXPECT_EQ(length % 8, 0U);
}

TEST_F(SafetensorsTest, NoTensorsAtAll) {
  ASSERT_TRUE(write_safetensors(at("t"), {}, {}));
  const auto file = SafetensorsFile::open(at("t"));
  ASSERT_TRUE(file) << to_string(file.error());
  EXPECT_TRUE(file->tensors().empty());
}

TEST_F(SafetensorsTest, RefusesDamagedStarts) {
  expect_error(SafetensorsFile::open(at("absent")), "file", "open");
  expect_error(SafetensorsFile::open(folder_), "file", "folder");
  expect_error(open(""), "safetensors", "has 0 bytes");
  expect_error(open("1234567"), "safetensors", "has 7 bytes");
  expect_error(open("GGUF-not-safetensors"), "safetensors", "announces");
  std::string huge(8, '\xFF');
  expect_error(open(huge + "{}"), "safetensors", "18446744073709551615");
  huge = std::string("\x01\xE1\xF5\x05\0\0\0\0", 8);  // 100,000,001
  write(at("t.safetensors"), huge);
  std::filesystem::resize_file(at("t.safetensors"), 100'000'009);  // sparse
  expect_error(SafetensorsFile::open(at("t.safetensors")), "safetensors",
               "100000001 bytes; the limit is 100000000");
}

TEST_F(SafetensorsTest, RefusesBadHeaders) {
  refused("", "", "not valid JSON");
  refused("{", "", "not valid JSON");
  refused("[]", "", "must be a JSON object");
  refused("{\"\xFF\": 1}", "", "not valid JSON");
  refused("{} x", "", "not valid JSON");
  refused(R"({"a": 1})", "", "must be a JSON object");
  refused(R"({"__metadata__": 1})", "", "__metadata__");
  refused(R"({"__metadata__": {"k": 1}})", "", "\"k\" must be a string");
  std::string deep = R"({"a": )" + std::string(200, '[');
  refused(deep + std::string(200, ']') + "}", "", "nests deeper than 64");
  refused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
          R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          "12", "key 'a' twice");
}

TEST_F(SafetensorsTest, RefusesBadEntries) {
  const auto entry = [](std::string_view dtype, std::string_view shape,
                        std::string_view offsets) {
    return fmt::format(R"({{"a":{{"dtype":{},"shape":{},"data_offsets":{}}}}})",
                       dtype, shape, offsets);
  };
  const auto f32 = [&](std::string_view shape, std::string_view offsets) {
    return entry("\"F32\"", shape, offsets);
  };
  const std::string data(8, 'x');
  refused(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", data, "no dtype");
  refused(entry("5", "[2]", "[0,8]"), data, "no dtype");
  refused(entry("\"F33\"", "[2]", "[0,8]"), data, "unknown dtype \"F33\"");
  refused(f32("2", "[0,8]"), data, "needs a shape");
  refused(f32("[-2]", "[0,8]"), data, "needs a shape");
  refused(f32("[2.0]", "[0,8]"), data, "needs a shape");
  refused(f32("[18446744073709551615]", "[0,8]"), data, "needs a shape");
  refused(f32("[1,1,1,1,1,1,1,1,2]", "[0,8]"), data, "needs a shape");
  refused(f32("[2]", "8"), data, "data_offsets");
  refused(f32("[2]", "[0]"), data, "data_offsets");
  refused(f32("[2]", "[0,4,8]"), data, "data_offsets");
  refused(f32("[2]", "[0,-8]"), data, "data_offsets");
  refused(f32("[2]", "[8,0]"), data, "[8, 0], but the file has 8");
  refused(f32("[2]", "[0,12]"), data, "[0, 12], but the file has 8");
  refused(f32("[2]", "[0,9223372036854775807]"), data, "but the file has 8");
  refused(f32("[2]", "[9223372036854775807,9223372036854775807]"), data,
          "but the file has 8");
  refused(f32("[3]", "[0,8]"), data, "8 bytes, which is not [3] of F32");
  refused(f32("[1]", "[0,7]"), data, "7 bytes, which is not [1] of F32");
  refused(f32("[4294967296,4294967296]", "[0,0]"), "", "which is not");
  refused(f32("[4611686018427387904,4]", "[0,0]"), "", "which is not");
  refused(f32("[4611686018427387905]", "[0,4]"), "1234", "which is not");
}

TEST_F(SafetensorsTest, RefusesOverlapsGapsAndLeftovers) {
  const auto two = [](int begin_a, int end_a, int begin_b, int end_b) {
    return fmt::format(
        R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
        R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
        end_a - begin_a, begin_a, end_a, end_b - begin_b, begin_b, end_b);
  };
  ASSERT_TRUE(open(assemble(two(0, 4, 4, 8), "12345678")));
  ASSERT_TRUE(open(assemble(two(4, 8, 0, 4), "12345678")));
  ASSERT_TRUE(open(assemble(two(0, 0, 0, 8), "12345678")));
  refused(two(0, 5, 4, 8), "12345678", "inside the tensor before");
  refused(two(0, 8, 0, 8), "12345678", "inside the tensor before");
  refused(two(0, 8, 3, 3), "12345678", "inside the tensor before");
  refused(two(0, 3, 4, 8), "12345678", "not right after");
  refused(two(1, 4, 4, 8), "12345678", "not right after");
  refused(two(0, 4, 4, 8), "123456789", "9 bytes of data");
  refused("{}", "1", "1 bytes of data, but its tensors take 0");
}

TEST_F(SafetensorsTest, RefusesEveryTruncation) {
  const std::string data(24, 'd');
  const std::vector<TensorView> tensors = {
      view("a", DataType::kFp32, {2}, std::string_view(data).substr(0, 8)),
      view("b", DataType::kInt16, {2, 4}, std::string_view(data).substr(8))};
  ASSERT_TRUE(write_safetensors(at("t"), tensors, {{"k", "v"}}));
  const std::string whole = read(at("t"));
  for (size_t size = 0; size < whole.size(); ++size) {
    expect_error(open(whole.substr(0, size)), "safetensors", "t.safetensors");
  }
  EXPECT_TRUE(open(whole));
}

// Any single flipped bit of the header gives a file that is refused or still
// consistent; a sanitizer build would see reads out of bounds.
TEST_F(SafetensorsTest, SurvivesEveryFlippedBitOfTheHeader) {
  const std::string data(8, 'd');
  const std::vector<TensorView> tensors = {
      view("a", DataType::kFp32, {2}, data)};
  ASSERT_TRUE(write_safetensors(at("t"), tensors, {{"k", "v"}}));
  const std::string whole = read(at("t"));
  int accepted = 0;
  for (size_t bit = 0; bit < 8 * (whole.size() - data.size()); ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto file = open(damaged);
    if (!file) continue;
    ++accepted;  // a changed name, or a type of the same width
    size_t total = 0;
    for (const TensorView& tensor : file->tensors()) {
      total += tensor.bytes.size();
      EXPECT_EQ(std::accumulate(tensor.bytes.begin(), tensor.bytes.end(), 0,
                                [](int sum, std::byte b) {
                                  return sum + std::to_integer<int>(b);
                                }),
                8 * 'd');
    }
    EXPECT_EQ(total, file->tensors().empty() ? 0 : data.size());
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 60);
}

TEST_F(SafetensorsTest, WriterRefusesWhatNoReaderWouldAccept) {
  const auto refuses = [&](const TensorView& tensor, std::string_view words) {
    const std::vector<TensorView> one = {tensor};
    expect_error(write_safetensors(at("w"), one, {}), "safetensors", words);
    EXPECT_FALSE(std::filesystem::exists(at("w")));
  };
  refuses(view("__metadata__", DataType::kUint8, {1}, "x"), "not used before");
  refuses(view("\xFF", DataType::kUint8, {1}, "x"), "UTF-8");
  refuses(view("a", DataType::kInt4, {1}, "x"), "int4");
  refuses(view("a", DataType::kFp32, {1}, "x"), "1 bytes, which is not [1]");
  refuses(view("a", DataType::kFp32, {-1}, "x"), "which is not");
  const std::vector<TensorView> twice(2, view("a", DataType::kUint8, {1}, "x"));
  expect_error(write_safetensors(at("w"), twice, {}), "safetensors",
               "not used before");
  expect_error(write_safetensors(at("w"), {}, {{"k", "\xFF"}}), "safetensors",
               "__metadata__ \"k\" is not UTF-8");
  expect_error(write_safetensors(at("no/folder"), {}, {}), "file", "write");
}

}  // namespace
}  // namespace aneroid::model
