#include "apps/aneroid/terminal.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace aneroid::cli {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? "" : value;
}

}  // namespace

bool is_terminal(std::FILE* stream) { return ::isatty(::fileno(stream)) == 1; }

size_t terminal_width(std::FILE* stream) {
  constexpr size_t kDefault = 80;
  constexpr size_t kLeast = 40;
  size_t columns = 0;
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0) {
    columns = size.ws_col;
  }
  if (columns == 0) {
    const std::string_view text = environment("COLUMNS");
    std::from_chars(text.data(), text.data() + text.size(), columns);
  }
  return columns == 0 ? kDefault : std::max(columns, kLeast);
}

bool has_colours(std::FILE* stream) {
  return environment("NO_COLOR").empty() && environment("TERM") != "dumb" &&
         is_terminal(stream);
}

std::string styled(std::FILE* stream, Style style, std::string_view text) {
  if (!has_colours(stream)) return std::string(text);
  constexpr int kCodes[] = {1, 2, 31, 32, 33, 36};
  return fmt::format("\033[{}m{}\033[0m", kCodes[static_cast<int>(style)],
                     text);
}

}  // namespace aneroid::cli
