// The catalogue as read from chips.json, which is part of the program. Private
// to this folder.
//
// Families hold what the chips of a generation share; a chip's own figure
// comes before its family's. A figure is [value, confidence, source], the
// source a key of "sources".
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/target/target.h"
#include "aneroid/target/timing.h"

namespace aneroid::target {

struct ChipsFile {
  std::vector<Chip> chips;
  std::vector<TimingParameters> timing;
  // What the views above look at; none of it moves.
  std::deque<std::string> strings;
  std::deque<std::vector<Figure>> figures;
  std::deque<std::vector<std::string_view>> names;
};

// Error ("chips.json"): not JSON, a key or value that is not understood, a
// source or timing class that is not listed.
Result<ChipsFile> parse_chips(std::string_view json);

// The embedded file, parsed once.
const ChipsFile& chips_file();

}  // namespace aneroid::target
