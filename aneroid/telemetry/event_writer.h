// Writes events.jsonl so that a crash at any moment leaves whole lines and at
// most one torn one, which the next writer removes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "aneroid/base/diagnostic.h"
#include "aneroid/telemetry/events.h"

namespace aneroid::telemetry {

// Movable; closes when destroyed. Thread-compatible. One writer per file.
class EventWriter {
 public:
  enum class Mode { kAppend, kReplace };

  // kAppend: goes on behind the last whole line; a torn last line is removed
  // and counted in torn_bytes(). Creates the file when there is none. Error
  // ("events"): it cannot be opened, read or cut.
  static Result<EventWriter> open(const std::filesystem::path& path, Mode mode);

  EventWriter(EventWriter&& other) noexcept;
  EventWriter& operator=(EventWriter&& other) noexcept;
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  ~EventWriter();

  // Appends the event's line with a single write(), so that readers see it at
  // once and whole. After a checkpoint and at the end also waits for the disk.
  // Error ("events"): a full disk and the like; what was written of the line
  // is taken back.
  Status write(const Event& event);

  uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  EventWriter(std::filesystem::path path, int descriptor);
  Status remove_torn_line();

  std::filesystem::path path_;
  int descriptor_ = -1;
  uint64_t torn_bytes_ = 0;
};

// Makes a file ready for a run that resumes from the checkpoint of `step`:
// drops the events of later steps, every "end", and lines that are no event;
// the rest stays byte for byte. Replaces the file atomically, and only when
// something is dropped; call it before EventWriter::open. Returns the number
// of lines dropped; 0 when there is no file. Error ("file").
Result<int64_t> truncate_after_step(const std::filesystem::path& path,
                                    int64_t step);

}  // namespace aneroid::telemetry
