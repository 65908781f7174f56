// aneroid conformance: tables of measurements against what this software
// knows.
#include "apps/aneroid/commands.h"
#include "apps/aneroid/conformance_acceptance_command.h"
#include "apps/aneroid/conformance_activation_command.h"
#include "apps/aneroid/conformance_arithmetic_command.h"

namespace aneroid::cli {

void setup_conformance(CLI::App& command, Action& chosen) {
  describe(command,
           "Checks the software engine against measurements of a real one, "
           "row by row: published ones, or your own of a chip you have. "
           "Predicted times are checked by 'aneroid bench timing'.",
           "  aneroid conformance arithmetic --table mac-fp16.csv\n"
           "  aneroid conformance acceptance --table acceptance.csv --json\n");
  static constexpr Command kParts[] = {
      {"Tables", "arithmetic", "What the engine computed",
       setup_conformance_arithmetic},
      {"Tables", "acceptance", "What the engine and its compilers accepted",
       setup_conformance_acceptance},
      {"Curves", "activation", "An activation table as a curve",
       setup_conformance_activation},
  };
  add_commands(command, kParts, chosen);
  command.require_subcommand(1);
}

}  // namespace aneroid::cli
