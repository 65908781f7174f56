// MIL text: parser and printer.
#pragma once

#include <string>
#include <string_view>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::mil {

// Parses the three dialects of docs/spec/mil.md. Never crashes on any bytes:
// nesting, counts and lengths are limited. Errors ("mil.parse") carry
// "file:line:column" as their place; `file` is only used for that.
// Unknown ops and attributes are kept: the verifier judges them.
Result<Program> parse(std::string_view text, std::string_view file = "mil");

// parse(print(p)) == p for every program that parse or Builder can make.
// Arguments and attributes are printed sorted by name, const values in the
// program's dialect, floats as hex floats.
std::string print(const Program& program);
std::string print(const Type& type, Dialect dialect = Dialect::kPlainScalars);

}  // namespace aneroid::mil
