// Where the time of a step goes: named parts that add up to the wall time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace aneroid::telemetry {

// A stopwatch with one hand and many dials: at each moment exactly one part
// runs, so the parts sum to the wall time whatever the code does. Time in no
// scope belongs to "other". Of nested scopes the innermost counts.
//
//   TimeTable table;
//   {
//     TimeTable::Scope scope(table, "forward");
//     ...
//   }
//   const TimeTable::Lap lap = table.lap();
//
// Thread-compatible: for the thread that leads the step. Work of other
// threads shows as the time the leader waits for it.
class TimeTable {
 public:
  // Nanoseconds of some steady clock.
  using Clock = std::function<int64_t()>;

  // Starts at once.
  TimeTable() : TimeTable(steady_nanoseconds) {}
  explicit TimeTable(Clock clock);
  TimeTable(const TimeTable&) = delete;
  TimeTable& operator=(const TimeTable&) = delete;

  // Runs a part until destroyed, then the part that ran before. Scopes nest
  // like blocks; the table must outlive them.
  class Scope {
   public:
    Scope(TimeTable& table, std::string_view part);
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope();

   private:
    TimeTable& table_;
    size_t before_;
  };

  struct Lap {
    double wall_ms = 0;
    // Milliseconds in the order of first use, "other" last; parts that did
    // not run since the last lap are absent, "other" never.
    std::vector<std::pair<std::string, double>> parts;
  };
  // Called with each stretch of a part as it ends; null for none.
  using Observer =
      std::function<void(std::string_view part, int64_t start, int64_t end)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

  // Ends the lap and starts the next in the same instant. May be called inside
  // a scope; its part then goes on in the next lap.
  Lap lap();

  static int64_t steady_nanoseconds();

 private:
  struct Part {
    std::string name;
    int64_t nanoseconds = 0;
    bool ran = false;
  };
  size_t find(std::string_view part);
  void switch_to(size_t part);

  Clock clock_;
  Observer observer_;
  std::vector<Part> parts_;  // parts_[0] is "other"
  size_t current_ = 0;
  int64_t since_ = 0;  // when the current part began, or went on
};

// Milliseconds since it was made.
class Timer {
 public:
  double milliseconds() const;

 private:
  int64_t start_ = TimeTable::steady_nanoseconds();
};

}  // namespace aneroid::telemetry
