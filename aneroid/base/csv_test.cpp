#include "aneroid/base/csv.h"

#include <gtest/gtest.h>

namespace aneroid {
namespace {

TEST(Csv, ReadsQuotesBreaksAndMarks) {
  const auto table = CsvTable::parse(
      "\xEF\xBB\xBFop,note\r\nadd,\"a, \"\"b\"\"\nc\"\r\n\r\nmul,\n", "t.csv");
  ASSERT_TRUE(table) << to_string(table.error());
  ASSERT_EQ(table->rows(), 2U);
  EXPECT_EQ(table->at(0, 1), "a, \"b\"\nc");
  EXPECT_EQ(table->at(1, 0), "mul");
  EXPECT_EQ(table->at(1, 1), "");
  EXPECT_EQ(table->line(0), 2);
  EXPECT_EQ(table->line(1), 5);
  EXPECT_EQ(*table->column("note"), 1U);
  EXPECT_FALSE(table->find_column("chip"));
  EXPECT_NE(table->column("chip").error().message.find("op, note"),
            std::string::npos);
}

TEST(Csv, FieldsSurviveARoundTrip) {
  const std::string hard = "a,\"b\"\r\nc";
  const auto table = CsvTable::parse("x\n" + csv_field(hard) + "\n", "t.csv");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->at(0, 0), hard);
  EXPECT_EQ(csv_field("plain"), "plain");
}

TEST(Csv, RefusesWithTheLine) {
  const auto error = [](std::string_view text) {
    const auto table = CsvTable::parse(text, "t.csv");
    return table ? std::string("none") : to_string(table.error());
  };
  EXPECT_NE(error("").find("empty"), std::string::npos);
  EXPECT_NE(error("\n\n").find("empty"), std::string::npos);
  EXPECT_NE(error("a,b\n1,2\n1\n").find("t.csv:3"), std::string::npos);
  EXPECT_NE(error("a,a\n").find("two columns"), std::string::npos);
  EXPECT_NE(error("a\n\"x\n").find("never ends"), std::string::npos);
  EXPECT_NE(error("a\n\"x\"y\n").find("closing quote"), std::string::npos);
  EXPECT_NE(error("a\n\xFF\n").find("byte 2"), std::string::npos);
}

}  // namespace
}  // namespace aneroid
