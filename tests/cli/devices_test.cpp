// aneroid devices: the tables.
#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;
using Devices = CommandTest;

TEST_F(Devices, ListsDevicesAndChips) {
  const std::string list = expect_good({"devices"});
  EXPECT_NE(list.find("emulator  yes"), std::string::npos) << list;
  EXPECT_NE(list.find("\napple"), std::string::npos) << list;
  EXPECT_NE(list.find("\nm4"), std::string::npos) << list;
}

TEST_F(Devices, TellsTheLimitsOfAChip) {
  const std::string row = expect_good({"devices", "--chip", "m4"});
  EXPECT_NE(row.find("h16g"), std::string::npos) << row;
  EXPECT_EQ(row, expect_good({"devices", "--chip", "M4"}));
}

TEST_F(Devices, TellsFiguresWithSourcesAndConfidence) {
  const std::string row = expect_good({"devices", "--chip", "m4"});
  for (const char* words :
       {"weight bandwidth", "67", "GB/s", "measured repeatedly", "M6 study",
        "predicted times: model error: median"}) {
    EXPECT_NE(row.find(words), std::string::npos) << words << "\n" << row;
  }
}

TEST_F(Devices, SaysWhatIsUnknown) {
  const std::string first = expect_good({"devices", "--chip", "a11"});
  for (const char* words :
       {"architecture                    unknown",
        "open to programs                no", "no timing is known"}) {
    EXPECT_NE(first.find(words), std::string::npos) << words << "\n" << first;
  }
  const std::string other = expect_good({"devices", "--chip", "m2"});
  EXPECT_NE(other.find("no basis"), std::string::npos) << other;
  const Json one =
      Json::parse(expect_good({"devices", "--chip", "m2", "--json"}));
  EXPECT_TRUE(one["chips"][0]["figures"]["weight_gbs"].is_null());
  EXPECT_EQ(one["chips"][0]["figures"]["clock_ghz"]["value"], 1.938);
}

TEST_F(Devices, PrintsRules) {
  const std::string rules = expect_good({"devices", "--rules"});
  EXPECT_NE(rules.find("C031"), std::string::npos);
  const std::string fewer = expect_good({"devices", "--rules", "--chip", "m1"});
  EXPECT_LE(fewer.size(), rules.size());
}

TEST_F(Devices, SpeaksJson) {
  const Json all = Json::parse(expect_good({"devices", "--rules", "--json"}));
  EXPECT_EQ(all["devices"][0]["name"], "emulator");
  EXPECT_EQ(all["devices"][0]["available"], true);
  EXPECT_GT(all["chips"].size(), 5U);
  EXPECT_GT(all["rules"].size(), 5U);
  const Json one =
      Json::parse(expect_good({"devices", "--chip", "m1", "--json"}));
  ASSERT_EQ(one["chips"].size(), 1U);
  EXPECT_EQ(one["chips"][0]["id"], "m1");
}

TEST_F(Devices, RefusesUnknownChips) {
  expect_refusal({"devices", "--chip", "z80"}, 2, "z80");
  expect_refusal({"devices", "--chip", ""}, 2, "must not be empty");
}

}  // namespace
}  // namespace aneroid::cli_test
