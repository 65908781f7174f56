// One op in one form, and whether an engine takes it: what tables of measured
// acceptance list, one row each. A form becomes a program of that op alone, so
// that the rules of target.h judge it as they judge any program; the
// vocabulary (op_verdicts.h) decides what no rule refuses. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "aneroid/mil/ir.h"
#include "aneroid/target/target.h"

namespace aneroid::target {

struct OpForm {
  enum class From : uint8_t {
    kInput,       // of the program: known at run time
    kConstant,    // a weight
    kComparison,  // a bool that a comparison in the program computes
  };
  struct Operand {
    std::string name;  // as in MIL: "x"; one given twice is a tuple
    mil::Type type;
    From from = From::kInput;
  };

  std::string op;
  std::vector<Operand> operands;
  std::vector<mil::Named<mil::Value>> attributes;  // "strides", "pad_type"
  // Of the result; when it is not set: inferred, or else the first operand's.
  std::optional<mil::Type> result;
};

// The form as the only op of a function, comparisons aside. Attributes are
// constants of their own (rule C003).
mil::Program to_program(const OpForm& form);
// The type of the form's first result.
mil::Type result_type(const OpForm& form);

enum class Support : uint8_t {
  kUnknown,    // no source says
  kSupported,  // the engine takes it
  kFolded,     // decided while compiling: neither engine nor CPU runs it
  kRefused,    // the compile fails, or Core ML keeps it on the CPU
};
std::string_view name(Support support);  // "supported"

struct Judgement {
  Support support = Support::kUnknown;
  std::string decided_by;  // a rule's id, or "vocabulary"
  std::string reason;
  // The engine takes it, but compiling needs minutes and more than 8 GB: a
  // convolution kernel of 16x16 (C033).
  bool heavy = false;
};

// Whether it compiles and, on E5, runs. Rules of Phase::kSilent do not count:
// what gives wrong numbers was accepted.
Judgement judge(const OpForm& form, const Chip& chip, Path path,
                const CheckOptions& options = {});

}  // namespace aneroid::target
