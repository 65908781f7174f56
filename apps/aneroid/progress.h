// The line that moves while something takes long.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace aneroid::cli {

struct ProgressOptions {
  std::string label;         // "tokenizing"
  std::string unit;          // of the rate, after a space: "B", "steps"
  uint64_t total = 0;        // 0: unknown, so no bar and no time left
  uint64_t done_before = 0;  // work that a resumed run finds already done
};

// Share done, rate, time left and a note, rewritten in place on stderr at most
// ten times a second; nothing at all when stderr is not a terminal. The line
// disappears when the object does. One thread at a time.
class Progress {
 public:
  explicit Progress(ProgressOptions options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` counts from the start of all work, resumed work included.
  void update(uint64_t done);
  // Shown at the end of the line from the next update on: "loss 2.31".
  void set_note(std::string note) { note_ = std::move(note); }
  // Removes the line, so that other text can be printed; the next update
  // brings it back.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  ProgressOptions options_;
  std::string note_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point start_;
  Clock::time_point next_;
};

// The text of the line, for `seconds` since the start. Fits in `width`.
std::string progress_line(const ProgressOptions& options, uint64_t done,
                          double seconds, const std::string& note,
                          size_t width);

}  // namespace aneroid::cli
