#include "apps/aneroid/predicted.h"

#include <fmt/format.h>

namespace aneroid::cli {

std::string predicted_line(const pipeline::PredictedStep& step) {
  int64_t calls = 0;
  for (const auto& program : step.programs) calls += program.calls;
  return fmt::format(
      "on {}: {:.1f} ms of engine per micro-step, {} calls ({}); weight "
      "gradients and optimizer, on the CPU, not counted",
      step.chip, step.engine_ms, calls, step.basis);
}

}  // namespace aneroid::cli
