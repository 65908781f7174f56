#include <csignal>
#include <fstream>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/telemetry/event_reader.h"
#include "aneroid/telemetry/event_writer.h"
#include "aneroid/telemetry/test_support.h"

namespace aneroid::telemetry {
namespace {

using Mode = EventWriter::Mode;

class EventFile : public TemporaryFolderTest {
 protected:
  EventWriter open(Mode mode) const {
    return EventWriter::open(path_, mode).value();
  }
  void append(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::app) << bytes;
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> result;
    const EventLog log = read_events(path_).value();
    for (const Event& event : log.events) {
      result.push_back(step_of(event));
    }
    return result;
  }
};

TEST_F(EventFile, AppendsOrReplaces) {
  ASSERT_TRUE(open(Mode::kAppend).write(step_event(1)));
  ASSERT_TRUE(open(Mode::kAppend).write(step_event(2)));
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2}));
  ASSERT_TRUE(open(Mode::kReplace).write(step_event(7)));
  EXPECT_EQ(steps(), (std::vector<int64_t>{7}));
  EXPECT_EQ(content(), to_line(step_event(7)) + "\n");
}

TEST_F(EventFile, EachLineIsThereAtOnce) {
  EventWriter writer = open(Mode::kReplace);
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(writer.write(step_event(step)));
    EXPECT_EQ(static_cast<int64_t>(steps().size()), step);
  }
  EventWriter moved = std::move(writer);
  ASSERT_TRUE(moved.write(EndEvent{"done", "", 3, 1}));
  EXPECT_EQ(steps().back(), -1);
}

TEST_F(EventFile, ATornLastLineIsReportedThenRemoved) {
  // Longer than the block in which the writer looks for the last line break.
  const std::string torn =
      R"({"event":"sample","text":")" + std::string(10000, 'x');
  ASSERT_TRUE(open(Mode::kReplace).write(step_event(1)));
  append(torn);
  const EventLog log = read_events(path_).value();
  EXPECT_EQ(log.events.size(), 1);
  EXPECT_EQ(log.torn_bytes, torn.size());
  EXPECT_EQ(log.bad_line_count, 0);

  EventWriter writer = open(Mode::kAppend);
  EXPECT_EQ(writer.torn_bytes(), torn.size());
  ASSERT_TRUE(writer.write(step_event(2)));
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(read_events(path_).value().torn_bytes, 0);
}

TEST_F(EventFile, AFileOfOneTornLineBecomesEmpty) {
  append("{\"event\"");
  EXPECT_EQ(open(Mode::kAppend).torn_bytes(), 8);
  EXPECT_EQ(content(), "");
}

TEST_F(EventFile, BadLinesAreReportedAndPassed) {
  append("nonsense\n" + to_line(step_event(1)) + "\n\n");
  for (int i = 0; i < 100; ++i) append("{}\n");
  append(to_line(step_event(2)) + "\n");
  const EventLog log = read_events(path_).value();
  EXPECT_EQ(log.events.size(), 2);
  EXPECT_EQ(log.bad_line_count, 102);
  ASSERT_EQ(log.bad_lines.size(), EventLog::kMostBadLines);
  EXPECT_EQ(log.bad_lines[0].line, 1);
  EXPECT_EQ(log.bad_lines[1].line, 3);
  EXPECT_NE(log.bad_lines[0].reason.find("is not JSON"), std::string::npos);
}

TEST_F(EventFile, AResumedRunReadsLikeAnUninterruptedOne) {
  const auto train = [](EventWriter& writer, int64_t first, int64_t last) {
    for (int64_t step = first; step <= last; ++step) {
      ASSERT_TRUE(writer.write(step_event(step)));
      if (step % 4 == 0) {
        ASSERT_TRUE(writer.write(ValidationEvent{step, 2, 100}));
        ASSERT_TRUE(writer.write(CheckpointEvent{step, "c", 1, 1}));
      }
    }
  };
  EventWriter whole = open(Mode::kReplace);
  train(whole, 1, 10);
  const std::string expected = content();

  EventWriter first = open(Mode::kReplace);
  train(first, 1, 6);  // saved at 4, killed in the middle of 7
  append("{\"event\":\"step\",\"st");
  EXPECT_EQ(truncate_after_step(path_, 4).value(), 3);
  EventWriter second = open(Mode::kAppend);
  EXPECT_EQ(second.torn_bytes(), 0);
  train(second, 5, 10);
  EXPECT_EQ(content(), expected);
}

TEST_F(EventFile, TruncateDropsEndsAndKeepsRuns) {
  EventWriter writer = open(Mode::kReplace);
  const std::vector<Event> events = {RunEvent{},
                                     step_event(1),
                                     OverflowEvent{2, 2, 1},
                                     SampleEvent{2, "", ""},
                                     EndEvent{"interrupted", "", 2, 1},
                                     RunEvent{}};
  for (const Event& event : events) {
    ASSERT_TRUE(writer.write(event));
  }
  append("nonsense\n");
  EXPECT_EQ(truncate_after_step(path_, 1).value(), 4);
  EXPECT_EQ(steps(), (std::vector<int64_t>{-1, 1, -1}));
  const auto before = std::filesystem::last_write_time(path_);
  EXPECT_EQ(truncate_after_step(path_, 1).value(), 0);
  EXPECT_EQ(std::filesystem::last_write_time(path_), before);
  EXPECT_EQ(truncate_after_step(folder_ / "absent", 1).value(), 0);
  EXPECT_EQ(truncate_after_step(folder_, 1).error().label, "file");
}

TEST_F(EventFile, AFullDiskIsAnError) {
  if (!std::filesystem::exists("/dev/full")) {
    GTEST_SKIP() << "skipped: no /dev/full";
  }
  EventWriter writer = EventWriter::open("/dev/full", Mode::kAppend).value();
  const Status full = writer.write(step_event(1));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().label, "events");
  EXPECT_NE(full.error().message.find("cannot write the event \"step\""),
            std::string::npos);
}

TEST_F(EventFile, APartOfALineIsTakenBack) {
  EventWriter writer = open(Mode::kReplace);
  ASSERT_TRUE(writer.write(step_event(1)));
  const std::string before = content();
  // A limit on the size of files stands for a disk that fills up.
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = old;
  limit.rlim_cur = before.size() + 10;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const Status full = writer.write(step_event(2));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(full);
  EXPECT_EQ(content(), before);
  ASSERT_TRUE(writer.write(step_event(2)));
  EXPECT_EQ(steps(), (std::vector<int64_t>{1, 2}));
}

TEST_F(EventFile, RefusesPathsThatAreNoFile) {
  EXPECT_EQ(EventWriter::open(folder_, Mode::kAppend).error().label, "events");
  EXPECT_EQ(
      EventWriter::open(folder_ / "no" / "e", Mode::kAppend).error().label,
      "events");
  EXPECT_EQ(read_events(folder_).error().label, "events");
  EXPECT_EQ(read_events(folder_ / "absent").error().label, "events");
}

TEST_F(EventFile, AReaderFollowsAGrowingFile) {
  EventReader reader(path_);
  EXPECT_FALSE(reader.poll());
  EventWriter writer = open(Mode::kReplace);
  EXPECT_TRUE(reader.poll().value().log.events.empty());
  ASSERT_TRUE(writer.write(step_event(1)));
  ASSERT_TRUE(writer.write(step_event(2)));
  EXPECT_EQ(reader.poll().value().log.events.size(), 2);
  EXPECT_TRUE(reader.poll().value().log.events.empty());

  const std::string line = to_line(step_event(3)) + "\n";
  append(line.substr(0, 20));
  EXPECT_EQ(reader.poll().value().log.torn_bytes, 20);
  append(line.substr(20) + "bad\n");
  const EventReader::News news = reader.poll().value();
  EXPECT_EQ(news.log.events.size(), 1);
  EXPECT_FALSE(news.restarted);
  ASSERT_EQ(news.log.bad_lines.size(), 1);
  EXPECT_EQ(news.log.bad_lines[0].line, 4);

  ASSERT_EQ(truncate_after_step(path_, 1).value(), 3);
  const EventReader::News again = reader.poll().value();
  EXPECT_TRUE(again.restarted);
  EXPECT_EQ(again.log.events.size(), 1);
}

TEST_F(EventFile, AReaderNoticesANewRunThatIsAlreadyLonger) {
  EventReader reader(path_);
  ASSERT_TRUE(open(Mode::kReplace).write(step_event(1)));
  EXPECT_EQ(reader.poll().value().log.events.size(), 1);
  EventWriter writer = open(Mode::kReplace);
  for (int64_t step = 1; step <= 3; ++step) {
    ASSERT_TRUE(writer.write(step_event(step)));
  }
  const EventReader::News news = reader.poll().value();
  EXPECT_TRUE(news.restarted);
  EXPECT_EQ(news.log.events.size(), 3);
}

TEST_F(EventFile, ManyLinesAcrossBlocksAndOneTooLong) {
  EventWriter writer = open(Mode::kReplace);
  for (int64_t step = 1; step <= 10000; ++step) {
    ASSERT_TRUE(writer.write(step_event(step)));
  }
  EXPECT_GT(content().size(), size_t{2} << 20);
  const std::vector<int64_t> all = steps();
  ASSERT_EQ(all.size(), 10000);
  EXPECT_EQ(all.front(), 1);
  EXPECT_EQ(all.back(), 10000);

  append(std::string(size_t{66} << 20, 'x'));
  const auto refused = read_events(path_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("line 10001 is longer"),
            std::string::npos);
}

TEST_F(EventFile, MutatedFilesNeverCrash) {
  EventWriter writer = open(Mode::kReplace);
  ASSERT_TRUE(writer.write(RunEvent{}));
  for (int64_t step = 1; step <= 5; ++step) {
    ASSERT_TRUE(writer.write(step_event(step)));
  }
  const std::string good = content();
  Random random(6);
  for (int round = 0; round < 60; ++round) {
    std::string bytes = good;
    for (uint64_t n = 1 + random.below(9); n > 0; --n) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.next());
    }
    bytes.resize(random.below(bytes.size()) + 1);
    std::ofstream(path_, std::ios::binary) << bytes;
    ASSERT_TRUE(read_events(path_));
    ASSERT_TRUE(truncate_after_step(path_, 3));
    const EventLog log = read_events(path_).value();
    EXPECT_EQ(log.bad_line_count, 0);
    EXPECT_EQ(log.torn_bytes, 0);
    for (const Event& event : log.events) EXPECT_LE(step_of(event), 3);
  }
}

}  // namespace
}  // namespace aneroid::telemetry
