// Opens a device by name: the only library that knows the concrete ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/emulator.h"

namespace aneroid::runtime {

struct DeviceOptions {
  std::string chip = "m4";        // what the emulator imitates
  std::string numerics = "fast";  // "reference", "fast" or "exact"
  bool strict = false;            // contested rules refuse as well
  int compile_budget = 119;       // 0: no limit
  bool faithful_silent = false;   // documented wrong results, not refusals
  bool allow_reload = false;      // emulator: imitate a device that reloads
  // Emulator in exact numerics: told of each matrix product.
  emulator::ProductObserver observe_products = nullptr;
};

// `name`: "emulator", "apple", or "auto" (apple where there is one, else the
// emulator). The pool must outlive the device. Errors: unknown names (usage);
// "apple" where there is none (device), saying why.
Result<std::unique_ptr<device::Device>> open_device(
    std::string_view name, const DeviceOptions& options, cpu::ThreadPool& pool);

// What `aneroid devices` lists.
struct DeviceStatus {
  std::string name;
  bool available = false;
  std::string detail;  // what it is, or why it is not available
};
std::vector<DeviceStatus> list_devices();

}  // namespace aneroid::runtime
