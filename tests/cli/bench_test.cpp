// aneroid bench with the published suites. No time is judged.
#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;

class BenchSuites : public CommandTest {
 protected:
  std::string contributed(const std::string& key = "2048-1x64-d1",
                          const std::string& value = "0.2") const {
    return write("mine.csv",
                 "suite,key,kind,chip,value,unit,machine\n"
                 "sram," +
                     key + ",measured,m4," + value + ",ms,my Mac\n");
  }
};

TEST_F(BenchSuites, QuickSweepsRunAndPrintJson) {
  for (const char* suite : {"peak", "conv-vs-matmul", "dispatch", "sram",
                            "int8", "weights", "layer"}) {
    const Json json = Json::parse(expect_good(
        {"bench", suite, "--quick", "--json", "--iterations", "1"}));
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["suite"], suite);
    EXPECT_EQ(json["predicted_on"], "m4");
    EXPECT_EQ(json["measured_on"]["chip"], "cpu");
    ASSERT_FALSE(json["rows"].empty());
    for (const Json& row : json["rows"]) {
      if (row.contains("refused")) continue;
      EXPECT_EQ(row["measured"]["samples"], 1) << suite << row["key"];
      EXPECT_TRUE(row["predicted"].contains("basis")) << suite << row["key"];
    }
  }
}

TEST_F(BenchSuites, PredictsBesideWhatWasPublished) {
  const std::string text = expect_good({"bench", "int8", "--no-run"});
  EXPECT_NE(text.find("nothing was run"), std::string::npos) << text;
  EXPECT_NE(text.find("model error"), std::string::npos) << text;
  EXPECT_NE(text.find("maderix/ANE README"), std::string::npos) << text;
  EXPECT_NE(text.find("C091"), std::string::npos) << text;
  const Json json =
      Json::parse(expect_good({"bench", "layer", "--no-run", "--json"}));
  for (const Json& row : json["rows"]) {
    if (row["key"] != "768-2048-s512") continue;
    EXPECT_EQ(row["published_flop"], 16508780544.0);
    EXPECT_EQ(row["compared"][0]["value"], 9.3);
    EXPECT_EQ(row["predicted"]["programs"].size(), 6U);
  }
}

TEST_F(BenchSuites, ItsCsvIsWhatMeasuredReads) {
  const std::string csv = path("all.csv");
  const std::string plot = path("all.svg");
  expect_good({"bench", "sram", "--quick", "--csv", csv, "--plot", plot,
               "--iterations", "1", "--machine", "a test"});
  EXPECT_NE(read(csv).find("a test"), std::string::npos);
  EXPECT_TRUE(read(plot).starts_with("<svg"));
  expect_good({"bench", "sram", "--no-run", "--measured", csv});
  const std::string text =
      expect_good({"bench", "sram", "--no-run", "--measured", contributed()});
  EXPECT_NE(text.find("contributed: my Mac"), std::string::npos) << text;
}

TEST_F(BenchSuites, BadContributionsAreRefusedWithTheirPlace) {
  for (const auto& [key, value] :
       {std::pair{"no-such-row", "1"}, {"2048-1x64-d1", "fast"}}) {
    expect_refusal(
        {"bench", "sram", "--no-run", "--measured", contributed(key, value)}, 3,
        "mine.csv:2");
  }
  expect_refusal(
      {"bench", "sram", "--no-run", "--measured", path("missing.csv")}, 3,
      "missing.csv");
  const std::string mine = contributed();
  expect_refusal(
      {"bench", "sram", "--no-run", "--measured", mine, "--csv", mine}, 2,
      "mine.csv");
}

TEST_F(BenchSuites, UsageErrors) {
  expect_refusal({"bench", "peak", "--chip", "m99"}, 2, "m99");
  expect_refusal({"bench", "peak", "--no-run", "--path", "usb"}, 2, "usb");
  expect_refusal({"bench", "peak", "--iterations", "0"}, 2, "--iterations");
  expect_refusal({"bench", "peak", "--no-run", "--csv", "x", "--plot", "x"}, 2,
                 "same file");
  expect_refusal({"bench", "peak", "--no-run", "--chip", "a11"}, 1, "a11");
}

}  // namespace
}  // namespace aneroid::cli_test
