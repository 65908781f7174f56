// aneroid data: stories, train-tokenizer, tokenize, info.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kMark = "<|endoftext|>";

class Data : public CommandTest {
 protected:
  // A small vocabulary learnt from the built-in stories.
  std::string tokenizer() const {
    if (!std::filesystem::exists(path("t.json"))) {
      expect_good({"data", "stories", "--out", path("stories.txt")});
      expect_good({"data", "train-tokenizer", "--vocab", "300", "--out",
                   path("t.json"), path("stories.txt")});
    }
    return path("t.json");
  }
  std::vector<std::string> tokenize(const std::string& input) const {
    return {"data",  "tokenize",    "--tokenizer", tokenizer(),
            "--out", path("x.bin"), input};
  }
};

TEST_F(Data, StoriesAreAll320) {
  const std::string text = expect_good({"data", "stories"});
  size_t marks = 0;
  for (size_t at = text.find(kMark); at != std::string::npos;
       at = text.find(kMark, at + 1)) {
    ++marks;
  }
  EXPECT_EQ(marks, 320U);
  const std::string said =
      expect_good({"data", "stories", "--out", path("s.txt")});
  EXPECT_EQ(read(path("s.txt")), text);
  EXPECT_NE(said.find("320 stories"), std::string::npos) << said;
}

TEST_F(Data, GoesFromTextToAShardAndBack) {
  const std::string text =
      write("two.txt", "The cat sat.\n<|endoftext|>\nThe dog ran home.\n");
  const std::string said = expect_good(tokenize(text));
  EXPECT_NE(said.find(" in 2 documents, 2 bytes each"), std::string::npos)
      << said;
  const Json info = Json::parse(expect_good(
      {"data", "info", path("x.bin"), "--tokenizer", tokenizer(), "--json"}));
  EXPECT_EQ(info["documents"], 2);
  EXPECT_EQ(info["bytes_per_id"], 2);
  EXPECT_EQ(info["vocab_size"], 300);
  EXPECT_EQ(info["tokens"].get<size_t>() * 2, read(path("x.bin")).size());
  const std::string table =
      expect_good({"data", "info", path("x.bin"), "--tokenizer", tokenizer()});
  EXPECT_NE(table.find("'<s>'"), std::string::npos) << table;
  EXPECT_NE(table.find("█"), std::string::npos) << table;
}

TEST_F(Data, WideShardsHoldTheSameIds) {
  const std::string text = write("a.txt", "The cat sat.");
  expect_good(tokenize(text));
  const Json narrow =
      Json::parse(expect_good({"data", "info", path("x.bin"), "--json"}));
  auto words = tokenize(text);
  words.emplace_back("--u32");
  expect_good(words);
  const Json wide =
      Json::parse(expect_good({"data", "info", path("x.bin"), "--json"}));
  EXPECT_EQ(wide["bytes_per_id"], 4);
  EXPECT_EQ(wide["tokens"], narrow["tokens"]);
  EXPECT_EQ(wide["commonest"], narrow["commonest"]);
}

TEST_F(Data, AgreesWithTheLlamaTokenizer) {
  const auto stories = shared_data() / "stories";
  const auto model = shared_data() / "tokenizers/llama2.model";
  if (!std::filesystem::exists(model)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  expect_good({"data", "tokenize", "--tokenizer", model.string(), "--out",
               path("x.bin"),
               (stories / "tinystories-v1-train-head.txt").string()});
  EXPECT_EQ(read(path("x.bin")),
            read((stories / "tinystories-v1-train-head.llama2.u16").string()));
}

TEST_F(Data, TokenizeRefusesBadText) {
  expect_refusal(tokenize(path("missing.txt")), 3, "missing.txt: error [file]");
  expect_refusal(tokenize(write("empty.txt", "")), 3, "empty.txt");
  expect_refusal(tokenize(write("blank.txt", " \n<|endoftext|>\n")), 3,
                 "blank.txt");
  const std::string bad = write("bad.txt", "good \xC3\xA9 \xFF bad");
  expect_refusal(tokenize(bad), 3, "bad.txt");
  EXPECT_NE(run(tokenize(bad)).err.find('8'), std::string::npos);
  expect_refusal(tokenize(folder_.string()), 3, "is a folder");
  EXPECT_FALSE(std::filesystem::exists(path("x.bin")));
}

TEST_F(Data, TokenizeRefusesBadTokenizers) {
  const std::string text = write("a.txt", "The cat sat.");
  for (const std::string_view bytes : std::initializer_list<std::string_view>{
           "", "not a tokenizer", "{\"format\": \"aneroid-bpe\"",
           std::string_view("\0\0\0\0\0", 5)}) {
    expect_refusal({"data", "tokenize", "--tokenizer", write("t", bytes),
                    "--out", path("x.bin"), text},
                   3, "[tokenizer]");
  }
  const std::string whole = read(tokenizer());
  expect_refusal({"data", "tokenize", "--tokenizer",
                  write("cut.json", whole.substr(0, whole.size() / 2)), "--out",
                  path("x.bin"), text},
                 3, "[tokenizer]");
}

TEST_F(Data, RefusesATargetThatCannotBeWritten) {
  const std::string text = write("a.txt", "The cat sat.");
  const std::string nowhere = path("no/such/folder/x.bin");
  expect_refusal(
      {"data", "tokenize", "--tokenizer", tokenizer(), "--out", nowhere, text},
      3, "cannot write");
  expect_refusal({"data", "stories", "--out", nowhere}, 3, "cannot write");
  expect_refusal({"data", "train-tokenizer", "--vocab", "300", "--out", nowhere,
                  path("stories.txt")},
                 3, "cannot write");
}

TEST_F(Data, RefusesAReadOnlyFolder) {
  if (::geteuid() == 0) GTEST_SKIP() << "skipped: root may write anywhere";
  std::filesystem::create_directory(path("locked"));
  std::filesystem::permissions(
      path("locked"),
      std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  expect_refusal({"data", "stories", "--out", path("locked/s.txt")}, 3,
                 "Permission denied");
}

TEST_F(Data, TrainTokenizerRefusesBadSizes) {
  const std::string text = write("a.txt", "The cat sat.");
  for (const char* size : {"0", "-5", "259", "2000000"}) {
    expect_refusal({"data", "train-tokenizer", "--vocab", size, "--out",
                    path("t.json"), text},
                   3, "[tokenizer]");
  }
  expect_refusal({"data", "train-tokenizer", "--vocab", "many", "--out",
                  path("t.json"), text},
                 2, "[usage]");
}

TEST_F(Data, TrainTokenizerTellsThatTheTextRanOut) {
  const std::string text = write("a.txt", "aaaa aaaa aaaa");
  EXPECT_NE(expect_good({"data", "train-tokenizer", "--vocab", "5000", "--out",
                         path("t.json"), text})
                .find("fewer pieces than the 5,000 asked for"),
            std::string::npos);
}

TEST_F(Data, InfoRefusesBadShards) {
  expect_refusal({"data", "info", path("missing.bin")}, 3, "[file]");
  expect_refusal({"data", "info", write("empty.bin", "")}, 3, "[shard]");
  expect_refusal({"data", "info", write("odd.bin", "abc")}, 3, "[shard]");
  expect_refusal({"data", "info",
                  write("big.bin",
                        "\xFF\xFF\x01"
                        "a"),
                  "--tokenizer", tokenizer()},
                 3, "[shard]");
}

TEST_F(Data, InfoRefusesATruncatedWideShard) {
  auto words = tokenize(write("a.txt", "The cat sat on the mat."));
  words.emplace_back("--u32");
  expect_good(words);
  const std::string whole = read(path("x.bin"));
  for (const size_t size : {whole.size() - 1, whole.size() - 4, size_t{18}}) {
    expect_refusal({"data", "info", write("cut.bin", whole.substr(0, size))}, 3,
                   "[shard]");
  }
}

TEST_F(Data, RefusesToOverwriteItsInput) {
  const std::string text = write("a.txt", "The cat sat.");
  expect_refusal({"data", "tokenize", "--tokenizer", tokenizer(), "--out",
                  path("./a.txt"), text},
                 2, "is an input as well");
  expect_refusal(
      {"data", "train-tokenizer", "--vocab", "300", "--out", text, text}, 2,
      "is an input as well");
  EXPECT_EQ(read(text), "The cat sat.");
}

TEST_F(Data, LeavesNoTemporaryFiles) {
  expect_good(tokenize(write("a.txt", "The cat sat.")));
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos);
  }
}

}  // namespace
}  // namespace aneroid::cli_test
