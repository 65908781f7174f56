// The software Neural Engine: a device::Device on any CPU. It refuses what the
// chip refuses (target/), and computes by static plans.
#pragma once

#include <memory>
#include <string>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

struct EmulatorOptions {
  std::string chip = "m4";
  Numerics numerics = Numerics::kFast;
  bool strict = false;       // contested rules count as well
  int compile_budget = 119;  // rule C090; 0 for no limit
  // Not owned; must outlive the device and its executables. The trainer
  // shares it, so that background work fills idle cores.
  cpu::ThreadPool* pool = nullptr;
};

// "reference" or "fast". Error: usage, with the names there are.
Result<Numerics> numerics_from_name(std::string_view name);
std::string_view name(Numerics numerics);

// Errors: unknown chip (usage).
Result<std::unique_ptr<device::Device>> make_emulator(
    const EmulatorOptions& options);

// A line per step of the plan of a compiled program, for people and tests.
// Null when the executable is not an emulated one.
const Plan* plan_of(const device::Executable& executable);

}  // namespace aneroid::emulator
