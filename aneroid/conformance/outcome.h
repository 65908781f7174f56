// What became of a row of a table, and how many rows of each sort there are.
#pragma once

#include <cstdint>
#include <string_view>

namespace aneroid::conformance {

enum class Outcome : uint8_t { kAgrees, kDisagrees, kNotJudged };
std::string_view name(Outcome outcome);  // "agrees"

struct Counts {
  int rows = 0;
  int agree = 0;
  int disagree = 0;
  int not_judged = 0;
  void add(Outcome outcome);
};

}  // namespace aneroid::conformance
