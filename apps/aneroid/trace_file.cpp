#include "apps/aneroid/trace_file.h"

#include <algorithm>
#include <limits>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"

namespace aneroid::cli {
namespace {

using Json = nlohmann::ordered_json;

Json thread_name(int thread, const std::string& name) {
  return {{"ph", "M"},
          {"name", "thread_name"},
          {"pid", 1},
          {"tid", thread},
          {"args", {{"name", name}}}};
}

}  // namespace

Status write_trace(const std::filesystem::path& path, const cpu::Trace& trace,
                   const std::vector<TracePart>& parts) {
  int64_t origin = std::numeric_limits<int64_t>::max();
  for (const TracePart& part : parts) origin = std::min(origin, part.start_ns);
  for (int t = 0; t < trace.threads(); ++t) {
    if (!trace.events(t).empty()) {
      origin = std::min(origin, trace.events(t).front().start_ns);
    }
  }
  Json events = Json::array();
  const auto add = [&](const std::string& name, const char* category,
                       int thread, int64_t start, int64_t end) {
    events.push_back({{"ph", "X"},
                      {"name", name},
                      {"cat", category},
                      {"pid", 1},
                      {"tid", thread},
                      {"ts", static_cast<double>(start - origin) / 1000},
                      {"dur", static_cast<double>(end - start) / 1000}});
  };
  events.push_back(thread_name(0, "parts of the step"));
  for (const TracePart& part : parts) {
    add(part.name, "part", 0, part.start_ns, part.end_ns);
  }
  for (int t = 0; t < trace.threads(); ++t) {
    events.push_back(thread_name(t + 1, "thread " + std::to_string(t)));
    for (const cpu::Trace::Event& event : trace.events(t)) {
      add(event.label < 0 ? "work" : trace.name(event.label),
          event.background ? "background" : "foreground", t + 1, event.start_ns,
          event.end_ns);
    }
  }
  const Json file = {{"traceEvents", events}, {"displayTimeUnit", "ms"}};
  return write_file_atomically(path, file.dump() + "\n");
}

}  // namespace aneroid::cli
