#include "aneroid/base/file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace aneroid {
namespace {

constexpr std::string_view kLabel = "file";

tl::unexpected<Diagnostic> system_error(const std::filesystem::path& path,
                                        std::string_view doing, int number) {
  return input_error(std::string(kLabel), path.string(),
                     fmt::format("cannot {}: {}", doing,
                                 std::strerror(number)));  // NOLINT
}

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

// Opens a regular file for reading and tells its size.
Result<std::pair<int, uint64_t>> open_regular(
    const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error(path, "open", errno);
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) {
    const int number = errno;
    ::close(descriptor);
    return system_error(path, "read", number);
  }
  if (!S_ISREG(info.st_mode)) {
    ::close(descriptor);
    return input_error(std::string(kLabel), path.string(),
                       S_ISDIR(info.st_mode)
                           ? "is a folder; a file is needed here"
                           : "is not a regular file");
  }
  return std::pair{descriptor, static_cast<uint64_t>(info.st_size)};
}

}  // namespace

Result<std::string> read_file(const std::filesystem::path& path,
                              uint64_t limit) {
  ANEROID_ASSIGN(const auto opened, open_regular(path));
  const Descriptor file(opened.first);
  const uint64_t size = opened.second;
  if (size > limit) {
    return input_error(
        std::string(kLabel), path.string(),
        fmt::format("has {} bytes; at most {} are read here", size, limit));
  }
  std::string content(size, '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got =
        ::read(file.get(), content.data() + done, content.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "read", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  content.resize(done);
  return content;
}

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  ANEROID_ASSIGN(const auto opened, open_regular(path));
  const Descriptor file(opened.first);
  MappedFile mapped;
  mapped.size_ = opened.second;
  if (mapped.size_ == 0) return mapped;
  void* address =
      ::mmap(nullptr, mapped.size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (address == MAP_FAILED) {
    mapped.size_ = 0;
    return system_error(path, "map", errno);
  }
  mapped.data_ = static_cast<const std::byte*>(address);
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);  // NOLINT
  }
}

void FileSink::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()),
                         bytes.size()));
}

void FileSink::write(std::string_view text) {
  constexpr size_t kBufferSize = size_t{1} << 20;
  buffer_ += text;
  if (buffer_.size() >= kBufferSize) flush();
}

bool FileSink::flush() {
  size_t done = 0;
  while (error_ == 0 && done < buffer_.size()) {
    const ssize_t wrote =
        ::write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      error_ = errno;
    } else {
      done += static_cast<size_t>(wrote);
    }
  }
  buffer_.clear();
  return error_ == 0;
}

Status write_file_atomically(const std::filesystem::path& path,
                             const std::function<void(FileSink&)>& fill) {
  const std::filesystem::path temporary =
      fmt::format("{}.tmp-{}", path.string(), ::getpid());
  int error = 0;
  {
    const Descriptor file(::open(
        temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return system_error(path, "write", errno);
    FileSink sink(file.get());
    fill(sink);
    sink.flush();
    error = sink.error_number();
    if (error == 0 && ::fsync(file.get()) != 0) error = errno;
  }
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) {
    error = errno;
  }
  if (error != 0) {
    ::unlink(temporary.c_str());
    return system_error(path, "write", error);
  }
  const std::filesystem::path folder =
      path.has_parent_path() ? path.parent_path() : ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_CLOEXEC));
  // Some file systems cannot flush a folder; the rename itself has happened.
  if (directory.get() >= 0) ::fsync(directory.get());
  return {};
}

Status write_file_atomically(const std::filesystem::path& path,
                             std::string_view content) {
  return write_file_atomically(path,
                               [&](FileSink& sink) { sink.write(content); });
}

Status make_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return input_error(std::string(kLabel), path.string(),
                       "cannot make the folder: " + error.message());
  }
  return {};
}

Result<FolderLock> FolderLock::acquire(const std::filesystem::path& folder,
                                       int inherited) {
  const std::filesystem::path path = folder / "lock";
  struct stat wanted {};
  struct stat found {};
  if (inherited >= 0 && ::stat(path.c_str(), &wanted) == 0 &&
      ::fstat(inherited, &found) == 0 && found.st_dev == wanted.st_dev &&
      found.st_ino == wanted.st_ino) {
    // The lock belongs to the open file, not to the process: taking it again
    // succeeds at once.
    FolderLock lock(inherited);
    if (::flock(inherited, LOCK_EX | LOCK_NB) == 0 &&
        lock.survive_exec(false)) {
      return lock;
    }
  }
  const int descriptor =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return system_error(path, "write", errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    ::close(descriptor);
    if (number != EWOULDBLOCK) return system_error(path, "lock", number);
    return input_error("run.locked", folder.string(),
                       "another process is using this run folder; wait for "
                       "it, or choose another folder with --out");
  }
  return FolderLock(descriptor);
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

bool FolderLock::survive_exec(bool survive) {
  return ::fcntl(descriptor_, F_SETFD, survive ? 0 : FD_CLOEXEC) == 0;
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool is_utf8(std::string_view text, size_t* bad_offset) {
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    size_t length = 1;
    uint32_t code = lead;
    if (lead >= 0xF0 && lead <= 0xF4) {
      length = 4;
      code = lead & 0x07U;
    } else if (lead >= 0xE0 && lead < 0xF0) {
      length = 3;
      code = lead & 0x0FU;
    } else if (lead >= 0xC2 && lead < 0xE0) {
      length = 2;
      code = lead & 0x1FU;
    }
    bool good = lead < 0x80 || length > 1;
    good = good && i + length <= text.size();
    for (size_t k = 1; good && k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      good = (next & 0xC0U) == 0x80;
      code = (code << 6) | (next & 0x3FU);
    }
    constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    good = good && code >= kSmallest[length] && code <= 0x10FFFF &&
           (code < 0xD800 || code > 0xDFFF);
    if (!good) {
      if (bad_offset != nullptr) *bad_offset = i;
      return false;
    }
    i += length;
  }
  return true;
}

}  // namespace aneroid
