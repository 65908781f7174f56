// What --model, --config and --tokenizer name.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/weights.h"
#include "aneroid/tokenizer/tokenizer.h"

namespace aneroid::cli {

// The config of a preset or of a config.json.
struct FreshModel {
  std::string preset;
  std::string config;  // path; wins over the preset
};
Result<model::ModelConfig> fresh_config(const FreshModel& source);

// True when `model` names a preset and no such file or folder exists.
bool is_preset(const std::string& model);

// Weights from a folder or file.
Result<model::LoadedModel> load_weights(const std::string& path);

// The tokenizer file named, or the one in the model's folder (tokenizer.json,
// tokenizer.model, tokenizer.bin), or beside the model's file. Error (usage):
// there is none; says how to name it.
Result<std::filesystem::path> tokenizer_path(const std::string& named,
                                             const std::string& model_path);
// The same, loaded.
Result<std::unique_ptr<tokenizer::Tokenizer>> find_tokenizer(
    const std::string& named, const std::string& model_path);

// The name a tokenizer's file has in a run folder, by its format.
std::filesystem::path tokenizer_file(const std::filesystem::path& folder,
                                     const tokenizer::Tokenizer& tokenizer);

}  // namespace aneroid::cli
