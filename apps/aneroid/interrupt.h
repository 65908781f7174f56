// Ctrl-C that lets long work end in order.
#pragma once

#include <atomic>

namespace aneroid::cli {

// From now on SIGINT and SIGTERM only raise a flag, which long work polls; a
// second one ends the process at once with 128 + its number (130 for Ctrl-C).
// Commands that do not poll leave signals as they are.
void catch_interrupts();

// Lock-free; stays raised.
const std::atomic<bool>& interrupt_flag();
inline bool interrupted() {
  return interrupt_flag().load(std::memory_order_relaxed);
}

}  // namespace aneroid::cli
