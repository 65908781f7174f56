#include "apps/aneroid/device_options.h"

#include <limits>

#include "apps/aneroid/options.h"

namespace aneroid::cli {

void add_device_options(CLI::App& command, DeviceFlags& flags) {
  command
      .add_option("--device", flags.device,
                  "where programs run: auto, emulator or apple")
      ->type_name("NAME")
      ->capture_default_str();
  add_chip_option(command, flags.options.chip)->capture_default_str();
  command
      .add_option("--numerics", flags.options.numerics,
                  "the emulator's arithmetic: fast (fp16 stored, fp32 summed), "
                  "reference (fp32) or exact (the engine's own)")
      ->type_name("NAME")
      ->capture_default_str();
  constexpr int kMostThreads = 1024;
  command
      .add_option("--threads", flags.threads,
                  "threads to compute with; 0 for all cores")
      ->type_name("N")
      ->check(CLI::Range(0, kMostThreads))
      ->capture_default_str();
  add_strict_option(command, flags.options.strict);
  command.add_flag("--faithful-silent", flags.options.faithful_silent,
                   "where the chip gives wrong numbers without an error, give "
                   "those instead of refusing");
  command.add_flag("--allow-reload", flags.options.allow_reload,
                   "let the emulator's loaded programs take new weights, "
                   "against rule C082: for --pipeline delta");
  command
      .add_option("--compile-budget", flags.options.compile_budget,
                  "programs one process may compile; 0 for no limit")
      ->type_name("N")
      ->check(CLI::Range(0, std::numeric_limits<int>::max()))
      ->capture_default_str();
}

Result<OpenedDevice> open_device(const DeviceFlags& flags) {
  OpenedDevice opened;
  opened.pool = std::make_unique<cpu::ThreadPool>(flags.threads);
  ANEROID_ASSIGN(opened.device, runtime::open_device(
                                    flags.device, flags.options, *opened.pool));
  return opened;
}

}  // namespace aneroid::cli
