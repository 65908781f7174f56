// The MIL program in memory: types, constants, operations, blocks.
//
// Plain values with structural equality; source locations do not count.
// Everything is named: an operation refers to values by name, as in the text.
// "Program" always means source; the compiled thing is device::Executable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "aneroid/base/dtype.h"

namespace aneroid::mil {

// 1-based; 0 when the node was built rather than parsed. Never compared.
struct SourceLocation {
  int line = 0;
  int column = 0;
  friend bool operator==(SourceLocation, SourceLocation) { return true; }
};

// A scalar is a rank-0 tensor: `int32` and `tensor<int32, []>` are one type.
struct Type {
  enum class Kind : uint8_t {
    kTensor,
    kList,          // args[0] the element; list_length
    kTuple,         // args
    kDict,          // args[0] key, args[1] value
    kState,         // args[0] the wrapped tensor
    kTensorBuffer,  // dtype, shape, and the named vectors below
  };
  Kind kind = Kind::kTensor;
  DataType dtype = DataType::kFp32;
  Shape shape;
  std::vector<Type> args;
  int64_t list_length = kUnknownDim;
  // kTensorBuffer only: strides=, interleave_factors= in the order written.
  std::vector<std::pair<std::string, Shape>> layout;

  friend bool operator==(const Type&, const Type&) = default;
};

inline Type tensor(DataType dtype, Shape shape) {
  Type type;
  type.dtype = dtype;
  type.shape = std::move(shape);
  return type;
}
inline Type scalar(DataType dtype) { return tensor(dtype, {}); }
bool is_scalar(const Type& type);

// `offset` is that of the 64-byte record, not of the bytes (blob/blob.h).
struct BlobRef {
  std::string path;
  uint64_t offset = 0;
  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};

// A constant: what MIL calls a value.
struct Value {
  // Elements row-major, little-endian, bytes(dtype) each (sub-byte types take
  // a whole byte in memory, bool one byte 0 or 1).
  using Bytes = std::vector<std::byte>;
  using Strings = std::vector<std::string>;
  // Items of a list or tuple; of a dict: key, value, key, value.
  using Items = std::vector<Value>;

  Type type;
  std::variant<Bytes, Strings, BlobRef, Items> data;

  friend bool operator==(const Value&, const Value&) = default;
};

Value bool_value(bool value);
Value string_value(std::string value);
Value int_value(int32_t value);
Value float_value(DataType dtype, double value);  // fp16 rounds ties to even
Value ints_value(const std::vector<int64_t>& values);  // tensor<int32, [n]>
Value bools_value(const std::vector<bool>& values);    // tensor<bool, [n]>
Value blob_value(Type type, std::string path, uint64_t offset);

// Elements of a numeric constant held in the program (not of a BlobRef);
// empty when it is something else.
std::vector<int64_t> as_ints(const Value& value);
std::vector<double> as_doubles(const Value& value);

// What an operation's input is bound to.
struct Argument;
using Arguments = std::vector<Argument>;
struct Ref {
  std::string name;
  friend bool operator==(const Ref&, const Ref&) = default;
};
struct Argument {
  std::variant<Ref, Value, Arguments> bound;  // a name, a literal, (a, b, c)
  friend bool operator==(const Argument&, const Argument&) = default;
};
inline Argument ref(std::string name) { return {Ref{std::move(name)}}; }

template <typename T>
using Named = std::pair<std::string, T>;

// A typed name: an operation's result or a function's parameter.
struct Var {
  std::string name;
  Type type;
  friend bool operator==(const Var&, const Var&) = default;
};

struct Parameter {
  Var var;
  std::vector<Named<Value>> attributes;
  friend bool operator==(const Parameter&, const Parameter&) = default;
};

struct Operation;

struct Block {
  std::string label;  // the optional word before a nested block
  std::vector<Parameter> inputs;
  std::vector<Operation> operations;
  std::vector<std::string> outputs;
  friend bool operator==(const Block&, const Block&);
};

struct Operation {
  std::string op;                        // "conv"
  std::string opset;                     // of op<ios17>(...); else empty
  std::vector<Named<Argument>> inputs;   // sorted by name
  std::vector<Named<Value>> attributes;  // sorted by name; const: name, val
  std::vector<Var> outputs;
  std::vector<Block> blocks;
  SourceLocation location;

  const Argument* input(std::string_view name) const;   // null when absent
  const Value* attribute(std::string_view name) const;  // null when absent
  // const and constexpr_*: the results are known when compiling, and operands
  // may be attributes instead of inputs.
  bool is_constant() const;
  friend bool operator==(const Operation&, const Operation&) = default;
};

inline bool operator==(const Block& a, const Block& b) {
  return a.label == b.label && a.inputs == b.inputs &&
         a.operations == b.operations && a.outputs == b.outputs;
}

struct Function {
  std::string name = "main";
  std::string opset = "ios18";
  std::vector<Named<Value>> attributes;
  Block body;  // body.inputs are the function's parameters
  friend bool operator==(const Function&, const Function&) = default;
};

// How scalars are spelt; see docs/spec/mil.md.
enum class Dialect : uint8_t {
  kTensorScalars,  // program(1.0): tensor<int32, []>(1)
  kPlainScalars,   // program(1.3): int32(1)
};

struct Program {
  int version_major = 1;
  int version_minor = 3;
  Dialect dialect = Dialect::kPlainScalars;
  std::vector<Named<Value>> attributes;  // buildInfo
  std::vector<Function> functions;

  const Function* function(std::string_view name = "main") const;
  friend bool operator==(const Program&, const Program&) = default;
};

// What every name of a function stands for, found once. Borrows the function.
// Nested blocks are included; thread-safe after construction.
class Symbols {
 public:
  explicit Symbols(const Function& function);

  // Null when the name is not defined.
  const Type* type(std::string_view name) const;
  // The operation that defines the name; null for parameters.
  const Operation* definition(std::string_view name) const;
  // The constant behind an input: a literal, or the `val` of the const op it
  // names; for const and constexpr ops also an attribute. Null when absent or
  // not constant.
  const Value* constant(const Operation& operation,
                        std::string_view input) const;
  // Shorthands over constant(): the first element, or the default.
  int64_t int_or(const Operation& operation, std::string_view input,
                 int64_t otherwise) const;
  bool bool_or(const Operation& operation, std::string_view input,
               bool otherwise) const;
  double double_or(const Operation& operation, std::string_view input,
                   double otherwise) const;
  std::string string_or(const Operation& operation, std::string_view input,
                        std::string_view otherwise) const;
  // All elements, or the default.
  std::vector<int64_t> ints_or(const Operation& operation,
                               std::string_view input,
                               std::vector<int64_t> otherwise) const;

 private:
  struct Entry {
    std::string_view name;
    const Type* type;
    const Operation* definition;
  };
  const Entry* find(std::string_view name) const;
  void add(const Block& block);
  std::vector<Entry> entries_;  // sorted by name
};

}  // namespace aneroid::mil
