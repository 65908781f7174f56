// The software Neural Engine: a device::Device on any CPU. It refuses what the
// chip refuses (target/), and computes by static plans.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/numerics/product_count.h"

namespace aneroid::emulator {

// Called in exact numerics after each matrix product of a run, with the
// program's name.
using ProductObserver = std::function<void(std::string_view program,
                                           const numerics::ProductCount&)>;

struct EmulatorOptions {
  std::string chip = "m4";
  Numerics numerics = Numerics::kFast;
  bool strict = false;       // contested rules count as well
  int compile_budget = 119;  // rule C090; 0 for no limit
  // Where the chip silently gives wrong numbers: give those, where they are
  // documented, instead of refusing.
  bool faithful_silent = false;
  // Imitate a device whose loaded programs take new weight files, as one
  // source reports; the catalogue says they are frozen (rule C082).
  bool allow_reload = false;
  // Do not compute what a causal mask makes zero; results are the same.
  bool leave_out_masked = true;
  ProductObserver observe_products = nullptr;  // counting costs time
  // Not owned; must outlive the device and its executables. The trainer
  // shares it, so that background work fills idle cores.
  cpu::ThreadPool* pool = nullptr;
};

// "reference", "fast" or "exact". Error: usage, with the names there are.
Result<Numerics> numerics_from_name(std::string_view name);
std::string_view name(Numerics numerics);

// Errors: unknown chip (usage).
Result<std::unique_ptr<device::Device>> make_emulator(
    const EmulatorOptions& options);

// A line per step of the plan of a compiled program, for people and tests.
// Null when the executable is not an emulated one.
const Plan* plan_of(const device::Executable& executable);

}  // namespace aneroid::emulator
