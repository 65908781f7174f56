#include "apps/aneroid/restart.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include <fmt/format.h>

#include "apps/aneroid/interrupt.h"

namespace aneroid::cli {
namespace {

namespace fs = std::filesystem;

// Descriptors are handed out from below; a process like ours has a few dozen.
constexpr int kMostDescriptors = 4096;

// The open descriptor of `<folder>/lock`, or -1. Found by what it refers to, so
// that nothing about it needs to be passed through exec.
int lock_descriptor(const fs::path& folder) {
  struct stat wanted {};
  if (::stat((folder / "lock").c_str(), &wanted) != 0) return -1;
  for (int fd = STDERR_FILENO + 1; fd < kMostDescriptors; ++fd) {
    struct stat found {};
    if (::fstat(fd, &found) == 0 && found.st_dev == wanted.st_dev &&
        found.st_ino == wanted.st_ino) {
      return fd;
    }
  }
  return -1;
}

bool set_close_on_exec(int descriptor, bool close) {
  return ::fcntl(descriptor, F_SETFD, close ? FD_CLOEXEC : 0) == 0;
}

std::string own_program() {
#if defined(__APPLE__)
  uint32_t size = 0;
  _NSGetExecutablePath(nullptr, &size);
  std::string path(size, '\0');
  _NSGetExecutablePath(path.data(), &size);
  return path.c_str();
#else
  return "/proc/self/exe";  // also when the file was replaced meanwhile
#endif
}

sigset_t interrupts() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

tl::unexpected<Diagnostic> failed(const fs::path& folder, const char* what) {
  const int number = errno;
  return fail(ErrorKind::kDevice, "run.restart", folder.string(),
              fmt::format("cannot {}: {}; the checkpoint is whole, continue "
                          "with aneroid train --out {} --resume",
                          what, std::strerror(number),  // NOLINT
                          folder.string()));
}

}  // namespace

Result<RunLock> RunLock::acquire(const fs::path& folder) {
  const int inherited = lock_descriptor(folder);
  // The lock belongs to the open file, not to the process: taking it again
  // succeeds at once.
  if (inherited >= 0 && ::flock(inherited, LOCK_EX | LOCK_NB) == 0) {
    set_close_on_exec(inherited, true);
    return RunLock(inherited);
  }
  ANEROID_ASSIGN(FolderLock own, FolderLock::acquire(folder));
  return RunLock(std::move(own));
}

RunLock::RunLock(RunLock&& other) noexcept
    : own_(std::move(other.own_)),
      inherited_(std::exchange(other.inherited_, -1)) {}

RunLock::~RunLock() {
  if (inherited_ >= 0) ::close(inherited_);
}

Status restart(const fs::path& folder,
               const std::vector<std::string>& arguments) {
  const int lock = lock_descriptor(folder);
  if (lock < 0 || !set_close_on_exec(lock, false)) {
    return failed(folder, "keep the lock for the new process");
  }
  // Blocked and pending signals survive exec. One that was caught before is
  // raised again for the new process.
  const sigset_t blocked = interrupts();
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  if (interrupted()) ::kill(::getpid(), SIGINT);

  std::string name = "aneroid";
  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {name.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(nullptr);
  ::execv(own_program().c_str(), argv.data());

  auto error = failed(folder, "start the new process");
  set_close_on_exec(lock, true);
  ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  return error;
}

void accept_interrupts() {
  catch_interrupts();
  const sigset_t blocked = interrupts();
  ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
}

}  // namespace aneroid::cli
