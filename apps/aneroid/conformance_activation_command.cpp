// aneroid conformance activation: an activation table as a curve.
#include "apps/aneroid/conformance_activation_command.h"

#include <cmath>
#include <string>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/conformance/arithmetic_statistics.h"
#include "aneroid/numerics/activation.h"

namespace aneroid::cli {
namespace {

struct ActivationOptions {
  std::string function;
  double low = -8;
  double high = 8;
};

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  names.reserve(numerics::kFunctions);
  for (int i = 0; i < numerics::kFunctions; ++i) {
    names.emplace_back(numerics::info(static_cast<numerics::Function>(i)).name);
  }
  return names;
}

Result<int> run_activation(const ActivationOptions& options) {
  const auto function = numerics::function_from_name(options.function);
  if (!function) {
    return usage_error(fmt::format("no table of '{}'", options.function));
  }
  if (!(options.low < options.high)) {
    return usage_error(fmt::format("--low {} is not below --high {}",
                                   options.low, options.high));
  }
  print("x,engine,exact,error\n");
  for (const double x : conformance::linear_grid(options.low, options.high)) {
    const double exact = conformance::exact_value(*function, x);
    const auto engine = static_cast<double>(
        to_float(numerics::activate(*function, to_half_even(x))));
    if (!std::isfinite(exact) || !std::isfinite(engine)) continue;
    print("{},{},{:.9g},{:.9g}\n", x, engine, exact, engine - exact);
  }
  return kGood;
}

}  // namespace

void setup_conformance_activation(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_activation);
  describe(command,
           "Writes CSV: what an activation table of the engine returns for "
           "every fp16 number of a range, the exact value (of inverse, 1 / x) "
           "and the difference.",
           "  aneroid conformance activation --function gelu > gelu.csv\n"
           "  aneroid conformance activation --function log --low 0.1 "
           "--high 10\n");
  const CLI::Range finite(-static_cast<double>(kHalfMax),
                          static_cast<double>(kHalfMax));
  command.add_option("--function", options->function, "the MIL operation")
      ->type_name("NAME")
      ->check(CLI::IsMember(function_names()))
      ->required();
  command.add_option("--low", options->low, "first argument")
      ->type_name("X")
      ->check(finite)
      ->capture_default_str();
  command.add_option("--high", options->high, "last argument")
      ->type_name("X")
      ->check(finite)
      ->capture_default_str();
}

}  // namespace aneroid::cli
