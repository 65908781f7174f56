// Continuing a run in a fresh process: the program executes itself, in place,
// with the run's folder locked throughout.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/file.h"

namespace aneroid::cli {

// The lock of a run's folder (FolderLock). A process that was executed by the
// holder inherits it, so that no other process can come between the two.
class RunLock {
 public:
  // Errors: those of FolderLock.
  static Result<RunLock> acquire(const std::filesystem::path& folder);
  RunLock(RunLock&& other) noexcept;
  RunLock& operator=(RunLock&&) = delete;
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

 private:
  explicit RunLock(FolderLock own) : own_(std::move(own)) {}
  explicit RunLock(int inherited) : inherited_(inherited) {}
  std::optional<FolderLock> own_;
  int inherited_ = -1;
};

// Replaces this process by `aneroid arguments...`, which inherits the lock of
// `folder`; returns only when that fails (error "run.restart"). Call it when no
// other thread runs. Ctrl-C from here on reaches the new process as soon as
// that calls accept_interrupts().
Status restart(const std::filesystem::path& folder,
               const std::vector<std::string>& arguments);

// In the new process: handles interrupts from now on, and those that came while
// the process was replaced.
void accept_interrupts();

}  // namespace aneroid::cli
