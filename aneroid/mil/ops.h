// The op table: what ops exist, what they take, what they give. One row per op
// in ops.cpp; the builder, the verifier and the documentation read it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::mil {

// Sets of element types an input accepts.
enum class TypeClass : uint8_t {
  kFloat,       // fp16, fp32
  kFloatOrInt,  // fp16, fp32, int32
  kAny,         // any tensor
  kBool,
  kInt,  // int32; from ios17 also narrower integers
  kString,
  kQuantized,  // int8, uint8, int4, uint4
};

struct InputDef {
  std::string_view name;
  TypeClass types;
  bool optional = false;
  bool constant = false;  // must be known when compiling
  bool variadic = false;  // values = (a, b, c)
  // Inputs of one op with the same letter must have the same element type;
  // 0 for none.
  char same_as = 0;
};

// What type inference sees of one operation.
class InferContext;
using InferFunction = Result<std::vector<Type>> (*)(const InferContext&);

struct OpDef {
  std::string_view name;
  std::string_view group;  // "activation", "binary", "reduction", ...
  int first_opset;         // 15 for ios15
  std::vector<InputDef> inputs;
  InferFunction infer;
  std::string_view summary;  // one line of meaning
};

// All ops, by group, in the order of the documentation.
std::span<const OpDef> op_table();
// Null when the op is not in the table.
const OpDef* find_op(std::string_view name);

// Result types of an operation whose inputs are known to `symbols`. Errors are
// labelled as in verifier.h; their place is left empty.
Result<std::vector<Type>> infer_types(const Operation& operation,
                                      const Symbols& symbols);
// The same for the builder, which knows types and constants by itself.
using TypeLookup = std::function<const Type*(std::string_view name)>;
using ConstantLookup =
    std::function<const Value*(const Operation&, std::string_view input)>;
Result<std::vector<Type>> infer_types(const Operation& operation,
                                      const TypeLookup& type,
                                      const ConstantLookup& constant);

}  // namespace aneroid::mil
