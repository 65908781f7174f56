#include "aneroid/runtime/runtime.h"

#include <fmt/format.h>

#include "aneroid/apple/apple.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/emulator/emulator.h"

namespace aneroid::runtime {

Result<std::unique_ptr<device::Device>> open_device(
    std::string_view name, const DeviceOptions& options,
    cpu::ThreadPool& pool) {
  if (name == "apple") return apple::open();
  if (name == "auto") {
    if (auto apple = apple::open()) return apple;
  } else if (name != "emulator") {
    return fail(ErrorKind::kUsage, "device", std::string(name),
                "unknown device: use emulator, apple or auto");
  }
  emulator::EmulatorOptions emulated;
  emulated.chip = options.chip;
  ANEROID_ASSIGN(emulated.numerics,
                 emulator::numerics_from_name(options.numerics));
  emulated.strict = options.strict;
  emulated.compile_budget = options.compile_budget;
  emulated.faithful_silent = options.faithful_silent;
  emulated.allow_reload = options.allow_reload;
  emulated.observe_products = options.observe_products;
  emulated.pool = &pool;
  return emulator::make_emulator(emulated);
}

std::vector<DeviceStatus> list_devices() {
  std::vector<DeviceStatus> devices;
  devices.push_back({"emulator", true,
                     fmt::format("software Neural Engine on this CPU ({})",
                                 cpu::simd_target())});
  const auto apple = apple::open();
  devices.push_back({"apple", apple.has_value(),
                     apple ? (*apple)->info().chip : apple.error().message});
  return devices;
}

}  // namespace aneroid::runtime
