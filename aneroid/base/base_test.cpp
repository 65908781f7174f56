#include <algorithm>
#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <unistd.h>

#include <gtest/gtest.h>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/base/file.h"
#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/base/zeroed_memory.h"

namespace aneroid {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("aneroid_base_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST(Diagnostic, PrintsPlaceLabelMessageAndNotes) {
  Diagnostic diagnostic{ErrorKind::kInput,
                        "mil.parse",
                        "a.mil:3:4",
                        "expected ';'",
                        {"after the result"}};
  EXPECT_EQ(to_string(diagnostic),
            "a.mil:3:4: error [mil.parse]: expected ';'\n"
            "  note: after the result");
  EXPECT_EQ(exit_code(ErrorKind::kDevice), 4);
}

TEST(DataTypes, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(DataType::kUint64); ++i) {
    const auto type = static_cast<DataType>(i);
    EXPECT_EQ(data_type_from_name(name(type)), type);
  }
  EXPECT_FALSE(data_type_from_name("fp17"));
}

TEST(Shapes, CountRefusesUnknownAndOverflow) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({2, 3}), 6);
  EXPECT_EQ(element_count({0, 3}), 0);
  EXPECT_FALSE(element_count({2, kUnknownDim}));
  EXPECT_FALSE(element_count({int64_t{1} << 40, int64_t{1} << 40}));
}

TEST(HalfTest, EveryFiniteValueRoundTripsBothWays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) continue;
    EXPECT_EQ(to_half_away(value), half) << bits;
    EXPECT_EQ(to_half_even(value), half) << bits;
  }
}

TEST(HalfTest, TiesGoAwayOrToEven) {
  EXPECT_EQ(to_float(to_half_away(2049.0)), 2050.0F);
  EXPECT_EQ(to_float(to_half_even(2049.0)), 2048.0F);
  EXPECT_EQ(to_float(to_half_away(-2049.0)), -2050.0F);
  EXPECT_EQ(to_float(to_half_away(0x1p-25)), 0x1p-24F);
  EXPECT_EQ(to_float(to_half_even(0x1p-25)), 0.0F);
  EXPECT_EQ(to_float(to_half_away(65519.0)), 65504.0F);
  EXPECT_TRUE(std::isinf(to_float(to_half_away(65520.0))));
  EXPECT_TRUE(std::isnan(
      to_float(to_half_away(std::numeric_limits<double>::quiet_NaN()))));
}

TEST(RandomTest, KnownSequenceAndSavedState) {
  Random random(42);
  const Random::State state = random.state();
  const uint64_t first = random.next();
  random.set_state(state);
  EXPECT_EQ(random.next(), first);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 20000; ++i) {
    const double x = random.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 20000, 0, 0.03);
  EXPECT_NEAR(squares / 20000, 1, 0.05);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(7), 7U);
}

TEST_F(FileTest, ReadRefusesMissingFolderAndTooLarge) {
  EXPECT_FALSE(read_file(folder_ / "none"));
  EXPECT_FALSE(read_file(folder_));
  ASSERT_TRUE(write_file_atomically(folder_ / "a", "12345"));
  EXPECT_EQ(read_file(folder_ / "a").value(), "12345");
  EXPECT_FALSE(read_file(folder_ / "a", 4));
}

TEST_F(FileTest, MapsWholeFileAndEmptyFile) {
  ASSERT_TRUE(write_file_atomically(folder_ / "a", "xyz"));
  ASSERT_TRUE(write_file_atomically(folder_ / "e", ""));
  EXPECT_EQ(MappedFile::open(folder_ / "a")->bytes().size(), 3U);
  EXPECT_EQ(MappedFile::open(folder_ / "e")->bytes().size(), 0U);
  EXPECT_FALSE(MappedFile::open(folder_ / "none"));
}

TEST_F(FileTest, FailedWriteKeepsTheOldFileAndLeavesNoTemporary) {
  ASSERT_TRUE(write_file_atomically(folder_ / "a", "old"));
  const auto full = write_file_atomically("/dev/full/x", "new");
  EXPECT_FALSE(full);
  // A folder in the way makes the rename fail after the bytes were written.
  fs::create_directories(folder_ / "b" / "c");
  EXPECT_FALSE(write_file_atomically(folder_ / "b", "new"));
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) {
    ++files;
  }
  EXPECT_EQ(files, 2U);
  EXPECT_EQ(read_file(folder_ / "a").value(), "old");
}

TEST_F(FileTest, SecondLockIsRefusedUntilTheFirstIsGone) {
  {
    const auto first = FolderLock::acquire(folder_);
    ASSERT_TRUE(first);
    const auto second = FolderLock::acquire(folder_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().label, "run.locked");
  }
  EXPECT_TRUE(FolderLock::acquire(folder_));
}

TEST_F(FileTest, AnInheritedLockIsTakenOver) {
  auto first = FolderLock::acquire(folder_);
  ASSERT_TRUE(first);
  ASSERT_TRUE(first->survive_exec(true));
  // What exec would leave: the same open file under a number.
  const int inherited = ::dup(first->descriptor());
  ASSERT_GE(inherited, 0);
  {
    const auto second = FolderLock::acquire(folder_, inherited);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->descriptor(), inherited);
  }
  // A number that is no lock of this folder is not used.
  EXPECT_FALSE(FolderLock::acquire(folder_, 0));
  EXPECT_FALSE(FolderLock::acquire(folder_, 12345));
}

TEST(LargePages, ReservedRoomIsAVectorsOwn) {
  for (const size_t count : {size_t{0}, size_t{3}, (size_t{3} << 18) + 5}) {
    std::vector<float> values;
    reserve_in_large_pages(values, count);
    EXPECT_TRUE(values.empty());
    EXPECT_GE(values.capacity(), count);
    const float* const room = values.data();
    values.resize(count, 2.0F);
    EXPECT_EQ(values.data(), room);
    EXPECT_EQ(std::count(values.begin(), values.end(), 2.0F),
              static_cast<std::ptrdiff_t>(count));
  }
}

TEST(ZeroedMemory, IsZeroAndMoves) {
  ZeroedMemory none;
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_TRUE(none.as<float>().empty());
  ZeroedMemory memory((size_t{8} << 20) + 12);
  ASSERT_NE(memory.data(), nullptr);
  ASSERT_EQ(memory.as<float>().size(), (size_t{2} << 20) + 3);
  EXPECT_TRUE(std::ranges::all_of(memory.as<float>(),
                                  [](float value) { return value == 0.0F; }));
  memory.as<float>().back() = 7.0F;
  ZeroedMemory moved(std::move(memory));
  EXPECT_EQ(memory.data(), nullptr);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(moved.as<float>().back(), 7.0F);
  none = std::move(moved);
  EXPECT_EQ(none.as<float>().back(), 7.0F);
  // More than any address space holds.
  EXPECT_EQ(ZeroedMemory(SIZE_MAX / 2).data(), nullptr);
}

TEST(Utf8, FindsTheFirstBadSequence) {
  EXPECT_TRUE(is_utf8("caf\xC3\xA9 \xE2\x80\x9C \xF0\x9F\x98\x80"));
  size_t offset = 0;
  EXPECT_FALSE(is_utf8("ab\xFF", &offset));
  EXPECT_EQ(offset, 2U);
  EXPECT_FALSE(is_utf8("\xC0\x80"));      // overlong
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));  // surrogate
  EXPECT_FALSE(is_utf8("\xE2\x80"));      // cut short
}

}  // namespace
}  // namespace aneroid
