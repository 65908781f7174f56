// aneroid convert: models between file formats.
#include <filesystem>
#include <string>

#include "aneroid/model/llama2c.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/weights.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using model::ModelConfig;
using model::Weights;

struct ModelFormat {
  const char* name;
  const char* extension;  // that means this format; "" for a folder
  const char* title;
  Status (*save)(const std::filesystem::path&, const ModelConfig&,
                 const Weights&);
};

constexpr ModelFormat kFormats[] = {
    {"llama2c", ".bin", "llama2.c, version 0", model::save_llama2c},
    {"safetensors", ".safetensors", "safetensors", model::save_safetensors},
    {"hf", "", "Hugging Face folder", model::save_hugging_face},
};

struct ConvertOptions {
  std::string input;
  std::string output;
  std::string to;
};

Result<const ModelFormat*> choose_format(const ConvertOptions& options) {
  const std::filesystem::path output(options.output);
  const std::string extension =
      std::filesystem::is_directory(output) ? "" : output.extension().string();
  for (const ModelFormat& format : kFormats) {
    if (options.to.empty() ? extension == format.extension
                           : options.to == format.name) {
      return &format;
    }
  }
  return usage_error(fmt::format(
      "cannot tell the format of '{}' from its extension; give --to llama2c, "
      "--to safetensors or --to hf",
      options.output));
}

Result<int> run_convert(const ConvertOptions& options) {
  ANEROID_ASSIGN(const ModelFormat* const format, choose_format(options));
  ANEROID_ASSIGN(const model::LoadedModel loaded,
                 model::load_model(options.input));
  const ModelConfig& config = loaded.config;
  ANEROID_TRY(format->save(options.output, config, loaded.weights));
  print("wrote {} ({})\n", options.output, format->title);
  print(
      "  {} parameters: {} layers, hidden size {}, {} heads ({} key/value), "
      "vocabulary {}\n",
      grouped(model::parameter_count(config)), config.num_hidden_layers,
      config.hidden_size, config.num_attention_heads,
      config.num_key_value_heads, config.vocab_size);
  return kGood;
}

}  // namespace

void setup_convert(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_convert);
  describe(command,
           "Reads a llama2.c .bin (version 0), a .safetensors file, a training "
           "checkpoint or a Hugging Face folder, checks every size and value, "
           "and writes the weights as fp32. The output's format follows its "
           "extension: .bin llama2.c, .safetensors safetensors, none a Hugging "
           "Face folder.",
           "  aneroid convert stories15M.bin stories15M.safetensors\n"
           "  aneroid convert runs/stories story-model --to hf\n");
  command.add_option("IN", options->input, "model to read")->required();
  command.add_option("OUT", options->output, "file or folder to write")
      ->required();
  command
      .add_option("--to", options->to,
                  "format to write: llama2c, safetensors or hf (default: by "
                  "the extension of OUT)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"llama2c", "safetensors", "hf"}));
}

}  // namespace aneroid::cli
