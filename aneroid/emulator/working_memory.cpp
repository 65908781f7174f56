#include "aneroid/emulator/working_memory.h"

#include <algorithm>
#include <utility>

namespace aneroid::emulator {

void WorkingMemory::fit(const Plan& plan, int threads) {
  if (arena_bytes < plan.arena_bytes) {
    arena.reset();
    arena = std::make_unique_for_overwrite<std::byte[]>(plan.arena_bytes);
    arena_bytes = plan.arena_bytes;
  }
  const size_t floats =
      static_cast<size_t>(threads) * plan.fused_scratch_floats;
  if (fused_scratch.size() < floats) fused_scratch.resize(floats);
  claims.assign(static_cast<size_t>(plan.claims), false);
}

int MemoryPool::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

std::unique_ptr<WorkingMemory> MemoryPool::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) {
    ++count_;
    idle_.reserve(static_cast<size_t>(count_));  // give() must not throw
    return std::make_unique<WorkingMemory>();
  }
  std::unique_ptr<WorkingMemory> memory = std::move(idle_.back());
  idle_.pop_back();
  return memory;
}

void MemoryPool::give(std::unique_ptr<WorkingMemory> memory) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(memory));
}

}  // namespace aneroid::emulator
