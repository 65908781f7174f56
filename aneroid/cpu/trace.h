// What each thread of a pool did when: the events of a timeline.
//
// Attach one to a ThreadPool and every stretch of tasks becomes an event under
// the label that stood when the work was handed out (see ThreadPool::Label).
// Stretches of one run that follow each other closely are one event.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace aneroid::cpu {

class Trace {
 public:
  struct Event {
    int label = 0;
    uint64_t run = 0;  // tells apart runs under the same label
    bool background = false;
    int64_t start_ns = 0;  // of std::chrono::steady_clock
    int64_t end_ns = 0;
  };

  // For pools of up to `threads` threads; keeps at most `events_per_thread`,
  // later ones are dropped and counted.
  explicit Trace(int threads, size_t events_per_thread = size_t{1} << 18);

  // A number for a name; the same name gets the same number. Thread-safe.
  int label(std::string_view name);
  // Called by the worker with that number only.
  void add(int worker, const Event& event);

  // To be read while no work runs.
  int threads() const { return static_cast<int>(events_.size()); }
  const std::vector<Event>& events(int worker) const;
  const std::string& name(int label) const;
  int64_t dropped() const;
  void clear();  // forgets events, keeps names

  static int64_t now();  // nanoseconds of steady_clock

 private:
  struct alignas(64) Worker {
    std::vector<Event> events;
    int64_t dropped = 0;
  };
  std::vector<Worker> events_;
  size_t most_;
  std::mutex mutex_;
  std::vector<std::string> names_;
};

}  // namespace aneroid::cpu
