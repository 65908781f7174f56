// Executes the steps of a plan.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/numerics/matrix.h"
#include "aneroid/numerics/product_count.h"

namespace aneroid::emulator {

// Memory a plan runs in; made once per executable.
struct RunMemory {
  std::vector<std::byte> arena;
  std::vector<float> fused_scratch;  // threads x plan.fused_scratch_floats
  cpu::GemmScratch gemm_scratch;
  numerics::MatrixScratch exact_scratch;  // exact numerics only
  std::function<void(const numerics::ProductCount&)> observe_products;
  std::vector<std::byte*> buffers;  // address of each buffer of the plan
};

// Sizes the memory and fills in every address but those of ports. The plan
// must outlive it.
RunMemory make_run_memory(Plan& plan, int threads);

// Runs all steps; the ports' addresses must be set. Errors ("emulator"): only
// from interpreted operations.
Status run_plan(const Plan& plan, RunMemory& memory, cpu::ThreadPool& pool);

}  // namespace aneroid::emulator
