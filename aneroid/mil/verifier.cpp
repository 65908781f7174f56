#include "aneroid/mil/verifier.h"

#include <charconv>
#include <optional>
#include <string>
#include <unordered_set>

#include <fmt/format.h>

#include "aneroid/mil/infer.h"
#include "aneroid/mil/ops.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

// 18 of "ios18"; nullopt for other words.
std::optional<int> opset_number(std::string_view opset) {
  constexpr std::string_view kPrefix = "ios";
  if (!opset.starts_with(kPrefix)) return std::nullopt;
  opset.remove_prefix(kPrefix.size());
  int number = 0;
  const char* end = opset.data() + opset.size();
  const auto result = std::from_chars(opset.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

class FunctionVerifier {
 public:
  FunctionVerifier(const Function& function, std::string_view file,
                   const VerifyOptions& options,
                   std::vector<Diagnostic>& findings)
      : function_(function),
        symbols_(function),
        file_(file),
        options_(options),
        findings_(findings) {}

  void run() {
    for (const std::string& name : walk(function_.body)) {
      const Type* type = symbols_.type(name);
      if (type != nullptr && type->kind == Type::Kind::kState) {
        add(nullptr, "mil.type",
            fmt::format("the state '{}' cannot be a result", name));
      }
    }
  }

 private:
  std::string place(const Operation* operation) const {
    if (operation == nullptr) {
      return fmt::format("function '{}'", function_.name);
    }
    if (operation->location.line > 0) {
      return fmt::format("{}:{}:{}", file_, operation->location.line,
                         operation->location.column);
    }
    return fmt::format(
        "{} '{}'", operation->op,
        operation->outputs.empty() ? "" : operation->outputs.front().name);
  }

  void add(const Operation* operation, std::string label, std::string message) {
    findings_.push_back({ErrorKind::kInput,
                         std::move(label),
                         place(operation),
                         std::move(message),
                         {}});
  }

  // Names are defined once per function, even in different blocks.
  void define(const Operation* operation, std::string_view name) {
    if (!defined_.insert(name).second) {
      add(operation, "mil.ssa", fmt::format("'{}' is defined twice", name));
    }
    visible_.insert(name);
  }

  // Checks a block; its names are forgotten at its end. Returns its outputs.
  const std::vector<std::string>& walk(const Block& block) {
    for (const Parameter& parameter : block.inputs) {
      define(nullptr, parameter.var.name);
    }
    for (const Operation& operation : block.operations) check(operation);
    for (const std::string& name : block.outputs) {
      if (!visible_.contains(name)) {
        add(nullptr, "mil.ssa",
            fmt::format("the result '{}' is not defined", name));
      }
    }
    for (const Parameter& parameter : block.inputs) {
      visible_.erase(parameter.var.name);
    }
    for (const Operation& operation : block.operations) {
      for (const Var& output : operation.outputs) visible_.erase(output.name);
    }
    return block.outputs;
  }

  void check(const Operation& operation) {
    const size_t before = findings_.size();
    for (const auto& [name, argument] : operation.inputs) {
      check_argument(operation, argument);
    }
    for (const auto& [name, value] : operation.attributes) {
      check_value(operation, value);
    }
    for (const Block& block : operation.blocks) walk(block);
    for (const Var& output : operation.outputs) {
      define(&operation, output.name);
    }
    // Types mean little when names do not.
    if (findings_.size() == before) check_types(operation);
  }

  void check_argument(const Operation& operation, const Argument& argument) {
    if (const auto* ref = std::get_if<Ref>(&argument.bound)) {
      if (visible_.contains(ref->name)) return;
      const bool later = symbols_.type(ref->name) != nullptr;
      add(&operation, "mil.ssa",
          fmt::format("'{}' is {}", ref->name,
                      later ? "used before its definition, or outside its block"
                            : "not defined"));
    } else if (const auto* value = std::get_if<Value>(&argument.bound)) {
      check_value(operation, *value);
    } else {
      for (const Argument& item : std::get<Arguments>(argument.bound)) {
        check_argument(operation, item);
      }
    }
  }

  void check_value(const Operation& operation, const Value& value) {
    if (const auto problem = value_problem(value)) {
      add(&operation, "mil.shape", *problem);
    }
  }

  bool is_constant(std::string_view name) const {
    const Operation* source = symbols_.definition(name);
    return source != nullptr && source->is_constant();
  }

  void check_types(const Operation& operation) {
    const OpDef* op = find_op(operation.op);
    if (op == nullptr) {
      if (!options_.allow_unknown_ops) {
        add(&operation, "mil.op",
            fmt::format("unknown operation '{}'", operation.op));
      }
      return;
    }
    const auto opset = opset_number(operation.opset.empty() ? function_.opset
                                                            : operation.opset);
    if (opset && *opset < op->first_opset) {
      add(&operation, "mil.op",
          fmt::format("{} exists from ios{} on, the opset is ios{}", op->name,
                      op->first_opset, *opset));
    }
    const Status constants = check_constants(
        operation, [this](std::string_view name) { return is_constant(name); });
    if (!constants) report(operation, constants.error());
    const Result<Types> types = infer_types(operation, symbols_);
    if (!types) {
      report(operation, types.error());
    } else {
      compare(operation, *types);
    }
  }

  void report(const Operation& operation, const Diagnostic& diagnostic) {
    findings_.push_back(diagnostic);
    findings_.back().place = place(&operation);
  }

  void compare(const Operation& operation, const Types& inferred) {
    if (inferred.size() != operation.outputs.size()) {
      add(&operation, "mil.shape",
          fmt::format("{} gives {} results, {} are declared", operation.op,
                      inferred.size(), operation.outputs.size()));
      return;
    }
    for (size_t i = 0; i < inferred.size(); ++i) {
      const Var& output = operation.outputs[i];
      if (compatible(output.type, inferred[i])) continue;
      const bool same_element = output.type.kind == inferred[i].kind &&
                                output.type.dtype == inferred[i].dtype;
      add(&operation, same_element ? "mil.shape" : "mil.type",
          fmt::format("'{}' is declared {}, but {} gives {}", output.name,
                      print(output.type), operation.op, print(inferred[i])));
    }
  }

  const Function& function_;
  const Symbols symbols_;
  std::string_view file_;
  const VerifyOptions& options_;
  std::vector<Diagnostic>& findings_;
  std::unordered_set<std::string_view> defined_;
  std::unordered_set<std::string_view> visible_;
};

}  // namespace

std::vector<Diagnostic> verify(const Program& program, std::string_view file,
                               const VerifyOptions& options) {
  std::vector<Diagnostic> findings;
  for (const Function& function : program.functions) {
    FunctionVerifier(function, file, options, findings).run();
  }
  return findings;
}

}  // namespace aneroid::mil
