// What the commands that judge tables share.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "aneroid/conformance/outcome.h"

namespace aneroid::cli {

inline constexpr uint64_t kLongestTable = uint64_t{1} << 28;  // bytes

inline nlohmann::ordered_json counts_json(const conformance::Counts& counts) {
  return {{"rows", counts.rows},
          {"agree", counts.agree},
          {"disagree", counts.disagree},
          {"not_judged", counts.not_judged}};
}

}  // namespace aneroid::cli
