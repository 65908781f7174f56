// A timeline as a file that chrome://tracing and Perfetto open.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/trace.h"

namespace aneroid::cli {

// A stretch of the leading thread's account, see telemetry::TimeTable.
struct TracePart {
  std::string name;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
};

// Chrome's trace event format: a row of parts, then a row per thread with
// every operation; times in microseconds since the first event. Background
// work has the category "background".
Status write_trace(const std::filesystem::path& path, const cpu::Trace& trace,
                   const std::vector<TracePart>& parts);

}  // namespace aneroid::cli
