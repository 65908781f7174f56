// aneroid mil: fmt and verify.
#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;

// Line 5 holds the operation; the tests replace SIZE, TYPE and OP.
constexpr std::string_view kProgram = R"(program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3505.4.1"}})]
{
    func main<ios18>(tensor<fp16, SIZE> x) {
            TYPE y = OP(x = x)[name = string("y")];
        } -> (y);
}
)";

class Mil : public CommandTest {
 protected:
  // One operation on x [size], said to give a `type`.
  std::string program(const std::string& name, std::string_view op = "relu",
                      std::string_view type = "fp16",
                      std::string_view size = "[1, 8, 1, 32]",
                      std::string_view result_size = "[1, 8, 1, 32]") const {
    std::string text(kProgram);
    const auto replace = [&](std::string_view word, std::string_view by) {
      text.replace(text.find(word), word.size(), by);
    };
    replace("SIZE", size);
    replace("TYPE", "tensor<" + std::string(type) + ", " +
                        std::string(result_size) + ">");
    replace("OP", op);
    return write(name, text);
  }
};

TEST_F(Mil, FormatsToAFixedPoint) {
  const std::string once =
      expect_good({"mil", "fmt", program("a.mil"), "-o", path("b.mil")});
  EXPECT_EQ(once, "");
  const std::string formatted = read(path("b.mil"));
  EXPECT_EQ(expect_good({"mil", "fmt", path("b.mil")}), formatted);
  EXPECT_EQ(expect_good({"mil", "fmt", path("b.mil"), "--check"}), "");
}

TEST_F(Mil, CheckTellsTheFirstLineThatDiffers) {
  expect_good({"mil", "fmt", program("a.mil"), "-o", path("b.mil")});
  std::string text = read(path("b.mil"));
  text.insert(text.find('\n') + 1, "\n");
  const Outcome outcome = run({"mil", "fmt", write("c.mil", text), "--check"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.out.find("c.mil:2: is not formatted"), std::string::npos)
      << outcome.out;
  EXPECT_EQ(read(path("c.mil")), text);
}

TEST_F(Mil, FormatRefusesBothCheckAndOutput) {
  expect_refusal({"mil", "fmt", program("a.mil"), "--check", "-o", "b.mil"}, 2,
                 "[usage]");
}

TEST_F(Mil, FormatsEveryProgramOfTheCollection) {
  const auto folder = shared_data() / "mil";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".mil") continue;
    SCOPED_TRACE(entry.path().string());
    expect_good(
        {"mil", "fmt", entry.path().string(), "-o", path("formatted.mil")});
    expect_good({"mil", "fmt", path("formatted.mil"), "--check"});
  }
}

TEST_F(Mil, VerifiesAGoodProgram) {
  const std::string file = program("a.mil");
  EXPECT_NE(expect_good({"mil", "verify", file}).find("a.mil: good (MIL)"),
            std::string::npos);
  EXPECT_NE(expect_good({"mil", "verify", file, "--chip", "m4"})
                .find("good (M4 rules)"),
            std::string::npos);
}

TEST_F(Mil, ReportsFindingsWithTheirPlace) {
  const Outcome unknown = run({"mil", "verify", program("a.mil", "rleu")});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_NE(unknown.out.find("a.mil:5:13: error [mil.op]"), std::string::npos)
      << unknown.out;

  const Outcome shape =
      run({"mil", "verify", program("b.mil", "relu", "fp16", "[1, 8, 1, 64]")});
  EXPECT_EQ(shape.exit_code, 1);
  EXPECT_NE(shape.out.find("b.mil:5:13: error [mil.shape]"), std::string::npos)
      << shape.out;

  const Outcome type = run({"mil", "verify", program("c.mil", "relu", "fp32")});
  EXPECT_EQ(type.exit_code, 1);
  EXPECT_NE(type.out.find("c.mil:5:13: error [mil."), std::string::npos)
      << type.out;
}

TEST_F(Mil, ReportsAChipsRules) {
  constexpr std::string_view kWide = "[1, 8, 1, 70000]";
  const std::string file = program("wide.mil", "relu", "fp16", kWide, kWide);
  expect_good({"mil", "verify", file});
  const Outcome outcome = run({"mil", "verify", file, "--chip", "m4"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.out.find("[C031]"), std::string::npos) << outcome.out;
  const Json json =
      Json::parse(run({"mil", "verify", file, "--chip", "m4", "--json"}).out);
  EXPECT_EQ(json["good"], false);
  EXPECT_EQ(json["chip"], "m4");
  EXPECT_EQ(json["findings"][0]["label"], "C031");
}

TEST_F(Mil, DoesNotJudgeBadMilByAChip) {
  const Outcome outcome =
      run({"mil", "verify", program("a.mil", "rleu"), "--chip", "m4"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.out.find("the rules of M4 were not applied"),
            std::string::npos)
      << outcome.out;
}

TEST_F(Mil, RefusesUnreadableText) {
  const std::string broken = program("a.mil", "relu((");
  for (const char* tool : {"fmt", "verify"}) {
    expect_refusal({"mil", tool, path("missing.mil")}, 3, "[file]");
    expect_refusal({"mil", tool, write("empty.mil", "")}, 3, "[mil.parse]");
    expect_refusal({"mil", tool, write("bytes.mil", "\xFF\xFEprogram")}, 3,
                   "[mil.parse]");
    expect_refusal({"mil", tool, broken}, 3, "a.mil:5:");
    expect_refusal({"mil", tool, broken}, 3, "[mil.parse]");
    expect_refusal({"mil", tool, folder_.string()}, 3, "is a folder");
    expect_refusal({"mil", tool, write("deep.mil", std::string(200000, '('))},
                   3, "[mil.parse]");
  }
}

TEST_F(Mil, RefusesATargetThatCannotBeWritten) {
  expect_refusal({"mil", "fmt", program("a.mil"), "-o", path("no/such/b.mil")},
                 3, "cannot write");
}

TEST_F(Mil, RefusesBadFlags) {
  const std::string file = program("a.mil");
  expect_refusal({"mil", "verify", file, "--strict"}, 2, "--chip");
  expect_refusal({"mil", "verify", file, "--chip", "z80"}, 2, "[chip]");
}

}  // namespace
}  // namespace aneroid::cli_test
