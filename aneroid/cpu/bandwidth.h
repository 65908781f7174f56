// How fast this computer reads memory: the bound of everything that streams
// weights, to be measured beside it, as it changes from second to second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

// Thread-compatible.
class ReadProbe {
 public:
  // Large against any cache, so that nothing of it is left from the last time.
  static constexpr size_t kBytes = size_t{512} << 20;

  // Fills a buffer of `bytes`. The pool must go last.
  explicit ReadProbe(ThreadPool& pool, size_t bytes = kBytes);

  size_t bytes() const { return words_.size() * sizeof(uint64_t); }
  // Reads all of it once with all threads. Returns the seconds it took.
  double measure();
  // All words of the buffer xor-ed by the last measure(), which proves that it
  // was read.
  uint64_t parity() const { return parity_; }

 private:
  ThreadPool& pool_;
  std::vector<uint64_t> words_;
  std::vector<uint64_t> parities_;  // per piece
  uint64_t parity_ = 0;
};

}  // namespace aneroid::cpu
