// The memory that plans run in, shared by all executables of a device: each
// run borrows one, so one serves them all unless runs overlap.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "aneroid/cpu/gemm.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::emulator {

// Contents do not outlive a run. The scratch of products grows when they run.
struct WorkingMemory {
  std::unique_ptr<std::byte[]> arena;
  size_t arena_bytes = 0;
  std::vector<float> fused_scratch;  // threads x plan.fused_scratch_floats
  cpu::GemmScratch gemm_scratch;
  numerics::MatrixScratch exact_scratch;  // exact numerics only
  std::vector<bool> claims;               // which of the plan's hold

  // Grows to what a plan needs.
  void fit(const Plan& plan, int threads);
};

// Thread-safe.
class MemoryPool {
 public:
  // Gives the memory back when destroyed; must not outlive the pool.
  class Lease {
   public:
    explicit Lease(MemoryPool& pool) : pool_(pool), memory_(pool.take()) {}
    ~Lease() { pool_.give(std::move(memory_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WorkingMemory& operator*() const { return *memory_; }

   private:
    MemoryPool& pool_;
    std::unique_ptr<WorkingMemory> memory_;
  };

  // Memories made so far: as many as there were runs at one time.
  int count() const;

 private:
  std::unique_ptr<WorkingMemory> take();
  void give(std::unique_ptr<WorkingMemory> memory);

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<WorkingMemory>> idle_;
  int count_ = 0;
};

}  // namespace aneroid::emulator
