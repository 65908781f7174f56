#include "aneroid/telemetry/event_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "aneroid/base/file.h"

namespace aneroid::telemetry {
namespace {

tl::unexpected<Diagnostic> system_error(const std::filesystem::path& path,
                                        std::string_view doing, int number) {
  return input_error(
      "events", path.string(),
      fmt::format("cannot {}: {}", doing, std::strerror(number)));  // NOLINT
}

bool is_durable(const Event& event) {
  return std::holds_alternative<CheckpointEvent>(event) ||
         std::holds_alternative<EndEvent>(event);
}

}  // namespace

EventWriter::EventWriter(std::filesystem::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

EventWriter::EventWriter(EventWriter&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      torn_bytes_(other.torn_bytes_) {}

EventWriter& EventWriter::operator=(EventWriter&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(torn_bytes_, other.torn_bytes_);
  return *this;
}

EventWriter::~EventWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<EventWriter> EventWriter::open(const std::filesystem::path& path,
                                      Mode mode) {
  std::error_code ignored;
  if (mode == Mode::kReplace &&
      std::filesystem::is_regular_file(path, ignored)) {
    // A new file, not an emptied one: that is how readers notice.
    ANEROID_TRY(write_file_atomically(path, ""));
  }
  const int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "write events", errno);
  EventWriter writer(path, descriptor);
  ANEROID_TRY(writer.remove_torn_line());
  return writer;
}

Status EventWriter::remove_torn_line() {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) {
    return system_error(path_, "read events", errno);
  }
  // Backwards in blocks to the last line break.
  const off_t size = info.st_size;
  off_t whole = size;
  char block[4096];
  while (whole > 0) {
    const off_t start =
        std::max<off_t>(0, whole - static_cast<off_t>(sizeof(block)));
    const auto wanted = static_cast<size_t>(whole - start);
    const ssize_t got = ::pread(descriptor_, block, wanted, start);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(wanted)) {
      return system_error(path_, "read events", got < 0 ? errno : EIO);
    }
    const size_t last = std::string_view(block, wanted).rfind('\n');
    if (last != std::string_view::npos) {
      whole = start + static_cast<off_t>(last) + 1;
      break;
    }
    whole = start;
  }
  torn_bytes_ = static_cast<uint64_t>(size - whole);
  if (whole < size && ::ftruncate(descriptor_, whole) != 0) {
    return system_error(path_, "remove the torn last line", errno);
  }
  return {};
}

Status EventWriter::write(const Event& event) {
  const std::string line = to_line(event) + "\n";
  ssize_t wrote = -1;
  do {
    wrote = ::write(descriptor_, line.data(), line.size());
  } while (wrote < 0 && errno == EINTR);
  if (wrote != static_cast<ssize_t>(line.size())) {
    const int number = wrote < 0 ? errno : ENOSPC;
    struct stat info {};
    if (wrote > 0 && ::fstat(descriptor_, &info) == 0) {
      // If this fails too, the next writer removes the torn line.
      (void)!::ftruncate(descriptor_, info.st_size - wrote);
    }
    return system_error(
        path_, fmt::format("write the event \"{}\"", name(event)), number);
  }
  // EINVAL: not a thing that can be flushed, such as a pipe.
  if (is_durable(event) && ::fsync(descriptor_) != 0 && errno != EINVAL) {
    return system_error(path_, "flush events to the disk", errno);
  }
  return {};
}

Result<int64_t> truncate_after_step(const std::filesystem::path& path,
                                    int64_t step) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return 0;
  ANEROID_ASSIGN(const std::string content, read_file(path));
  std::string kept;
  int64_t dropped = 0;
  for (std::string_view rest = content; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end);
    const auto event = parse_line(line);
    const bool keep = line.ends_with('\n') && event &&
                      step_of(*event) <= step &&
                      !std::holds_alternative<EndEvent>(*event);
    if (keep) {
      kept += line;
    } else {
      ++dropped;
    }
  }
  if (dropped > 0) ANEROID_TRY(write_file_atomically(path, kept));
  return dropped;
}

}  // namespace aneroid::telemetry
