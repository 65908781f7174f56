// Continuing a run in a fresh process: the program executes itself, in place,
// with the run's folder locked throughout.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/file.h"

namespace aneroid::cli {

// Replaces this process by `aneroid arguments...`, which inherits the lock of
// `folder` under the number that is added as `--restarted`; returns only when
// that fails (error "run.restart"). Call it when no other thread runs. Ctrl-C
// from here on reaches the new process as soon as that calls
// accept_interrupts().
Status restart(const std::filesystem::path& folder, FolderLock& lock,
               std::vector<std::string> arguments);

// In the new process: handles interrupts from now on, and those that came while
// the process was replaced.
void accept_interrupts();

}  // namespace aneroid::cli
