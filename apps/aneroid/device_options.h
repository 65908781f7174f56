// The flags that choose a device, and the device they choose.
#pragma once

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/runtime/runtime.h"

namespace aneroid::cli {

// Which engine runs the programs, and how.
struct DeviceFlags {
  std::string device = "auto";  // "auto", "emulator", "apple"
  int threads = 0;              // 0: all cores
  runtime::DeviceOptions options;
};
// --device, --chip, --numerics, --threads, --strict,
// --faithful-silent, --compile-budget.
void add_device_options(CLI::App& command, DeviceFlags& flags);

// A device and the threads it computes with; the pool must go last.
struct OpenedDevice {
  std::unique_ptr<cpu::ThreadPool> pool;
  std::unique_ptr<device::Device> device;
};
// Errors: as runtime::open_device.
Result<OpenedDevice> open_device(const DeviceFlags& flags);

}  // namespace aneroid::cli
