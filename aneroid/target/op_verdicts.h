// The vocabulary: whether the engine has a form of an op, on each path to it.
//
// Two measured passes over all ops stand behind it, Core ML's device report on
// M4 and an E5 sweep on M5; where both are silent the verdict is kUnknown. For
// raw programs nobody swept the vocabulary: the column says what the compiler
// did when called directly on M4 and M6, and otherwise follows the other two.
// A verdict is about the op; the limits of its operands are rules
// (target.h). Rule C072 refuses what is kRejected. Thread-safe.
#pragma once

#include <span>
#include <string_view>

#include "aneroid/target/target.h"

namespace aneroid::target {

enum class OpVerdict : uint8_t {
  kUnknown,     // never measured
  kNative,      // the engine has it
  kDecomposed,  // runs on the engine as other ops
  kFolded,      // gone before the engine is asked
  kRejected,    // refused, or left on the CPU by Core ML
};
std::string_view name(OpVerdict verdict);  // "native"

struct OpEntry {
  std::string_view op;
  std::string_view opsets;  // "ios15/ios17": where its form changed; "engine"
                            // for what only E5 names
  OpVerdict overall = OpVerdict::kUnknown;
  OpVerdict raw = OpVerdict::kUnknown;
  OpVerdict coreml = OpVerdict::kUnknown;
  OpVerdict e5 = OpVerdict::kUnknown;
  double e5_error = -1;         // largest relative error; -1: not compared
  std::string_view conditions;  // when the verdict holds
  std::string_view source;

  OpVerdict on(Path path) const;
};

// In alphabetical order.
std::span<const OpEntry> ops();
// Null when no source names the op.
const OpEntry* find_op(std::string_view name);

}  // namespace aneroid::target
