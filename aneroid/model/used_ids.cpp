#include "aneroid/model/used_ids.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace aneroid::model {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr size_t kIdsPerDigit = 4;

}  // namespace

nlohmann::json used_ids_to_json(const std::vector<bool>& used) {
  std::string digits;
  for (size_t first = 0; first < used.size(); first += kIdsPerDigit) {
    size_t digit = 0;
    for (size_t i = first; i < first + kIdsPerDigit; ++i) {
      digit = 2 * digit + (i < used.size() && used[i] ? 1 : 0);
    }
    digits.push_back(kDigits[digit]);
  }
  return digits;
}

Result<std::vector<bool>> used_ids_from_json(const nlohmann::json& state,
                                             int64_t vocab_size,
                                             std::string_view place) {
  const auto found = state.find(kUsedIdsKey);
  if (found == state.end()) return std::vector<bool>();
  const auto size = static_cast<size_t>(vocab_size);
  const std::string digits =
      found->is_string() ? found->get<std::string>() : std::string();
  const bool sound =
      digits.size() == (size + kIdsPerDigit - 1) / kIdsPerDigit &&
      digits.find_first_not_of(kDigits) == std::string::npos;
  std::vector<bool> used(size, false);
  for (size_t id = 0; sound && id < size; ++id) {
    const size_t digit = kDigits.find(digits[id / kIdsPerDigit]);
    used[id] = (digit >> (kIdsPerDigit - 1 - id % kIdsPerDigit)) & 1;
  }
  if (std::ranges::find(used, true) == used.end()) {
    return input_error(
        "checkpoint", fmt::format("{}: state.{}", place, kUsedIdsKey),
        fmt::format("must be {} hexadecimal digits, one for "
                    "every {} ids, not all 0",
                    (size + kIdsPerDigit - 1) / kIdsPerDigit, kIdsPerDigit));
  }
  return used;
}

}  // namespace aneroid::model
