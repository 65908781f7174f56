#include "aneroid/pipeline/pipeline.h"

#include <algorithm>

namespace aneroid::pipeline {

void add_program(PredictedStep& step, std::string name, int64_t calls,
                 const device::PredictedTime& time) {
  const auto total = [](const PredictedStep::Program& program) {
    return program.call_ms * static_cast<double>(program.calls);
  };
  const PredictedStep::Program added{std::move(name), calls,
                                     time.microseconds / 1000};
  const bool costliest = std::ranges::all_of(
      step.programs, [&](const PredictedStep::Program& other) {
        return total(other) < total(added);
      });
  if (costliest) {
    step.chip = time.chip;
    step.basis = time.basis;
  }
  step.engine_ms += total(added);
  step.programs.push_back(added);
}

}  // namespace aneroid::pipeline
