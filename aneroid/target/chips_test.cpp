#include <set>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

TEST(Chips, AreUniqueAndWithinTheKnownGenerations) {
  std::set<std::string_view> ids;
  int last_generation = 13;
  for (const Chip& chip : chips()) {
    EXPECT_TRUE(ids.insert(chip.id).second) << chip.id;
    EXPECT_GE(chip.generation, last_generation) << "oldest first: " << chip.id;
    last_generation = chip.generation;
    EXPECT_LE(chip.generation, 18);
    EXPECT_TRUE(
        chip.architecture.starts_with("h" + std::to_string(chip.generation)))
        << chip.id;
    EXPECT_EQ(chip.cores % 16, 0);
    EXPECT_GT(chip.max_spatial_dim, 0);
    EXPECT_GT(chip.max_stride, 0);
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
