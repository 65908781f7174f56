#include "apps/aneroid/progress.h"

#include <gtest/gtest.h>

#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  const std::string line =
      progress_line({"reading", "B", 4'000'000, 0}, 1'000'000, 2.0, "", 120);
  EXPECT_EQ(line,
            "reading  ▕██████                  ▏  25 %  500 kB/s  6.0 s left");
}

TEST(ProgressLine, CountsResumedWorkOutOfTheRate) {
  const std::string line =
      progress_line({"training", "steps", 100, 50}, 60, 5.0, "loss 2.3", 120);
  EXPECT_NE(line.find("60 %"), std::string::npos) << line;
  EXPECT_NE(line.find("2 steps/s  20.0 s left  loss 2.3"), std::string::npos)
      << line;
}

TEST(ProgressLine, WithoutATotalHasNoBar) {
  EXPECT_EQ(progress_line({"reading", "lines", 0, 0}, 30, 3.0, "", 120),
            "reading  10 lines/s");
}

TEST(ProgressLine, SurvivesOddNumbers) {
  EXPECT_EQ(progress_line({"x", "B", 10, 20}, 15, 0, "", 120),
            "x  ▕████████████████████████▏ 100 %  0 B/s");
}

TEST(ProgressLine, FitsTheTerminal) {
  const std::string line =
      progress_line({"reading", "B", 4'000'000, 0}, 1'000'000, 2.0, "", 40);
  EXPECT_EQ(display_width(line), 40U);
}

}  // namespace
}  // namespace aneroid::cli
