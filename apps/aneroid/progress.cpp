#include "apps/aneroid/progress.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(100);

// The first `width` code points.
std::string cut(const std::string& text, size_t width) {
  size_t points = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80;
    if (starts && points++ == width) return text.substr(0, i);
  }
  return text;
}

}  // namespace

std::string progress_line(const ProgressOptions& options, uint64_t done,
                          double seconds, const std::string& note,
                          size_t width) {
  constexpr size_t kBarWidth = 24;
  const uint64_t fresh = done - std::min(done, options.done_before);
  const double rate = seconds > 0 ? static_cast<double>(fresh) / seconds : 0;
  std::string line = options.label;
  if (options.total > 0) {
    const double share = static_cast<double>(std::min(done, options.total)) /
                         static_cast<double>(options.total);
    line += fmt::format("  ▕{}▏ {:3.0f} %", bar(share, kBarWidth),
                        std::floor(share * 100));
  }
  // "1.2 MB/s", "340 steps/s": a one-letter unit takes the prefix.
  const std::string scaled_rate = human_count(rate);
  const bool joined =
      options.unit == "B" && scaled_rate.find(' ') != std::string::npos;
  line +=
      fmt::format("  {}{}{}/s", scaled_rate, joined ? "" : " ", options.unit);
  if (options.total > done && rate > 0) {
    line += fmt::format(
        "  {} left",
        human_duration(static_cast<double>(options.total - done) / rate));
  }
  if (!note.empty()) line += "  " + note;
  return cut(line, width);
}

Progress::Progress(ProgressOptions options)
    : options_(std::move(options)),
      enabled_(is_terminal(stderr)),
      start_(Clock::now()),
      next_(start_ + kInterval) {}

Progress::~Progress() { clear(); }

void Progress::update(uint64_t done) {
  if (!enabled_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + kInterval;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  // The last column stays free, as some terminals wrap after it.
  const std::string line =
      progress_line(options_, done, seconds, note_, terminal_width(stderr) - 1);
  fmt::print(stderr, "\r\033[K{}", line);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace aneroid::cli
