// Builds MIL programs with type inference, so that a mistake is found here,
// with its place, rather than in a compiler that says only "failed".
//
//   Builder b;
//   Var x = b.input("x", tensor(DataType::kFp16, {1, 64, 1, 32}));
//   Var y = b.mul(x, b.fp16(0.125));
//   Result<Program> program = b.finish({{"y", y}});
//
// Errors stick: after the first one every call returns a placeholder and
// finish() returns that error, whose labels are those of verifier.h and whose
// place is the operation's name. Constants are own statements with equal ones
// shared (rule C003), names are unique and never among the words of C006. Not
// thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::mil {

class Builder {
 public:
  // Writes `program(1.3)`, `main<ios18>` and the buildInfo block that the raw
  // path requires (rule C001).
  Builder();

  Var input(std::string name, Type type);

  // Constants. `hint` is used for the name.
  Var constant(Value value, std::string_view hint = "const");
  Var fp16(double value);
  // A weight file in which `path` ("@model_path/weights/mask.bin") holds one
  // blob, whose record is at byte 64.
  Var weight(std::string_view hint, Type type, std::string path,
             uint64_t offset = 64);

  // Any op of the table (mil/ops.h) with one result. Arguments that the op
  // wants constant may be given as Values; they become const statements.
  using Input = std::variant<Var, std::vector<Var>, Value>;
  Var op(std::string_view op, const std::vector<Named<Input>>& inputs,
         std::string_view hint = "");
  // An op with several results (split).
  std::vector<Var> op_n(std::string_view op,
                        const std::vector<Named<Input>>& inputs,
                        std::string_view hint = "");

  // Shorthands. Axes may be negative.
  Var add(const Var& x, const Var& y);
  Var sub(const Var& x, const Var& y);
  Var mul(const Var& x, const Var& y);
  Var pow(const Var& x, const Var& y);
  Var sigmoid(const Var& x);
  Var softmax(const Var& x, int axis);
  Var reduce_sum(const Var& x, const std::vector<int64_t>& axes,
                 bool keep_dims = true);
  Var matmul(const Var& x, const Var& y, bool transpose_x = false,
             bool transpose_y = false);
  // 1x1 convolution, stride 1, no padding: weight [out, in, 1, 1].
  Var conv1x1(const Var& x, const Var& weight);
  Var reshape(const Var& x, const Shape& shape);
  Var transpose(const Var& x, const std::vector<int64_t>& perm);
  // Contiguous part: begin and size per dimension.
  Var slice(const Var& x, const Shape& begin, const Shape& size);
  Var concat(const std::vector<Var>& values, int axis);

  // Names the results and closes the function. An output takes the given
  // name. Errors: the first builder error; an output that is an input or a
  // constant (rule C005).
  Result<Program> finish(const std::vector<Named<Var>>& outputs);

 private:
  // Where a name comes from: an operation of the function, or an input.
  struct Definition {
    Type type;
    std::optional<size_t> operation;
  };

  std::string unique(std::string_view hint);
  Var emit_constant(Value value, std::string_view hint);
  // The argument for an input; constants become statements named after `hint`.
  Argument bind(const Input& input, std::string_view hint);
  Argument bind_var(const Var& var);
  const Value* constant_value(const Argument& argument) const;
  bool is_constant(std::string_view name) const;
  Result<std::vector<Type>> infer(const Operation& operation) const;
  void error(Diagnostic diagnostic);

  Program program_;
  Function function_;
  std::map<std::string, int, std::less<>> used_;  // name: last suffix tried
  std::map<std::string, Definition, std::less<>> defined_;
  std::vector<std::pair<Value, Var>> constants_;
  std::optional<Diagnostic> error_;
};

}  // namespace aneroid::mil
