// What a chip would need for a row, predicted (target/timing.h).
#pragma once

#include <span>

#include "aneroid/base/diagnostic.h"
#include "aneroid/suite/figure.h"
#include "aneroid/suite/programs.h"
#include "aneroid/target/timing.h"

namespace aneroid::suite {

struct ProgramForecast {
  std::string name;
  target::Prediction prediction;
};
struct Forecast {
  double microseconds = 0;       // one call of each program
  double task_microseconds = 0;  // of which the engine
  target::Basis basis;           // of the program that takes longest
  std::vector<ProgramForecast> programs;
};

// Conditions as `figure` states them: path, statistic, copies, engines; its
// other fields do not matter. Error ("timing", no): the engine of the chip is
// not open to programs.
Result<Forecast> forecast(std::span<const TestProgram> programs,
                          const target::Chip& chip, const Figure& figure = {});

// The first rule that the chip would refuse one of the programs with.
Status accepts(std::span<const TestProgram> programs, const target::Chip& chip,
               target::Path path);

}  // namespace aneroid::suite
