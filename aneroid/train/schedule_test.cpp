#include "aneroid/train/schedule.h"

#include <gtest/gtest.h>

namespace aneroid::train {
namespace {

TEST(LrScheduleTest, WarmsUpThenFallsAlongACosine) {
  const LrSchedule schedule{1.0, 0.1, 10, 110};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.1);
  EXPECT_DOUBLE_EQ(schedule.at(9), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(10), 1.0);
  EXPECT_NEAR(schedule.at(60), 0.55, 1e-12);
  EXPECT_NEAR(schedule.at(110), 0.1, 1e-12);
  EXPECT_NEAR(schedule.at(500), 0.1, 1e-12);
}

TEST(LrScheduleTest, ConstantWithoutAnEnd) {
  const LrSchedule schedule{3e-4, 0.1, 0, 0};
  EXPECT_DOUBLE_EQ(schedule.at(0), 3e-4);
  EXPECT_DOUBLE_EQ(schedule.at(1000000), 3e-4);
}

TEST(LossScaleTest, HalvesOnOverflowAndDoublesAfterARunOfGoodSteps) {
  LossScale scale(1024, 3);
  EXPECT_TRUE(scale.update(false));
  EXPECT_TRUE(scale.update(false));
  EXPECT_FALSE(scale.update(true));
  EXPECT_EQ(scale.scale(), 512);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(scale.update(false));
  EXPECT_EQ(scale.scale(), 512);
  EXPECT_TRUE(scale.update(false));
  EXPECT_EQ(scale.scale(), 1024);
}

TEST(LossScaleTest, StaysInRangeAndTellsWhenItCannotHelp) {
  LossScale low(LossScale::kSmallest, 0);
  EXPECT_FALSE(low.update(true));
  EXPECT_TRUE(low.exhausted());
  EXPECT_EQ(low.scale(), LossScale::kSmallest);
  LossScale high(LossScale::kLargest, 1);
  EXPECT_TRUE(high.update(false));
  EXPECT_EQ(high.scale(), LossScale::kLargest);
  LossScale fixed(1, 0);
  for (int i = 0; i < 10; ++i) fixed.update(false);
  EXPECT_EQ(fixed.scale(), 1);
}

TEST(LossScaleTest, RestoresExactly) {
  LossScale scale(1024, 3);
  scale.restore(64, 2);
  EXPECT_EQ(scale.scale(), 64);
  scale.update(false);
  EXPECT_EQ(scale.scale(), 128);
}

}  // namespace
}  // namespace aneroid::train
