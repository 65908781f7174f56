#include "apps/aneroid/restart.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <unistd.h>
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

#include <fmt/format.h>

#include "apps/aneroid/interrupt.h"

namespace aneroid::cli {
namespace {

namespace fs = std::filesystem;

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

Status restart(const fs::path& folder, FolderLock& lock,
               std::vector<std::string> arguments) {
  if (!lock.survive_exec(true)) {
    return failed(folder, "keep the lock for the new process");
  }
  // Blocked and pending signals survive exec. One that was caught before is
  // raised again for the new process.
  const sigset_t blocked = interrupts();
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  if (interrupted()) ::kill(::getpid(), SIGINT);

  std::string name = "aneroid";
  arguments.insert(arguments.end(),
                   {"--restarted", std::to_string(lock.descriptor())});
  std::vector<char*> argv = {name.data()};
  for (std::string& word : arguments) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(nullptr);
  ::execv(own_program().c_str(), argv.data());

  auto error = failed(folder, "start the new process");
  lock.survive_exec(false);
  ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  return error;
}

void accept_interrupts() {
  catch_interrupts();
  const sigset_t blocked = interrupts();
  ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
}

}  // namespace aneroid::cli
