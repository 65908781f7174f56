#include "apps/aneroid/model_source.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "apps/aneroid/common.h"

namespace aneroid::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array kTokenizerFiles = {"tokenizer.json", "tokenizer.model",
                                        "tokenizer.bin"};

}  // namespace

bool is_preset(const std::string& model) {
  std::error_code ignored;
  const std::vector<std::string> names = model::preset_names();
  return !fs::exists(model, ignored) &&
         std::find(names.begin(), names.end(), model) != names.end();
}

Result<model::ModelConfig> fresh_config(const FreshModel& source) {
  if (!source.config.empty()) return model::load_config(source.config);
  return model::preset(source.preset);
}

Result<model::LoadedModel> load_weights(const std::string& path) {
  if (is_preset(path)) {
    return usage_error(fmt::format(
        "'{}' is a preset: a shape without weights. Name a run folder or a "
        "file of weights",
        path));
  }
  return model::load_model(path);
}

Result<fs::path> tokenizer_path(const std::string& named,
                                const std::string& model_path) {
  if (!named.empty()) return fs::path(named);
  std::error_code ignored;
  const fs::path model(model_path);
  const fs::path folder =
      fs::is_directory(model, ignored) ? model : model.parent_path();
  for (const char* name : kTokenizerFiles) {
    if (fs::exists(folder / name, ignored)) return folder / name;
  }
  return usage_error(fmt::format(
      "no tokenizer in '{}': name the model's with --tokenizer FILE",
      folder.empty() ? "." : folder.string()));
}

Result<std::unique_ptr<tokenizer::Tokenizer>> find_tokenizer(
    const std::string& named, const std::string& model_path) {
  ANEROID_ASSIGN(const fs::path path, tokenizer_path(named, model_path));
  return tokenizer::load_tokenizer(path);
}

fs::path tokenizer_file(const fs::path& folder,
                        const tokenizer::Tokenizer& tokenizer) {
  const std::string_view format = tokenizer.format();
  return folder / (format == "aneroid-bpe"     ? kTokenizerFiles[0]
                   : format == "sentencepiece" ? kTokenizerFiles[1]
                                               : kTokenizerFiles[2]);
}

}  // namespace aneroid::cli
