// aneroid convert: models between file formats.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "aneroid/model/blzt.h"
#include "aneroid/model/checkpoint.h"
#include "aneroid/model/llama2c.h"
#include "aneroid/model/metadata.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/tensor_io.h"
#include "aneroid/model/weights.h"
#include "aneroid/train/run.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

namespace fs = std::filesystem;
using model::Checkpoint;
using model::ModelConfig;

// What a conversion carries: moments and state are empty when the input, or
// the output's format, has none.
using Contents = Checkpoint;

Status save_llama2c(const fs::path& path, const Contents& contents) {
  return model::save_llama2c(path, contents.config, contents.weights);
}
Status save_safetensors(const fs::path& path, const Contents& contents) {
  return model::save_safetensors(path, contents.config, contents.weights);
}
Status save_hugging_face(const fs::path& path, const Contents& contents) {
  return model::save_hugging_face(path, contents.config, contents.weights);
}
Status save_checkpoint(const fs::path& path, const Contents& contents) {
  return model::save_checkpoint(
      path, {contents.config, model::views(contents.weights),
             model::views(contents.first_moments),
             model::views(contents.second_moments), contents.state});
}

// Of a run of ours, or of the import that the checkpoint came from.
Result<model::BlztProgress> progress_of(const nlohmann::json& state) {
  ANEROID_ASSIGN(model::BlztProgress progress, model::blzt_progress(state));
  if (const auto trainer = state.find("trainer"); trainer != state.end()) {
    ANEROID_ASSIGN(const auto ours, train::trainer_state_from_json(*trainer));
    constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
    progress.step = static_cast<int32_t>(std::min(ours.step, kMost));
    progress.adam_t = static_cast<int32_t>(std::min(ours.updates, kMost));
  }
  return progress;
}
Status save_blzt(const fs::path& path, const Contents& contents) {
  ANEROID_ASSIGN(const auto progress, progress_of(contents.state));
  return model::save_blzt(path, contents.config, model::views(contents.weights),
                          model::views(contents.first_moments),
                          model::views(contents.second_moments), progress);
}

struct ModelFormat {
  const char* name;
  const char* extension;  // that means this format; "" a folder, null none
  const char* title;
  bool holds_moments;
  Status (*save)(const fs::path&, const Contents&);
};

constexpr ModelFormat kFormats[] = {
    {"llama2c", ".bin", "llama2.c, version 0", false, save_llama2c},
    {"safetensors", ".safetensors", "safetensors", false, save_safetensors},
    {"hf", "", "Hugging Face folder", false, save_hugging_face},
    {"checkpoint", nullptr, "training checkpoint", true, save_checkpoint},
    {"blzt", nullptr, "the forerunners' checkpoint, version 4", true,
     save_blzt},
};

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const ModelFormat& format : kFormats) names.emplace_back(format.name);
  return names;
}

struct ConvertOptions {
  std::string input;
  std::string output;
  std::string to;
  bool fold_residual_scale = false;
};

Result<const ModelFormat*> choose_format(const ConvertOptions& options) {
  const fs::path output(options.output);
  const std::string extension =
      fs::is_directory(output) ? "" : output.extension().string();
  for (const ModelFormat& format : kFormats) {
    const bool chosen = options.to.empty() ? format.extension != nullptr &&
                                                 extension == format.extension
                                           : options.to == format.name;
    if (chosen) return &format;
  }
  return usage_error(fmt::format(
      "cannot tell the format of '{}' from its extension; give --to {}",
      options.output, fmt::join(format_names(), ", --to ")));
}

// The input, when it is one of our training checkpoints.
Result<bool> is_checkpoint(const fs::path& path) {
  if (path.extension() != ".safetensors") return false;
  ANEROID_ASSIGN(const auto file, model::SafetensorsFile::open(path));
  const std::string* format = file.find_metadata(model::kFormatKey);
  return format != nullptr && *format == model::kCheckpointFormat;
}

// With moments and state where the input has them.
Result<Contents> read_all(const fs::path& input) {
  std::error_code ignored;
  if (fs::is_directory(input, ignored)) {
    const fs::path checkpoint = train::checkpoint_path(input);
    if (fs::exists(checkpoint, ignored)) {
      return model::load_checkpoint(checkpoint);
    }
  } else {
    ANEROID_ASSIGN(const bool ours, is_checkpoint(input));
    if (ours) return model::load_checkpoint(input);
    ANEROID_ASSIGN(const bool forerunners, model::is_blzt(input));
    if (forerunners) return model::load_blzt(input);
  }
  ANEROID_ASSIGN(model::LoadedModel loaded, model::load_model(input));
  return Contents{std::move(loaded.config),
                  std::move(loaded.weights),
                  {},
                  {},
                  nlohmann::json::object()};
}

Result<Contents> read_input(const ConvertOptions& options,
                            const ModelFormat& format) {
  if (format.holds_moments) {
    ANEROID_ASSIGN(Contents contents, read_all(options.input));
    if (contents.first_moments.empty() && format.save == save_checkpoint) {
      return input_error("convert", options.input,
                         "holds weights alone; a training checkpoint needs the "
                         "optimizer's moments: use --to safetensors");
    }
    return contents;
  }
  ANEROID_ASSIGN(model::LoadedModel loaded, model::load_model(options.input));
  return Contents{
      std::move(loaded.config), std::move(loaded.weights), {}, {}, {}};
}

// Makes x + W a compute what x + W a / sqrt(2 layers) did.
void fold_residual_scale(const ModelConfig& config, model::Weights& weights) {
  const auto scale = static_cast<float>(
      1 / std::sqrt(2 * static_cast<double>(config.num_hidden_layers)));
  const auto table = model::parameter_table(config);
  for (size_t i = 0; i < table.size(); ++i) {
    if (table[i].role != "o_proj" && table[i].role != "down_proj") continue;
    for (float& value : weights[i].data) value *= scale;
  }
}

Result<int> run_convert(const ConvertOptions& options) {
  ANEROID_ASSIGN(const ModelFormat* const format, choose_format(options));
  if (options.fold_residual_scale && format->holds_moments) {
    return usage_error(
        fmt::format("--fold-residual-scale is for formats of "
                    "weights; moments would no longer fit, and "
                    "--to {} holds them",
                    format->name));
  }
  ANEROID_ASSIGN(Contents contents, read_input(options, *format));
  const ModelConfig& config = contents.config;
  if (options.fold_residual_scale) {
    fold_residual_scale(config, contents.weights);
  }
  ANEROID_TRY(format->save(options.output, contents));
  print("wrote {} ({})\n", options.output, format->title);
  print(
      "  {} parameters: {} layers, hidden size {}, {} heads ({} key/value), "
      "vocabulary {}\n",
      grouped(model::parameter_count(config)), config.num_hidden_layers,
      config.hidden_size, config.num_attention_heads,
      config.num_key_value_heads, config.vocab_size);
  if (format->holds_moments) {
    ANEROID_ASSIGN(const auto progress, progress_of(contents.state));
    print("  {}\n",
          contents.first_moments.empty()
              ? "moments of zero: the input had none"
              : fmt::format("both moments after {} updates", progress.adam_t));
  }
  return kGood;
}

}  // namespace

void setup_convert(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_convert);
  describe(command,
           "Reads a llama2.c .bin (version 0), a .safetensors file, a training "
           "checkpoint, a checkpoint of the forerunners (versions 2 and 4) or "
           "a Hugging Face folder, checks every size and value, and writes "
           "fp32. The output's format follows its extension: .bin llama2.c, "
           ".safetensors safetensors, none a Hugging Face folder. These hold "
           "weights; --to checkpoint and --to blzt keep the optimizer's "
           "moments and the number of updates as well.",
           "  aneroid convert stories15M.bin stories15M.safetensors\n"
           "  aneroid convert runs/stories story-model --to hf\n"
           "  aneroid convert ane_stories110M_ckpt.bin imported.safetensors "
           "--to checkpoint\n"
           "  aneroid convert runs/stories ckpt.bin --to blzt\n");
  command.add_option("IN", options->input, "model to read")->required();
  command.add_option("OUT", options->output, "file or folder to write")
      ->required();
  command
      .add_option("--to", options->to,
                  "format to write: llama2c, safetensors, hf, checkpoint or "
                  "blzt (default: by the extension of OUT)")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(format_names()));
  command.add_flag("--fold-residual-scale", options->fold_residual_scale,
                   "multiply o_proj and down_proj by 1/sqrt(2 layers), which "
                   "the forerunners' dynamic trainer does while it computes");
}

}  // namespace aneroid::cli
