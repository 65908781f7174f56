#include "aneroid/cpu/trace.h"

#include <algorithm>
#include <chrono>

namespace aneroid::cpu {
namespace {

// Tasks of one run closer than this are one stretch.
constexpr int64_t kSameStretch = 2000;  // ns

}  // namespace

Trace::Trace(int threads, size_t events_per_thread)
    : events_(static_cast<size_t>(threads)), most_(events_per_thread) {}

int Trace::label(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found != names_.end()) return static_cast<int>(found - names_.begin());
  names_.emplace_back(name);
  return static_cast<int>(names_.size()) - 1;
}

void Trace::add(int worker, const Event& event) {
  Worker& mine = events_[static_cast<size_t>(worker)];
  if (!mine.events.empty()) {
    Event& last = mine.events.back();
    if (last.run == event.run && last.label == event.label &&
        last.background == event.background &&
        event.start_ns - last.end_ns < kSameStretch) {
      last.end_ns = event.end_ns;
      return;
    }
  }
  if (mine.events.size() == most_) {
    ++mine.dropped;
    return;
  }
  mine.events.push_back(event);
}

const std::vector<Trace::Event>& Trace::events(int worker) const {
  return events_[static_cast<size_t>(worker)].events;
}

const std::string& Trace::name(int label) const {
  return names_[static_cast<size_t>(label)];
}

int64_t Trace::dropped() const {
  int64_t sum = 0;
  for (const Worker& worker : events_) sum += worker.dropped;
  return sum;
}

void Trace::clear() {
  for (Worker& worker : events_) {
    worker.events.clear();
    worker.dropped = 0;
  }
}

int64_t Trace::now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace aneroid::cpu
