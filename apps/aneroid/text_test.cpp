#include "apps/aneroid/text.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace aneroid::cli {
namespace {

TEST(HumanUnits, KeepThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(812), "812 B");
  EXPECT_EQ(human_bytes(999.6), "1.00 kB");
  EXPECT_EQ(human_bytes(1056540), "1.06 MB");
  EXPECT_EQ(human_bytes(41.3e6), "41.3 MB");
  EXPECT_EQ(human_bytes(1e30), "1000000000000 EB");
  EXPECT_EQ(human_count(1234), "1.23 k");
  EXPECT_EQ(human_count(0.256), "0.26");
}

TEST(HumanUnits, DurationsCarryOver) {
  EXPECT_EQ(human_duration(2e-6), "2 us");
  EXPECT_EQ(human_duration(0.0123), "12.3 ms");
  EXPECT_EQ(human_duration(12.34), "12.3 s");
  EXPECT_EQ(human_duration(59.97), "1 min 00 s");
  EXPECT_EQ(human_duration(725), "12 min 05 s");
  EXPECT_EQ(human_duration(3599.6), "1 h 00 min");
  EXPECT_EQ(human_duration(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(human_duration(std::nan("")), "?");
}

TEST(Grouped, SplitsThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(-1000), "-1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(std::numeric_limits<int64_t>::min()),
            "-9,223,372,036,854,775,808");
}

TEST(Wrap, BreaksAtSpacesAndIndents) {
  EXPECT_EQ(wrap("one two three four five six", 24, 4),
            "one two three four\n    five six");
  EXPECT_EQ(wrap("a\nb", 30, 2), "a\n  b");
  EXPECT_EQ(wrap("unbreakable_word_longer_than_the_line x", 20, 0),
            "unbreakable_word_longer_than_the_line\nx");
  EXPECT_EQ(wrap("", 20, 0), "");
}

TEST(Wrap, CountsCharactersNotBytes) {
  EXPECT_EQ(wrap("ääääääääää öööööööööö", 21, 0), "ääääääääää öööööööööö");
}

TEST(Bar, HasItsWidth) {
  for (const double fraction : {0.0, 0.01, 0.33, 0.99, 1.0, 7.0, -1.0}) {
    EXPECT_EQ(display_width(bar(fraction, 10)), 10U) << fraction;
  }
  EXPECT_EQ(bar(0.5, 4), "██  ");
  EXPECT_EQ(bar(std::nan(""), 2), "  ");
}

TEST(Sparkline, ShowsShapeAndGaps) {
  const double falling[] = {8, 7, 6, 5, 4, 3, 2, 1};
  EXPECT_EQ(sparkline(falling, 8), "█▇▆▅▄▃▂▁");
  EXPECT_EQ(sparkline(falling, 2), "█▁");
  const double flat[] = {2, 2};
  EXPECT_EQ(sparkline(flat, 8), "▅▅");
  const double broken[] = {1, std::nan(""), 2};
  EXPECT_EQ(sparkline(broken, 8), "▁ █");
  EXPECT_EQ(sparkline({}, 8), "");
}

TEST(Visible, EscapesControlCharacters) {
  EXPECT_EQ(visible("a\n\t\r\x1b[31mé"), "a\\n\\t\\r\\x1b[31mé");
}

TEST(Table, AlignsColumns) {
  Table table({{"chip"}, {"TOPS", Align::kRight}, {"note"}});
  table.add({"m1", "11", "first"});
  table.add({"m4 max", "9.5", ""});
  EXPECT_EQ(table.to_string(),
            "chip    TOPS  note\n"
            "m1        11  first\n"
            "m4 max   9.5\n");
}

TEST(Table, WrapsTheLastColumnUnderItself) {
  Table table({{"id"}, {"text"}});
  table.add({"C001", "seven words that do not fit here"});
  EXPECT_EQ(table.to_string(30),
            "id    text\n"
            "C001  seven words that do not\n"
            "      fit here\n");
}

}  // namespace
}  // namespace aneroid::cli
