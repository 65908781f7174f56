// Is a program well-formed MIL? Says nothing about any engine: that is
// target/rules.h.
#pragma once

#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::mil {

struct VerifyOptions {
  // Ops that the op table does not know are errors unless this is set.
  bool allow_unknown_ops = false;
};

// All findings, in program order; empty when the program is good. Labels:
// mil.ssa (defined twice, used before definition, output undefined),
// mil.op (unknown op, or not yet in the opset), mil.input (missing, unknown or
// duplicate input), mil.const (an input that must be constant is not), mil.type
// (element type not allowed or operands differ), mil.shape (shapes do not fit,
// declared type differs from the inferred one). The place is "file:line:column"
// for parsed programs and "op 'name'" for built ones, and "function 'name'" for
// what concerns parameters and results.
std::vector<Diagnostic> verify(const Program& program,
                               std::string_view file = "mil",
                               const VerifyOptions& options = {});

}  // namespace aneroid::mil
