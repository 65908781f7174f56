#include "aneroid/telemetry/time_table.h"

#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"

namespace aneroid::telemetry {
namespace {

using Parts = std::vector<std::pair<std::string, double>>;

class TimeTableTest : public testing::Test {
 protected:
  void pass(int64_t ms) { now_ += ms * 1000000; }

  int64_t now_ = 123;
  TimeTable table_{[this] { return now_; }};
};

TEST_F(TimeTableTest, PartsInTheOrderOfUseAndOtherLast) {
  pass(1);
  {
    TimeTable::Scope scope(table_, "forward");
    pass(10);
  }
  pass(2);
  {
    TimeTable::Scope scope(table_, "adam");
    pass(20);
  }
  {
    TimeTable::Scope scope(table_, "forward");
    pass(30);
  }
  const TimeTable::Lap lap = table_.lap();
  EXPECT_EQ(lap.parts, (Parts{{"forward", 40}, {"adam", 20}, {"other", 3}}));
  EXPECT_EQ(lap.wall_ms, 63);
}

TEST_F(TimeTableTest, TheInnermostScopeCounts) {
  {
    TimeTable::Scope outer(table_, "step");
    pass(1);
    {
      TimeTable::Scope inner(table_, "wait");
      pass(10);
      TimeTable::Scope same(table_, "step");
      pass(100);
    }
    pass(1000);
  }
  EXPECT_EQ(table_.lap().parts,
            (Parts{{"step", 1101}, {"wait", 10}, {"other", 0}}));
}

TEST_F(TimeTableTest, LapsAreSeparateAndLeaveNoGap) {
  {
    TimeTable::Scope scope(table_, "a");
    pass(5);
    EXPECT_EQ(table_.lap().parts, (Parts{{"a", 5}, {"other", 0}}));
    pass(6);
  }
  { TimeTable::Scope scope(table_, "b"); }
  EXPECT_EQ(table_.lap().parts, (Parts{{"a", 6}, {"b", 0}, {"other", 0}}));
  pass(7);
  const TimeTable::Lap last = table_.lap();
  EXPECT_EQ(last.parts, (Parts{{"other", 7}}));
  EXPECT_EQ(last.wall_ms, 7);
}

TEST_F(TimeTableTest, PartsSumToTheWallTimeWhateverHappens) {
  Random random(8);
  for (int round = 0; round < 200; ++round) {
    const int64_t start = now_;
    for (int i = 0; i < 20; ++i) {
      TimeTable::Scope outer(table_, std::to_string(random.below(5)));
      now_ += static_cast<int64_t>(random.below(1000000));
      TimeTable::Scope inner(table_, std::to_string(random.below(5)));
      now_ += static_cast<int64_t>(random.below(1000000));
    }
    const auto expected = static_cast<double>(now_ - start) * 1e-6;
    const TimeTable::Lap lap = table_.lap();
    double sum = 0;
    for (const auto& [part, ms] : lap.parts) sum += ms;
    EXPECT_DOUBLE_EQ(lap.wall_ms, expected);
    EXPECT_NEAR(sum, expected, 1e-9);
  }
}

TEST(SteadyClock, RealTimePasses) {
  const Timer timer;
  TimeTable table;
  {
    TimeTable::Scope scope(table, "sleep");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const TimeTable::Lap lap = table.lap();
  ASSERT_EQ(lap.parts[0].first, "sleep");
  EXPECT_GE(lap.parts[0].second, 5);
  EXPECT_GE(lap.wall_ms, lap.parts[0].second);
  EXPECT_GE(timer.milliseconds(), lap.wall_ms);
}

}  // namespace
}  // namespace aneroid::telemetry
