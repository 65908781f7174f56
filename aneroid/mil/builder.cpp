#include "aneroid/mil/builder.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/mil/infer.h"
#include "aneroid/mil/ops.h"

namespace aneroid::mil {
namespace {

// Names that compilers have been reported to mistake (rule C006), and words of
// the language.
constexpr std::string_view kAvoidedNames[] = {
    "var",  "diff",  "mean",  "std",      "eps",
    "x",    "y",     "mul",   "add",      "c",
    "C",    "rsqrt", "func",  "program",  "tensor",
    "list", "tuple", "dict",  "true",     "false",
    "inf",  "nan",   "state", "BLOBFILE", "tensor_buffer"};

bool is_avoided(std::string_view name) {
  return data_type_from_name(name).has_value() || find_op(name) != nullptr ||
         std::find(std::begin(kAvoidedNames), std::end(kAvoidedNames), name) !=
             std::end(kAvoidedNames);
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_name_char(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '@';
}

bool is_name(std::string_view text) {
  return !text.empty() && is_name_start(text.front()) &&
         std::all_of(text.begin(), text.end(), is_name_char);
}

std::string as_name(std::string_view hint) {
  std::string name(hint);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !is_name_char(c); }, '_');
  if (name.empty() || !is_name_start(name.front())) name.insert(0, "v_");
  return name;
}

// A type that can be a value: no negative dimension but '?'.
bool is_sound(const Type& type) {
  return std::all_of(
             type.shape.begin(), type.shape.end(),
             [](int64_t dim) { return dim >= 0 || dim == kUnknownDim; }) &&
         std::all_of(type.args.begin(), type.args.end(), is_sound);
}

Value text_pairs(const std::vector<std::pair<std::string, std::string>>& rows) {
  Value value;
  value.type.kind = Type::Kind::kDict;
  value.type.args = {scalar(DataType::kString), scalar(DataType::kString)};
  Value::Items items;
  for (const auto& [key, text] : rows) {
    items.push_back(string_value(key));
    items.push_back(string_value(text));
  }
  value.data = std::move(items);
  return value;
}

void rename_argument(Argument& argument, const std::string& from,
                     const std::string& to) {
  if (auto* ref = std::get_if<Ref>(&argument.bound)) {
    if (ref->name == from) ref->name = to;
  } else if (auto* items = std::get_if<Arguments>(&argument.bound)) {
    for (Argument& item : *items) rename_argument(item, from, to);
  }
}

// Renames a value wherever it is defined and used.
void rename(Function& function, const std::string& from,
            const std::string& to) {
  for (Operation& operation : function.body.operations) {
    for (auto& [name, argument] : operation.inputs) {
      rename_argument(argument, from, to);
    }
    for (Var& output : operation.outputs) {
      if (output.name != from) continue;
      output.name = to;
      for (auto& [name, value] : operation.attributes) {
        if (name == "name" && value == string_value(from)) {
          value = string_value(to);
        }
      }
    }
  }
}

}  // namespace

Builder::Builder() {
  program_.attributes.emplace_back(
      "buildInfo", text_pairs({{"coremlc-component-MIL", "3510.2.1"},
                               {"coremlc-version", "3505.4.1"},
                               {"coremltools-component-milinternal", ""},
                               {"coremltools-version", "9.0"}}));
}

void Builder::error(Diagnostic diagnostic) {
  if (!error_) error_ = std::move(diagnostic);
}

std::string Builder::unique(std::string_view hint) {
  std::string base = as_name(hint);
  // Names that compilers may mistake always get a number.
  if (!is_avoided(base) && used_.emplace(base, 0).second) return base;
  int& suffix = used_[base];
  std::string name;
  do {
    name = fmt::format("{}_{}", base, ++suffix);
  } while (used_.contains(name));
  used_.emplace(name, 0);
  return name;
}

Var Builder::input(std::string name, Type type) {
  if (!is_name(name)) {
    error({ErrorKind::kInput,
           "mil.ssa",
           fmt::format("input '{}'", name),
           "the name must be letters, digits and _, not starting with a digit",
           {}});
  } else if (!is_sound(type)) {
    error({ErrorKind::kInput,
           "mil.shape",
           fmt::format("input '{}'", name),
           fmt::format("the shape {} has a negative dimension",
                       to_string(type.shape)),
           {}});
  } else if (!used_.emplace(name, 0).second) {
    error({ErrorKind::kInput,
           "mil.ssa",
           fmt::format("input '{}'", name),
           "the name is used already; declare inputs first, under distinct "
           "names",
           {}});
  } else {
    defined_.emplace(name, Definition{type, std::nullopt});
    function_.body.inputs.push_back({{name, type}, {}});
  }
  return {std::move(name), std::move(type)};
}

Var Builder::emit_constant(Value value, std::string_view hint) {
  for (const auto& [known, var] : constants_) {
    if (known == value) return var;
  }
  if (const auto problem = value_problem(value)) {
    error({ErrorKind::kInput,
           "mil.shape",
           fmt::format("constant '{}'", hint),
           *problem,
           {}});
    return {std::string(hint), value.type};
  }
  Var var{unique(hint), value.type};
  Operation operation;
  operation.op = "const";
  operation.attributes = {{"name", string_value(var.name)}, {"val", value}};
  operation.outputs = {var};
  defined_.emplace(var.name,
                   Definition{var.type, function_.body.operations.size()});
  function_.body.operations.push_back(std::move(operation));
  constants_.emplace_back(std::move(value), var);
  return var;
}

Var Builder::constant(Value value, std::string_view hint) {
  return emit_constant(std::move(value), hint);
}

Var Builder::fp16(double value) {
  return emit_constant(float_value(DataType::kFp16, value), "const");
}

Var Builder::weight(std::string_view hint, Type type, std::string path,
                    uint64_t offset) {
  return emit_constant(blob_value(std::move(type), std::move(path), offset),
                       hint);
}

Argument Builder::bind_var(const Var& var) {
  if (!defined_.contains(var.name)) {
    error({ErrorKind::kInput,
           "mil.ssa",
           fmt::format("value '{}'", var.name),
           "it does not come from this builder",
           {}});
  }
  return ref(var.name);
}

Argument Builder::bind(const Input& input, std::string_view hint) {
  if (const auto* var = std::get_if<Var>(&input)) return bind_var(*var);
  if (const auto* value = std::get_if<Value>(&input)) {
    return ref(emit_constant(*value, hint).name);
  }
  Arguments items;
  for (const Var& var : std::get<std::vector<Var>>(input)) {
    items.push_back(bind_var(var));
  }
  return {std::move(items)};
}

const Value* Builder::constant_value(const Argument& argument) const {
  const auto* ref = std::get_if<Ref>(&argument.bound);
  const auto found = ref == nullptr ? defined_.end() : defined_.find(ref->name);
  if (found == defined_.end() || !found->second.operation) return nullptr;
  const Operation& source = function_.body.operations[*found->second.operation];
  return source.op == "const" ? source.attribute("val") : nullptr;
}

bool Builder::is_constant(std::string_view name) const {
  const auto found = defined_.find(name);
  return found != defined_.end() && found->second.operation &&
         function_.body.operations[*found->second.operation].is_constant();
}

Result<std::vector<Type>> Builder::infer(const Operation& operation) const {
  ANEROID_TRY(check_constants(
      operation, [this](std::string_view name) { return is_constant(name); }));
  return infer_types(
      operation,
      [this](std::string_view name) -> const Type* {
        const auto found = defined_.find(name);
        return found == defined_.end() ? nullptr : &found->second.type;
      },
      [this](const Operation& op, std::string_view input) {
        const Argument* argument = op.input(input);
        return argument == nullptr ? nullptr : constant_value(*argument);
      });
}

std::vector<Var> Builder::op_n(std::string_view op,
                               const std::vector<Named<Input>>& inputs,
                               std::string_view hint) {
  if (error_) return {};
  Operation operation;
  operation.op = std::string(op);
  const std::string base = hint.empty() ? operation.op : std::string(hint);
  for (const auto& [name, input] : inputs) {
    operation.inputs.emplace_back(name, bind(input, name));
  }
  if (error_) return {};
  std::stable_sort(
      operation.inputs.begin(), operation.inputs.end(),
      [](const auto& a, const auto& b) { return a.first < b.first; });
  Result<std::vector<Type>> types = infer(operation);
  if (!types) {
    Diagnostic diagnostic = std::move(types).error();
    diagnostic.place = fmt::format("{} '{}'", op, base);
    error(std::move(diagnostic));
    return {};
  }
  for (Type& type : *types) {
    operation.outputs.push_back({unique(base), std::move(type)});
  }
  const std::string label =
      operation.outputs.empty() ? unique(base) : operation.outputs[0].name;
  operation.attributes = {{"name", string_value(label)}};
  for (const Var& output : operation.outputs) {
    defined_.emplace(output.name,
                     Definition{output.type, function_.body.operations.size()});
  }
  std::vector<Var> outputs = operation.outputs;
  function_.body.operations.push_back(std::move(operation));
  return outputs;
}

Var Builder::op(std::string_view op, const std::vector<Named<Input>>& inputs,
                std::string_view hint) {
  const std::vector<Var> outputs = op_n(op, inputs, hint);
  if (!error_ && outputs.size() != 1) {
    error({ErrorKind::kInput,
           "mil.op",
           std::string(op),
           fmt::format("it has {} results; use op_n", outputs.size()),
           {}});
  }
  return outputs.empty() ? Var{} : outputs.front();
}

Var Builder::add(const Var& x, const Var& y) {
  return op("add", {{"x", x}, {"y", y}});
}
Var Builder::sub(const Var& x, const Var& y) {
  return op("sub", {{"x", x}, {"y", y}});
}
Var Builder::mul(const Var& x, const Var& y) {
  return op("mul", {{"x", x}, {"y", y}});
}
Var Builder::pow(const Var& x, const Var& y) {
  return op("pow", {{"x", x}, {"y", y}});
}
Var Builder::sigmoid(const Var& x) { return op("sigmoid", {{"x", x}}); }

Var Builder::softmax(const Var& x, int axis) {
  return op("softmax", {{"x", x}, {"axis", int_value(axis)}});
}

Var Builder::reduce_sum(const Var& x, const std::vector<int64_t>& axes,
                        bool keep_dims) {
  return op("reduce_sum", {{"x", x},
                           {"axes", ints_value(axes)},
                           {"keep_dims", bool_value(keep_dims)}});
}

Var Builder::matmul(const Var& x, const Var& y, bool transpose_x,
                    bool transpose_y) {
  return op("matmul", {{"x", x},
                       {"y", y},
                       {"transpose_x", bool_value(transpose_x)},
                       {"transpose_y", bool_value(transpose_y)}});
}

Var Builder::conv1x1(const Var& x, const Var& weight) {
  return op("conv", {{"x", x},
                     {"weight", weight},
                     {"strides", ints_value({1, 1})},
                     {"pad_type", string_value("valid")},
                     {"pad", ints_value({0, 0, 0, 0})},
                     {"dilations", ints_value({1, 1})},
                     {"groups", int_value(1)}});
}

Var Builder::reshape(const Var& x, const Shape& shape) {
  return op("reshape", {{"x", x}, {"shape", ints_value(shape)}});
}

Var Builder::transpose(const Var& x, const std::vector<int64_t>& perm) {
  return op("transpose", {{"x", x}, {"perm", ints_value(perm)}});
}

Var Builder::slice(const Var& x, const Shape& begin, const Shape& size) {
  return op(
      "slice_by_size",
      {{"x", x}, {"begin", ints_value(begin)}, {"size", ints_value(size)}});
}

Var Builder::concat(const std::vector<Var>& values, int axis) {
  return op("concat", {{"values", values},
                       {"axis", int_value(axis)},
                       {"interleave", bool_value(false)}});
}

Result<Program> Builder::finish(const std::vector<Named<Var>>& outputs) {
  if (error_) return tl::unexpected(*error_);
  Program program = program_;
  Function function = function_;
  if (outputs.empty()) {
    return input_error("mil.ssa", "finish", "a program needs an output");
  }
  std::vector<std::string> taken;  // source of each output
  for (const auto& [name, var] : outputs) {
    const std::string place = fmt::format("output '{}'", name);
    const auto definition = defined_.find(var.name);
    if (definition == defined_.end()) {
      return input_error(
          "mil.ssa", place,
          fmt::format("'{}' does not come from this builder", var.name));
    }
    const bool repeated =
        std::find(taken.begin(), taken.end(), var.name) != taken.end();
    if (!definition->second.operation || is_constant(var.name) || repeated) {
      return input_error(
          "C005", place,
          fmt::format("'{}' is {}; give the output an operation of its own, "
                      "such as a multiplication by 1",
                      var.name,
                      repeated                       ? "an output already"
                      : definition->second.operation ? "a constant"
                                                     : "an input"));
    }
    taken.push_back(var.name);
    const auto holder = defined_.find(name);
    const auto clash = std::find_if(outputs.begin(), outputs.end(),
                                    [&wanted = name](const Named<Var>& other) {
                                      return other.first == wanted;
                                    });
    if (!is_name(name) || clash->second.name != var.name ||
        (holder != defined_.end() && !holder->second.operation)) {
      return input_error("mil.ssa", place,
                         "the name is not a name, or another input or output "
                         "has it");
    }
  }
  for (const auto& [name, var] : outputs) used_.emplace(name, 0);
  // Two passes, so that outputs may exchange names with inner values.
  for (size_t i = 0; i < outputs.size(); ++i) {
    rename(function, taken[i], fmt::format("@{}", i));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = outputs[i].first;
    if (defined_.contains(name)) rename(function, name, unique(name));
    rename(function, fmt::format("@{}", i), name);
    function.body.outputs.push_back(name);
  }
  std::sort(function.body.inputs.begin(), function.body.inputs.end(),
            [](const Parameter& a, const Parameter& b) {
              return a.var.name < b.var.name;
            });
  program.functions.push_back(std::move(function));
  return program;
}

}  // namespace aneroid::mil
