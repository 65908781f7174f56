// Executes the steps of a plan.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/emulator/working_memory.h"
#include "aneroid/numerics/product_count.h"

namespace aneroid::emulator {

// What one run of a plan works on.
struct RunContext {
  WorkingMemory& memory;                // fit for the plan
  std::span<std::byte* const> buffers;  // address of each buffer of the plan
  cpu::ThreadPool& pool;
  // Exact numerics only; may be empty.
  const std::function<void(const numerics::ProductCount&)>& observe_products;
};

// Runs all steps. Errors ("emulator"): only from interpreted operations.
Status run_plan(const Plan& plan, const RunContext& context);

}  // namespace aneroid::emulator
