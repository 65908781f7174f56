// What all commands share: help, versions, usage errors, lost output.
#include <array>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Frame = CommandTest;

TEST_F(Frame, AloneShowsTheOverview) {
  const std::string overview = expect_good({});
  for (const char* name : {"train", "generate", "eval", "convert", "data",
                           "devices", "bench", "mil"}) {
    EXPECT_NE(overview.find(std::string("\n  ") + name + " "),
              std::string::npos)
        << name;
  }
  EXPECT_EQ(overview, expect_good({"--help"}));
}

TEST_F(Frame, TellsItsVersion) {
  EXPECT_EQ(expect_good({"--version"}).rfind("aneroid ", 0), 0U);
}

TEST_F(Frame, EveryCommandHasHelpWithExamples) {
  const std::vector<std::vector<std::string>> commands = {
      {"train"},
      {"generate"},
      {"eval"},
      {"bench"},
      {"bench", "step"},
      {"bench", "kernels"},
      {"convert"},
      {"data"},
      {"data", "info"},
      {"data", "stories"},
      {"data", "tokenize"},
      {"data", "train-tokenizer"},
      {"devices"},
      {"mil"},
      {"mil", "fmt"},
      {"mil", "verify"}};
  for (std::vector<std::string> words : commands) {
    words.emplace_back("--help");
    const std::string help = expect_good(words);
    EXPECT_NE(help.find("Usage: aneroid " + words[0]), std::string::npos)
        << help;
    EXPECT_NE(help.find("\nExamples:\n  aneroid "), std::string::npos) << help;
    EXPECT_EQ(help.find('\t'), std::string::npos);
  }
}

TEST_F(Frame, HelpFitsEightyColumns) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"mil", "verify"}, {"train"}}) {
    std::vector<std::string> words = command;
    words.emplace_back("--help");
    const std::string help = expect_good(words);
    for (size_t begin = 0; begin < help.size();) {
      const size_t end = help.find('\n', begin);
      EXPECT_LE(end - begin, 80U) << help.substr(begin, end - begin);
      begin = end + 1;
    }
  }
}

TEST_F(Frame, SuggestsTheNearestCommand) {
  expect_refusal({"trian"}, 2, "did you mean 'train'?");
  expect_refusal({"covnert"}, 2, "did you mean 'convert'?");
  expect_refusal({"data", "inof"}, 2,
                 "'aneroid data' has no command 'inof'; did you mean 'info'?");
  expect_refusal({"xyzzy"}, 2, "'aneroid' has no command 'xyzzy'\n");
}

TEST_F(Frame, RefusesBadUsage) {
  expect_refusal({"data"}, 2, "'aneroid data' needs one of its commands");
  expect_refusal({"bench"}, 2, "'aneroid bench' needs one of its commands");
  expect_refusal({"generate"}, 2, "--model is required");
  expect_refusal({"eval", "--model", "m"}, 2, "--data is required");
  expect_refusal({"convert"}, 2, "'aneroid convert --help' tells");
  expect_refusal({"convert", "a", "b", "c"}, 2, "[usage]");
  expect_refusal({"devices", "--nonsense"}, 2, "--nonsense");
  expect_refusal({"--nonsense"}, 2, "--nonsense");
  expect_refusal({"mil", "verify", "x.mil", "--path", "warp"}, 2, "warp");
  expect_refusal({""}, 2, "[usage]");
}

TEST_F(Frame, NoticesThatOutputWasLost) {
  if (!std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "skipped: no /dev/full";
  }
  const std::string command = std::string(ANEROID_COMMAND) +
                              " data stories >/dev/full 2>" + path("err");
  const int status = std::system(command.c_str());  // NOLINT
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_NE(read(path("err")).find("standard output: error [file]"),
            std::string::npos);
}

}  // namespace
}  // namespace aneroid::cli_test
