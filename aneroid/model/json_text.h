// JSON from outside: parsed with a depth limit, duplicate keys refused.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"

namespace aneroid::model {

// Objects and arrays may nest this deep.
inline constexpr int kMaxJsonDepth = 64;

// The text must be one JSON object (UTF-8). Error (`label`, at `place`): not
// JSON (with the byte offset), nested too deep, a key twice in the outermost
// object, or not an object.
Result<nlohmann::json> parse_json_object(std::string_view text,
                                         std::string_view label,
                                         std::string_view place);

// Compact text. Bytes that are not UTF-8 become U+FFFD; never throws.
std::string json_text(const nlohmann::json& json);

// A name from a file, quoted for a message: control characters and what is
// not ASCII escaped, long names cut.
std::string printable(std::string_view name);

}  // namespace aneroid::model
