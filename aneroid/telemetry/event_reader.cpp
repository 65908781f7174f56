#include "aneroid/telemetry/event_reader.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace aneroid::telemetry {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

tl::unexpected<Diagnostic> read_error(const std::filesystem::path& path,
                                      int number) {
  return input_error(
      "events", path.string(),
      fmt::format("cannot read events: {}", std::strerror(number)));  // NOLINT
}

// No event comes near it: such a file is no event log.
constexpr size_t kLongestLine = size_t{64} << 20;

void add_line(std::string_view line, int64_t number, EventLog& log) {
  auto event = parse_line(line);
  if (event) {
    log.events.push_back(std::move(*event));
    return;
  }
  ++log.bad_line_count;
  if (log.bad_lines.size() < EventLog::kMostBadLines) {
    log.bad_lines.push_back({number, std::move(event.error().message)});
  }
}

}  // namespace

Result<EventReader::News> EventReader::poll() {
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
    return read_error(path_, errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return read_error(path_, S_ISDIR(info.st_mode) ? EISDIR : EINVAL);
  }
  News news;
  const auto size = static_cast<uint64_t>(info.st_size);
  const auto inode = static_cast<uint64_t>(info.st_ino);
  if (lines_ > 0 && (inode != inode_ || size < offset_)) {
    news.restarted = true;
    offset_ = 0;
    lines_ = 0;
  }
  inode_ = inode;

  // Lines are handled block by block: a log may be larger than memory allows
  // to hold twice.
  std::string rest;
  std::string block(size_t{1} << 20, '\0');
  uint64_t at = offset_;
  while (true) {
    const ssize_t got =
        ::pread(file.get(), block.data(), block.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return read_error(path_, errno);
    if (got == 0) break;
    at += static_cast<uint64_t>(got);
    size_t start = 0;
    size_t end = rest.size();  // no line break before it
    rest.append(block, 0, static_cast<size_t>(got));
    while ((end = rest.find('\n', end)) != std::string::npos) {
      ++lines_;
      add_line(std::string_view(rest).substr(start, end - start), lines_,
               news.log);
      start = ++end;
    }
    offset_ += start;
    rest.erase(0, start);
    if (rest.size() > kLongestLine) {
      return input_error(
          "events", path_.string(),
          fmt::format("line {} is longer than {} bytes; this is no event log",
                      lines_ + 1, kLongestLine));
    }
  }
  news.log.torn_bytes = rest.size();
  return news;
}

Result<EventLog> read_events(const std::filesystem::path& path) {
  ANEROID_ASSIGN(EventReader::News news, EventReader(path).poll());
  return std::move(news.log);
}

}  // namespace aneroid::telemetry
