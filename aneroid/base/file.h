// Files: whole reads with a limit, read-only maps, and replacement that
// survives a crash at any moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "aneroid/base/diagnostic.h"

namespace aneroid {

// Reads a whole regular file. Errors ("file"): missing, a folder, unreadable,
// larger than `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path,
                              uint64_t limit = uint64_t{1} << 32);

// A read-only memory map of a whole file. Movable; unmaps when destroyed.
// The bytes stay valid while the object lives; if another process truncates
// the file meanwhile, the system may raise SIGBUS.
class MappedFile {
 public:
  // Errors ("file"): missing, a folder, unreadable. An empty file maps to an
  // empty span.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Where write_file_atomically's callback puts its bytes. Buffered.
class FileSink {
 public:
  explicit FileSink(int descriptor) : descriptor_(descriptor) {}
  // Never throws; the first failure (a full disk) is kept and later calls do
  // nothing.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  bool flush();
  int error_number() const { return error_; }

 private:
  int descriptor_;
  int error_ = 0;
  std::string buffer_;
};

// Writes to "<path>.tmp-<pid>", flushes to the disk (fsync), renames over
// `path` and flushes the folder, so that a reader sees the old file or the new
// one, never a part. On failure the temporary file is removed, `path` is as
// it was, and the error ("file") names the cause: read-only, disk full.
Status write_file_atomically(const std::filesystem::path& path,
                             const std::function<void(FileSink&)>& fill);
Status write_file_atomically(const std::filesystem::path& path,
                             std::string_view content);

// Creates a folder and its parents. Error ("file") when it cannot.
Status make_folder(const std::filesystem::path& path);

// An exclusive lock on `<folder>/lock`, held until destroyed and released by
// the system when the process dies. Error ("run.locked") when another process
// holds it.
class FolderLock {
 public:
  // `inherited` is the descriptor() of the lock in the process that executed
  // this one, after survive_exec(true) there; anything else is not used.
  static Result<FolderLock> acquire(const std::filesystem::path& folder,
                                    int inherited = -1);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&&) = delete;
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  int descriptor() const { return descriptor_; }
  // Whether a program that this process executes in its place keeps the lock:
  // false at first. Returns false when the system refuses.
  bool survive_exec(bool survive);

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

// True when the bytes are valid UTF-8 (no overlong forms, no surrogates).
// Otherwise *bad_offset, when given, is where the first bad sequence starts.
bool is_utf8(std::string_view text, size_t* bad_offset = nullptr);

}  // namespace aneroid
