// The command `aneroid`: a table of subcommands and nothing else.
#include "apps/aneroid/commands.h"
#include "apps/aneroid/common.h"

namespace {

using namespace aneroid::cli;

constexpr const char* kModels = "Models";
constexpr const char* kText = "Text";
constexpr const char* kEngine = "Engine";

// In the order of the overview.
constexpr Command kCommands[] = {
    {kModels, "train", "Train a model, from scratch or further", setup_train},
    {kModels, "generate", "Write text with a model", setup_generate},
    {kModels, "eval", "Measure how well a model predicts a text", setup_eval},
    {kModels, "convert", "Convert between model file formats", setup_convert},
    {kText, "data", "Text, tokenizers and token shards", setup_data},
    {kEngine, "devices", "Devices present, chips known, their rules",
     setup_devices},
    {kEngine, "bench", "Measure training steps and kernels", setup_bench},
    {kEngine, "conformance", "Check the engine against tables of measurements",
     setup_conformance},
    {kEngine, "mil", "Format and verify MIL programs", setup_mil},
};

}  // namespace

int main(int argc, char** argv) {
  return run_command_line(kCommands, argc, argv);
}
