// Which ids of its vocabulary a model was trained on, kept in a checkpoint's
// state: a hexadecimal digit for every four ids, the first in its highest bit.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/diagnostic.h"

namespace aneroid::model {

inline constexpr const char* kUsedIdsKey = "used_ids";

nlohmann::json used_ids_to_json(const std::vector<bool>& used);

// From state[kUsedIdsKey]; empty, which means all, when there is none. Error
// ("checkpoint"): not the digits of `vocab_size` ids, or none is used.
Result<std::vector<bool>> used_ids_from_json(const nlohmann::json& state,
                                             int64_t vocab_size,
                                             std::string_view place);

}  // namespace aneroid::model
