#include "aneroid/conformance/outcome.h"

#include <array>
#include <cstddef>

namespace aneroid::conformance {

std::string_view name(Outcome outcome) {
  constexpr std::array<std::string_view, 3> kNames = {"agrees", "disagrees",
                                                      "not judged"};
  return kNames[static_cast<size_t>(outcome)];
}

void Counts::add(Outcome outcome) {
  ++rows;
  switch (outcome) {
    case Outcome::kAgrees:
      ++agree;
      break;
    case Outcome::kDisagrees:
      ++disagree;
      break;
    case Outcome::kNotJudged:
      ++not_judged;
      break;
  }
}

}  // namespace aneroid::conformance
