#include "aneroid/model/weights.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/model/blzt.h"
#include "aneroid/model/json_text.h"
#include "aneroid/model/llama2c.h"
#include "aneroid/model/metadata.h"
#include "aneroid/model/safetensors.h"
#include "aneroid/model/tensor_io.h"
#include "aneroid/model/used_ids.h"

namespace aneroid::model {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error("weights", std::move(place), std::move(message));
}

bool is_rotary(std::string_view role) {
  return role == "q_proj" || role == "k_proj";
}

void reorder_all(const std::vector<ParameterSpec>& table,
                 const ModelConfig& config, RopeLayout to, Weights& weights) {
  for (size_t i = 0; i < table.size(); ++i) {
    if (is_rotary(table[i].role)) {
      reorder_rope_rows(weights[i], config.head_dim, to);
    }
  }
}

// The file of a folder that load_model reads.
Result<fs::path> choose_file(const fs::path& folder) {
  for (const char* name : {"model.safetensors", "checkpoint.safetensors"}) {
    std::error_code ignored;
    if (fs::exists(folder / name, ignored)) return folder / name;
  }
  std::vector<fs::path> found;
  std::error_code failure;
  for (fs::directory_iterator at(folder, failure), end; !failure && at != end;
       at.increment(failure)) {
    if (at->path().extension() == ".safetensors") found.push_back(at->path());
  }
  if (failure) {
    return error(folder.string(),
                 "cannot list the folder: " + failure.message());
  }
  if (found.size() == 1) return found.front();
  return error(
      folder.string(),
      fmt::format("has no model.safetensors, and {} other *.safetensors "
                  "files; name the file to read (a model in several shards "
                  "must be merged into one file first)",
                  found.size()));
}

Result<ModelConfig> config_of(const SafetensorsFile& file,
                              const fs::path& path) {
  if (file.find_metadata(kConfigKey) != nullptr) {
    return config_from_metadata(file, path.string());
  }
  const fs::path beside = path.parent_path() / "config.json";
  std::error_code ignored;
  if (!fs::exists(beside, ignored)) {
    return error(path.string(),
                 "has no config in its metadata, and there is no config.json "
                 "beside it");
  }
  return load_config(beside);
}

Result<RopeLayout> layout_of(const SafetensorsFile& file,
                             std::string_view place) {
  const std::string* layout = file.find_metadata(kRopeLayoutKey);
  if (layout == nullptr || *layout == "half_split") {
    return RopeLayout::kHalfSplit;
  }
  if (*layout == kInterleavedLayout) return RopeLayout::kInterleaved;
  return error(std::string(place),
               fmt::format("metadata rope_layout is {}; it must be "
                           "interleaved or half_split",
                           printable(*layout)));
}

// Tensors that are no part of the model and change nothing.
bool is_ignored(const SafetensorsFile& file, const TensorView& tensor) {
  if (tensor.name.ends_with("rotary_emb.inv_freq")) return true;
  if (tensor.name.starts_with(kFirstMomentPrefix) ||
      tensor.name.starts_with(kSecondMomentPrefix)) {
    return true;
  }
  const TensorView* embedding = file.find("model.embed_tokens.weight");
  return tensor.name == "lm_head.weight" && embedding != nullptr &&
         std::ranges::equal(tensor.bytes, embedding->bytes);
}

Status check_nothing_else(const SafetensorsFile& file,
                          const std::vector<ParameterSpec>& table,
                          std::string_view place) {
  for (const TensorView& tensor : file.tensors()) {
    const bool known = std::ranges::any_of(
        table,
        [&](const ParameterSpec& row) { return row.name == tensor.name; });
    if (known || is_ignored(file, tensor)) continue;
    return error(
        fmt::format("{}: tensor {}", place, printable(tensor.name)),
        fmt::format("of shape {} is not part of the model that the config "
                    "describes; is it another architecture, are there more "
                    "layers, or is lm_head not tied",
                    to_string(tensor.shape)));
  }
  return {};
}

Result<LoadedModel> load_safetensors(const fs::path& path) {
  const std::string place = path.string();
  ANEROID_ASSIGN(const SafetensorsFile file, SafetensorsFile::open(path));
  LoadedModel model;
  ANEROID_ASSIGN(model.config, config_of(file, path));
  ANEROID_ASSIGN(const RopeLayout layout, layout_of(file, place));
  const std::vector<ParameterSpec> table = parameter_table(model.config);
  ANEROID_TRY(check_nothing_else(file, table, place));
  ANEROID_ASSIGN(model.weights, read_rows(file, table, "", place));
  if (layout == RopeLayout::kHalfSplit) {
    reorder_all(table, model.config, RopeLayout::kInterleaved, model.weights);
  }
  const std::string* format = file.find_metadata(kFormatKey);
  const std::string* state = file.find_metadata(kStateKey);
  if (state != nullptr && format != nullptr && *format == kCheckpointFormat) {
    ANEROID_ASSIGN(const nlohmann::json json,
                   parse_json_object(*state, "checkpoint", place));
    ANEROID_ASSIGN(model.used_ids,
                   used_ids_from_json(json, model.config.vocab_size, place));
  }
  return model;
}

Status write_weights(const fs::path& path, const ModelConfig& config,
                     const WeightViews& arrays, const Metadata& metadata) {
  std::vector<TensorView> tensors;
  append_rows(parameter_table(config), arrays, "", tensors);
  return write_safetensors(path, tensors, metadata);
}

}  // namespace

void reorder_rope_rows(Tensor& projection, int64_t head_dim, RopeLayout to) {
  const auto half = static_cast<size_t>(head_dim / 2);
  const auto columns = static_cast<size_t>(projection.shape.back());
  const size_t head_values = 2 * half * columns;
  std::vector<float> head(head_values);
  for (size_t at = 0; at + head_values <= projection.data.size();
       at += head_values) {
    float* rows = projection.data.data() + at;
    std::copy_n(rows, head_values, head.data());
    for (size_t row = 0; row < 2 * half; ++row) {
      const size_t split =
          row / 2 + (row % 2) * half;  // interleaved row's place
      const size_t from = to == RopeLayout::kInterleaved ? split : row;
      const size_t into = to == RopeLayout::kInterleaved ? row : split;
      std::copy_n(head.data() + from * columns, columns, rows + into * columns);
    }
  }
}

Result<LoadedModel> load_model(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    ANEROID_ASSIGN(const fs::path file, choose_file(path));
    return load_safetensors(file);
  }
  if (path.extension() == ".safetensors") return load_safetensors(path);
  ANEROID_ASSIGN(const bool forerunners, is_blzt(path));
  return forerunners ? load_blzt_weights(path) : load_llama2c(path);
}

Status save_safetensors(const fs::path& path, const ModelConfig& config,
                        const Weights& weights) {
  ANEROID_TRY(check_weights(config, weights, path.string()));
  return write_weights(path, config, views(weights),
                       {{kFormatKey, kWeightsFormat},
                        {kConfigKey, json_text(to_json(config))},
                        {kRopeLayoutKey, kInterleavedLayout}});
}

Status save_hugging_face(const fs::path& folder, const ModelConfig& config,
                         const Weights& weights) {
  ANEROID_TRY(check_weights(config, weights, folder.string()));
  ANEROID_TRY(make_folder(folder));
  // Only the reordered projections are copied.
  const std::vector<ParameterSpec> table = parameter_table(config);
  WeightViews arrays = views(weights);
  Weights reordered;
  reordered.reserve(table.size());
  for (size_t i = 0; i < table.size(); ++i) {
    if (!is_rotary(table[i].role)) continue;
    reordered.push_back(weights[i]);
    reorder_rope_rows(reordered.back(), config.head_dim,
                      RopeLayout::kHalfSplit);
    arrays[i] = reordered.back().data;
  }
  // Transformers accepts files only when they name a framework it knows.
  ANEROID_TRY(write_weights(folder / "model.safetensors", config, arrays,
                            {{kFormatKey, "pt"}}));
  nlohmann::json json = to_json(config);
  json.update({{"architectures", {"LlamaForCausalLM"}},
               {"model_type", "llama"},
               {"hidden_act", "silu"},
               {"attention_bias", false},
               {"attention_dropout", 0.0},
               {"mlp_bias", false},
               {"rope_scaling", nullptr},
               {"torch_dtype", "float32"},
               {"use_cache", true}});
  return write_file_atomically(folder / "config.json", json.dump(2) + "\n");
}

}  // namespace aneroid::model
