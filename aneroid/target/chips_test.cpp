#include <map>
#include <set>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "aneroid/target/chips_file.h"
#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

TEST(Chips, AreUniqueAndWithinTheKnownGenerations) {
  std::set<std::string_view> ids;
  for (const Chip& chip : chips()) {
    EXPECT_TRUE(ids.insert(chip.id).second) << chip.id;
    EXPECT_GE(chip.generation, 10);
    EXPECT_LE(chip.generation, 19);
    EXPECT_GT(chip.cores, 0);
    EXPECT_GT(chip.max_spatial_dim, 0);
    EXPECT_GT(chip.max_stride, 0);
    if (chip.generation < 13) continue;
    EXPECT_EQ(chip.cores % 16, 0);
    EXPECT_TRUE(
        chip.architecture.starts_with("h" + std::to_string(chip.generation)))
        << chip.id;
  }
  for (const std::string_view id :
       {"a11", "a12", "a13", "a14", "a15", "a16", "a17-pro", "a18", "a19",
        "a20", "m1-ultra", "m2-max", "m3-ultra", "m4-max", "m5-max", "m6"}) {
    EXPECT_TRUE(ids.contains(id)) << id;
  }
}

TEST(Chips, StandOldestFirstInTheirSeries) {
  std::map<char, int> last;  // A and M
  for (const Chip& chip : chips()) {
    EXPECT_GE(chip.generation, last[chip.id.front()]) << chip.id;
    last[chip.id.front()] = chip.generation;
  }
}

TEST(Chips, GiveEveryFigureASourceAndAConfidence) {
  for (const Chip& chip : chips()) {
    for (const Figure& figure : chip.figures) {
      EXPECT_GT(figure.value, 0) << chip.id << " " << figure.key;
      EXPECT_FALSE(figure.source.empty()) << chip.id << " " << figure.key;
      EXPECT_NE(std::string("ABC").find(figure.confidence), std::string::npos);
    }
  }
  EXPECT_EQ(find_chip("a11")->figure("weight_gbs"), nullptr);
  EXPECT_DOUBLE_EQ(find_chip("m4")->figure("weight_gbs")->value, 67);
}

TEST(Chips, AgreeWithTheFormulaForPeak) {
  // Apple counts fp16 up to M3, int8 from A17 Pro and M4.
  for (const auto& [id, tops] : {std::pair{"a14", 11.0},
                                 {"a15", 15.8},
                                 {"a16", 17.0},
                                 {"a17-pro", 17.5},
                                 {"m4", 19.0},
                                 {"a18", 17.5}}) {
    EXPECT_NEAR(find_chip(id)->figure("peak_tflops")->value, tops, tops * 0.07)
        << id;
  }
  EXPECT_NEAR(find_chip("m6")->figure("peak_tflops")->value, 42.3, 0.1);
}

TEST(ChipsFile, RefusesWhatItDoesNotUnderstand) {
  const std::string good = R"({"sources": {"s": "S"}, "families": [],
    "timing": [], "chips": [{"id": "z", "name": "Z", "architecture": "",
    "generation": 9, "tops": 1%}]})";
  const auto with = [&](const std::string& extra) {
    std::string text = good;
    return parse_chips(text.replace(text.find('%'), 1, extra));
  };
  // "tops" has a source of its own, which this file lacks.
  for (const std::string extra :
       {R"(, "figures": {"speed": [1, "A", "s"]})",
        R"(, "figures": {"power_w": [1, "A", "nobody"]})",
        R"(, "timing": "m99")", "]"}) {
    const auto file = with(extra);
    ASSERT_FALSE(file) << extra;
    EXPECT_EQ(file.error().label, "chips.json");
  }
}

TEST(Chips, HoldPublishedFigures) {
  const Chip m4 = find_chip("m4").value();
  EXPECT_EQ(m4.architecture, "h16g");
  EXPECT_EQ(m4.generation, 16);
  EXPECT_EQ(m4.tops, 38);
  EXPECT_EQ(m4.max_depth, 448);
  EXPECT_EQ(find_chip("m1")->max_spatial_dim, 16384);
  EXPECT_EQ(find_chip("m1-ultra")->cores, 32);
  EXPECT_EQ(find_chip("m6")->engines, 2);
  EXPECT_EQ(find_chip("m6")->max_depth, 386);
}

TEST(Chips, AreFoundByIdOrName) {
  for (const Chip& chip : chips()) {
    EXPECT_EQ(find_chip(chip.id)->name, chip.name);
    EXPECT_EQ(find_chip(chip.name)->id, chip.id);
  }
  EXPECT_EQ(find_chip("M3_MAX")->id, "m3-max");
}

TEST(Chips, AnUnknownNameListsTheKnownOnes) {
  const auto result = find_chip("m99");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().label, "chip");
  EXPECT_EQ(result.error().kind, ErrorKind::kUsage);
  EXPECT_NE(result.error().message.find("no chip 'm99'"), std::string::npos);
  EXPECT_NE(result.error().message.find("m4-pro"), std::string::npos);
  EXPECT_FALSE(find_chip(""));
}

}  // namespace
}  // namespace aneroid::target
