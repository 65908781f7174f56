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
