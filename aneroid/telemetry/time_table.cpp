#include "aneroid/telemetry/time_table.h"

#include <algorithm>

namespace aneroid::telemetry {
namespace {

double to_ms(int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-6;
}

}  // namespace

TimeTable::TimeTable(Clock clock)
    : clock_(std::move(clock)), parts_{{"other"}}, since_(clock_()) {}

int64_t TimeTable::steady_nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

size_t TimeTable::find(std::string_view part) {
  // A step has a dozen parts: a search beats a map.
  const auto found =
      std::find_if(parts_.begin(), parts_.end(),
                   [&](const Part& known) { return known.name == part; });
  if (found != parts_.end()) return static_cast<size_t>(found - parts_.begin());
  parts_.push_back({std::string(part)});
  return parts_.size() - 1;
}

void TimeTable::switch_to(size_t part) {
  const int64_t now = clock_();
  parts_[current_].nanoseconds += now - since_;
  if (observer_) observer_(parts_[current_].name, since_, now);
  since_ = now;
  current_ = part;
  parts_[part].ran = true;
}

TimeTable::Scope::Scope(TimeTable& table, std::string_view part)
    : table_(table), before_(table.current_) {
  table_.switch_to(table_.find(part));
}

TimeTable::Scope::~Scope() { table_.switch_to(before_); }

TimeTable::Lap TimeTable::lap() {
  switch_to(current_);
  Lap lap;
  int64_t wall = 0;
  for (const Part& part : parts_) {
    wall += part.nanoseconds;
    if (part.ran && &part != parts_.data()) {
      lap.parts.emplace_back(part.name, to_ms(part.nanoseconds));
    }
  }
  lap.parts.emplace_back(parts_[0].name, to_ms(parts_[0].nanoseconds));
  lap.wall_ms = to_ms(wall);
  for (Part& part : parts_) {
    part.nanoseconds = 0;
    part.ran = &part == &parts_[current_];
  }
  return lap;
}

double Timer::milliseconds() const {
  return to_ms(TimeTable::steady_nanoseconds() - start_);
}

}  // namespace aneroid::telemetry
