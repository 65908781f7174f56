#include "aneroid/suite/forecast.h"

namespace aneroid::suite {

Result<Forecast> forecast(std::span<const TestProgram> programs,
                          const target::Chip& chip, const Figure& figure) {
  target::TimingOptions options;
  options.path = figure.path;
  options.engines = figure.engines;
  options.typical = figure.statistic == Statistic::kTypical;
  options.caller_copies = figure.copies;
  Forecast result;
  double longest = 0;
  for (const TestProgram& program : programs) {
    ANEROID_ASSIGN(target::Prediction prediction,
                   target::predict(program.program, chip, options));
    result.microseconds += prediction.microseconds;
    result.task_microseconds += prediction.task_microseconds;
    if (prediction.microseconds > longest) {
      longest = prediction.microseconds;
      result.basis = prediction.basis;
    }
    result.programs.push_back({program.name, std::move(prediction)});
  }
  return result;
}

Status accepts(std::span<const TestProgram> programs, const target::Chip& chip,
               target::Path path) {
  for (const TestProgram& program : programs) {
    auto found = target::check(program.program, chip, path, {}, program.name);
    if (!found.empty()) return tl::unexpected(std::move(found.front()));
  }
  return {};
}

}  // namespace aneroid::suite
