#include "aneroid/model/json_text.h"

#include <set>

#include <fmt/format.h>

namespace aneroid::model {

Result<nlohmann::json> parse_json_object(std::string_view text,
                                         std::string_view label,
                                         std::string_view place) {
  using Event = nlohmann::json::parse_event_t;
  std::set<std::string> keys;
  std::string duplicate;
  bool too_deep = false;
  const auto watch = [&](int depth, Event event, nlohmann::json& parsed) {
    if (event == Event::object_start || event == Event::array_start) {
      // A refused container is still scanned, but no longer stored.
      too_deep = too_deep || depth >= kMaxJsonDepth;
      return depth < kMaxJsonDepth;
    }
    if (event == Event::key && depth == 1) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.insert(key).second) duplicate = key;
    }
    return true;
  };
  const auto error = [&](std::string message) {
    return input_error(std::string(label), std::string(place),
                       std::move(message));
  };
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(text, watch);
  } catch (const nlohmann::json::parse_error& e) {
    return error(fmt::format("is not valid JSON: stopped at byte {} of {}",
                             e.byte, text.size()));
  } catch (const nlohmann::json::exception&) {
    return error("holds a number that no double can represent");
  }
  if (too_deep) {
    return error(fmt::format("nests deeper than {} levels", kMaxJsonDepth));
  }
  if (!duplicate.empty()) {
    return error(fmt::format("has the key '{}' twice", duplicate));
  }
  if (!json.is_object()) {
    return error(fmt::format("must be a JSON object, is {} {}",
                             json.is_array() ? "an" : "a", json.type_name()));
  }
  return json;
}

std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string printable(std::string_view name) {
  constexpr size_t kMostBytes = 100;
  std::string text =
      nlohmann::json(name.substr(0, kMostBytes))
          .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (name.size() > kMostBytes) text += "...";
  return text;
}

}  // namespace aneroid::model
