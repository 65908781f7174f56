#include "aneroid/model/metadata.h"

#include <fmt/format.h>

#include "aneroid/model/json_text.h"

namespace aneroid::model {

Result<ModelConfig> config_from_metadata(const SafetensorsFile& file,
                                         std::string_view place) {
  const std::string* text = file.find_metadata(kConfigKey);
  if (text == nullptr) {
    return input_error("weights", std::string(place),
                       "has no config in its metadata");
  }
  const std::string here = fmt::format("{}: metadata config", place);
  ANEROID_ASSIGN(const nlohmann::json json,
                 parse_json_object(*text, "config", here));
  return config_from_json(json, here);
}

}  // namespace aneroid::model
