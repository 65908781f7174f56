// Reads events.jsonl, also while a run is still writing it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/telemetry/events.h"

namespace aneroid::telemetry {

// A whole line that is no event; reading goes on behind it.
struct BadLine {
  int64_t line = 0;  // from 1
  std::string reason;
};

struct EventLog {
  std::vector<Event> events;
  // The first kMostBadLines of them.
  std::vector<BadLine> bad_lines;
  int64_t bad_line_count = 0;
  // Bytes of a last line without line break: torn by a crash, or being
  // written right now.
  uint64_t torn_bytes = 0;

  static constexpr size_t kMostBadLines = 16;
};

// Follows a growing file. Thread-compatible.
class EventReader {
 public:
  explicit EventReader(std::filesystem::path path) : path_(std::move(path)) {}

  struct News {
    EventLog log;  // what came since the last poll
    // The file was replaced or became shorter (a run resumed): `log` starts
    // from its beginning, forget what came before.
    bool restarted = false;
  };
  // Error ("events"): the file cannot be read. The reader stays usable.
  Result<News> poll();

 private:
  std::filesystem::path path_;
  uint64_t offset_ = 0;  // behind the last whole line
  uint64_t inode_ = 0;
  int64_t lines_ = 0;
};

// The whole file at once. Error ("events"): missing or unreadable.
Result<EventLog> read_events(const std::filesystem::path& path);

}  // namespace aneroid::telemetry
