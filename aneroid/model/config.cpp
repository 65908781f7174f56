#include "aneroid/model/config.h"

#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/model/embedded_presets.h"
#include "aneroid/model/json_text.h"
#include "aneroid/model/parameters.h"

namespace aneroid::model {
namespace {

constexpr std::string_view kLabel = "config";

// The limits keep every product of sizes, in elements or bytes, far inside
// int64_t, and lie well above any model that fits one machine.
struct SizeField {
  const char* key;
  int64_t ModelConfig::*member;
  int64_t limit;
  bool required;
};
constexpr std::array kSizes = {
    SizeField{"hidden_size", &ModelConfig::hidden_size, 1 << 16, true},
    SizeField{"intermediate_size", &ModelConfig::intermediate_size, 1 << 18,
              true},
    SizeField{"num_hidden_layers", &ModelConfig::num_hidden_layers, 1 << 10,
              true},
    SizeField{"num_attention_heads", &ModelConfig::num_attention_heads, 1 << 10,
              true},
    SizeField{"num_key_value_heads", &ModelConfig::num_key_value_heads, 1 << 10,
              false},
    SizeField{"head_dim", &ModelConfig::head_dim, 1 << 10, false},
    SizeField{"vocab_size", &ModelConfig::vocab_size, 1 << 21, true},
    SizeField{"max_position_embeddings", &ModelConfig::max_position_embeddings,
              1 << 24, true},
};
constexpr int64_t kMaxParameters = int64_t{1} << 34;
constexpr size_t kMaxNameBytes = 256;

struct RealField {
  const char* key;
  double ModelConfig::*member;
  double least;
  double most;
};
constexpr std::array kReals = {
    RealField{"rms_norm_eps", &ModelConfig::rms_norm_eps, 1e-30, 0.1},
    RealField{"rope_theta", &ModelConfig::rope_theta, 1.0, 1e12},
    RealField{"initializer_range", &ModelConfig::initializer_range, 1e-12, 10},
};

// Settings of other Llama descendants that change what the model computes.
// Absent, or as here, or the model is not one of ours.
struct FixedSetting {
  const char* key;
  const char* value;  // JSON
};
constexpr std::array kFixed = {
    FixedSetting{"model_type", "\"llama\""},
    FixedSetting{"hidden_act", "\"silu\""},
    FixedSetting{"attention_bias", "false"},
    FixedSetting{"mlp_bias", "false"},
};

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error(std::string(kLabel), std::move(place), std::move(message));
}

class Reader {
 public:
  Reader(const nlohmann::json& json, std::string_view place)
      : json_(json), place_(place) {}

  // Null counts as absent, as Hugging Face writes it.
  const nlohmann::json* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }

  Status integer(const SizeField& field, ModelConfig& config) const {
    const nlohmann::json* value = find(field.key);
    if (value == nullptr) {
      if (!field.required) return {};
      return error(
          at(field.key),
          fmt::format("is missing; give an integer from 1 to {}", field.limit));
    }
    if (!value->is_number_integer()) return wrong(field.key, "an integer");
    constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
    if (value->is_number_unsigned() && value->get<uint64_t>() > kMost) {
      return error(at(field.key), fmt::format("must be from 1 to {}, is {}",
                                              field.limit, json_text(*value)));
    }
    config.*field.member = value->get<int64_t>();
    return {};
  }

  Status real(const RealField& field, ModelConfig& config) const {
    const nlohmann::json* value = find(field.key);
    if (value == nullptr) return {};
    if (!value->is_number()) return wrong(field.key, "a number");
    config.*field.member = value->get<double>();
    return {};
  }

  Status fixed(const FixedSetting& setting) const {
    const nlohmann::json* value = find(setting.key);
    if (value == nullptr || *value == nlohmann::json::parse(setting.value)) {
      return {};
    }
    return error(at(setting.key), fmt::format("is {}; only {} is supported",
                                              brief(*value), setting.value));
  }

  // Rotary settings in the older (rope_scaling) and the newer spelling
  // (rope_parameters, which also holds rope_theta): only the plain kind.
  Status rope(const char* key, ModelConfig& config) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_object()) return wrong(key, "an object");
    const Reader inner(*value, at(key));
    for (const char* kind : {"rope_type", "type"}) {
      ANEROID_TRY(inner.fixed({kind, "\"default\""}));
    }
    return inner.real({"rope_theta", &ModelConfig::rope_theta, 0, 0}, config);
  }

  Status boolean(const char* key, bool& target) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_boolean()) return wrong(key, "true or false");
    target = value->get<bool>();
    return {};
  }

  Status text(const char* key, std::string& target) const {
    const nlohmann::json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) return wrong(key, "a string");
    target = value->get<std::string>();
    return {};
  }

 private:
  static std::string brief(const nlohmann::json& value) {
    std::string text = value.is_structured()
                           ? fmt::format("of type {}", value.type_name())
                           : json_text(value);
    if (text.size() > 60) text = "a long " + std::string(value.type_name());
    return text;
  }

  std::string at(const char* key) const {
    return fmt::format("{}: {}", place_, key);
  }

  tl::unexpected<Diagnostic> wrong(const char* key,
                                   std::string_view wanted) const {
    return error(at(key), fmt::format("must be {}, is {}", wanted,
                                      brief(json_.at(key))));
  }

  const nlohmann::json& json_;
  std::string place_;
};

}  // namespace

Status check(const ModelConfig& config) {
  for (const SizeField& field : kSizes) {
    const int64_t value = config.*field.member;
    if (value < 1 || value > field.limit) {
      return error(field.key, fmt::format("must be from 1 to {}, is {}",
                                          field.limit, value));
    }
  }
  for (const RealField& field : kReals) {
    const double value = config.*field.member;
    if (!std::isfinite(value) || value < field.least || value > field.most) {
      return error(field.key, fmt::format("must be from {} to {}, is {}",
                                          field.least, field.most, value));
    }
  }
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    return error(
        "num_key_value_heads",
        fmt::format("must divide num_attention_heads ({}), is {}",
                    config.num_attention_heads, config.num_key_value_heads));
  }
  if (config.head_dim % 2 != 0) {
    return error("head_dim",
                 fmt::format("must be even, because rotary embedding turns "
                             "pairs of channels; is {}",
                             config.head_dim));
  }
  if (config.name.size() > kMaxNameBytes || !is_utf8(config.name)) {
    return error("name", fmt::format("must be UTF-8 of at most {} bytes",
                                     kMaxNameBytes));
  }
  const int64_t parameters = parameter_count(config);
  if (parameters > kMaxParameters) {
    return error("num_hidden_layers",
                 fmt::format("the sizes make {} parameters; at most {} are "
                             "supported",
                             parameters, kMaxParameters));
  }
  return {};
}

Result<ModelConfig> config_from_json(const nlohmann::json& json,
                                     std::string_view place) {
  if (!json.is_object()) {
    return error(std::string(place), fmt::format("must be a JSON object, is "
                                                 "of type {}",
                                                 json.type_name()));
  }
  const Reader reader(json, place);
  ModelConfig config;
  for (const FixedSetting& setting : kFixed) ANEROID_TRY(reader.fixed(setting));
  for (const SizeField& field : kSizes) {
    ANEROID_TRY(reader.integer(field, config));
  }
  for (const RealField& field : kReals) ANEROID_TRY(reader.real(field, config));
  ANEROID_TRY(reader.rope("rope_scaling", config));
  ANEROID_TRY(reader.rope("rope_parameters", config));
  ANEROID_TRY(
      reader.boolean("tie_word_embeddings", config.tie_word_embeddings));
  ANEROID_TRY(reader.text("name", config.name));

  if (reader.find("num_key_value_heads") == nullptr) {
    config.num_key_value_heads = config.num_attention_heads;
  }
  if (reader.find("head_dim") == nullptr && config.num_attention_heads > 0) {
    if (config.hidden_size % config.num_attention_heads != 0) {
      return error(fmt::format("{}: head_dim", place),
                   fmt::format("is missing, and num_attention_heads ({}) does "
                               "not divide hidden_size ({})",
                               config.num_attention_heads, config.hidden_size));
    }
    config.head_dim = config.hidden_size / config.num_attention_heads;
  }
  if (Status good = check(config); !good) {
    good.error().place = fmt::format("{}: {}", place, good.error().place);
    return tl::unexpected(std::move(good).error());
  }
  return config;
}

nlohmann::json to_json(const ModelConfig& config) {
  nlohmann::json json = {{"name", config.name},
                         {"tie_word_embeddings", config.tie_word_embeddings}};
  for (const SizeField& field : kSizes) json[field.key] = config.*field.member;
  for (const RealField& field : kReals) json[field.key] = config.*field.member;
  return json;
}

Result<ModelConfig> load_config(const std::filesystem::path& path) {
  constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;
  ANEROID_ASSIGN(const std::string text, read_file(path, kMaxConfigBytes));
  ANEROID_ASSIGN(const nlohmann::json json,
                 parse_json_object(text, kLabel, path.string()));
  return config_from_json(json, path.string());
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_presets()) {
    names.emplace_back(file.name.substr(0, file.name.rfind('.')));
  }
  return names;
}

Result<ModelConfig> preset(std::string_view name) {
  for (const EmbeddedFile& file : embedded_presets()) {
    if (file.name.substr(0, file.name.rfind('.')) != name) continue;
    const std::string place = fmt::format("preset {}", name);
    ANEROID_ASSIGN(const nlohmann::json json,
                   parse_json_object(file.content, kLabel, place));
    return config_from_json(json, place);
  }
  return error(std::string(name),
               fmt::format("there is no such preset; choose one of {}",
                           fmt::join(preset_names(), ", ")));
}

}  // namespace aneroid::model
