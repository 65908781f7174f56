// Running a row's programs on a device, and what that took.
#pragma once

#include <atomic>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"
#include "aneroid/suite/programs.h"

namespace aneroid::suite {

struct Measured {
  double best_us = 0;  // of all programs, one call each
  double median_us = 0;
  int64_t samples = 0;  // rounds after one that warms up
  double compile_us = 0;
};

struct MeasureOptions {
  int64_t iterations = 5;
  // Ends after the round that passes this, with fewer samples.
  double seconds = 10;
  const std::atomic<bool>* interrupt = nullptr;  // ends early, with an error
};

// Compiles the programs, fills surfaces with random numbers, and times calls
// one after another. Errors: the device's; "bench.interrupted" (no).
Result<Measured> measure(device::Device& device,
                         std::span<const TestProgram> programs,
                         const MeasureOptions& options);

}  // namespace aneroid::suite
