#include "aneroid/target/op_form.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/mil/ops.h"
#include "aneroid/target/op_verdicts.h"

namespace aneroid::target {
namespace {

constexpr std::string_view kResult = "result";

// Writes the operations that an op needs before it.
class FormWriter {
 public:
  explicit FormWriter(const OpForm& form) {
    operation_.op = form.op;
    for (const OpForm::Operand& operand : form.operands) {
      bind(operand.name, mil::ref(place(operand)));
    }
    for (const auto& [name, value] : form.attributes) {
      bind(name, mil::ref(constant(name, value)));
    }
    std::ranges::sort(operation_.inputs, {}, &mil::Named<mil::Argument>::first);
  }

  mil::Program finish(const OpForm& form) {
    mil::Type type = form.result.value_or(mil::Type{});
    if (!form.result) {
      const mil::Symbols symbols(function_);
      const auto inferred = mil::infer_types(operation_, symbols);
      if (inferred && !inferred->empty()) {
        type = inferred->front();
      } else if (!form.operands.empty()) {
        type = form.operands.front().type;
      }
    }
    operation_.outputs = {{std::string(kResult), type}};
    const bool is_constant = operation_.is_constant();
    function_.body.operations.push_back(std::move(operation_));
    function_.body.outputs = {std::string(kResult)};
    // A constant alone is no output (rule C005).
    if (is_constant) use_constant(type);

    mil::Program program;
    mil::Value build_info;
    build_info.data = mil::Value::Items{mil::string_value("coremlc-version"),
                                        mil::string_value("coremlc-form")};
    program.attributes = {{"buildInfo", std::move(build_info)}};
    program.functions.push_back(std::move(function_));
    return program;
  }

 private:
  void use_constant(const mil::Type& type) {
    mil::Operation use;
    use.op = "mul";
    use.inputs = {{"x", mil::ref(input("scaled", type))},
                  {"y", mil::ref(std::string(kResult))}};
    use.outputs = {{unique("product"), type}};
    function_.body.outputs = {use.outputs[0].name};
    function_.body.operations.push_back(std::move(use));
  }

  std::string unique(std::string_view hint) {
    return fmt::format("{}_{}", hint, ++names_);
  }

  // Repeated names make a tuple.
  void bind(const std::string& name, mil::Argument argument) {
    const auto found = std::ranges::find(operation_.inputs, name,
                                         &mil::Named<mil::Argument>::first);
    if (found == operation_.inputs.end()) {
      operation_.inputs.emplace_back(name, std::move(argument));
      return;
    }
    auto* tuple = std::get_if<mil::Arguments>(&found->second.bound);
    if (tuple == nullptr) {
      mil::Arguments items{found->second};
      found->second.bound = std::move(items);
      tuple = std::get_if<mil::Arguments>(&found->second.bound);
    }
    tuple->push_back(std::move(argument));
  }

  std::string input(std::string_view hint, const mil::Type& type) {
    std::string name = unique(hint);
    function_.body.inputs.push_back({{name, type}, {}});
    return name;
  }

  std::string constant(std::string_view hint, const mil::Value& value) {
    mil::Operation operation;
    operation.op = "const";
    operation.outputs = {{unique(hint), value.type}};
    operation.attributes = {
        {"name", mil::string_value(operation.outputs[0].name)}, {"val", value}};
    function_.body.operations.push_back(operation);
    return operation.outputs[0].name;
  }

  std::string place(const OpForm::Operand& operand) {
    switch (operand.from) {
      case OpForm::From::kInput:
        return input(operand.name, operand.type);
      case OpForm::From::kConstant: {
        const std::string path =
            fmt::format("@model_path/{}.bin", operand.name);
        return constant(operand.name, mil::blob_value(operand.type, path, 64));
      }
      case OpForm::From::kComparison:
        break;
    }
    const mil::Type compared = mil::tensor(DataType::kFp16, operand.type.shape);
    mil::Operation operation;
    operation.op = "greater";
    operation.inputs = {{"x", mil::ref(input("left", compared))},
                        {"y", mil::ref(input("right", compared))}};
    operation.outputs = {{unique(operand.name),
                          mil::tensor(DataType::kBool, operand.type.shape)}};
    function_.body.operations.push_back(operation);
    return operation.outputs[0].name;
  }

  mil::Function function_;
  mil::Operation operation_;
  int names_ = 0;
};

bool is_heavy(const OpForm& form) {
  if (form.op != "conv") return false;
  const auto weight =
      std::ranges::find(form.operands, "weight", &OpForm::Operand::name);
  if (weight == form.operands.end()) return false;
  const Shape& shape = weight->type.shape;
  return shape.size() >= 4 && shape[shape.size() - 2] >= 16 &&
         shape[shape.size() - 1] >= 16;
}

}  // namespace

mil::Program to_program(const OpForm& form) {
  return FormWriter(form).finish(form);
}

mil::Type result_type(const OpForm& form) {
  const mil::Program program = to_program(form);
  const mil::Symbols symbols(program.functions.front());
  const mil::Type* type = symbols.type(kResult);
  return type == nullptr ? mil::Type{} : *type;
}

std::string_view name(Support support) {
  constexpr std::array<std::string_view, 4> kNames = {"unknown", "supported",
                                                      "folded", "refused"};
  return kNames[static_cast<size_t>(support)];
}

Judgement judge(const OpForm& form, const Chip& chip, Path path,
                const CheckOptions& options) {
  Judgement judgement;
  const OpEntry* entry = find_op(form.op);
  judgement.decided_by = "vocabulary";
  if (entry == nullptr) {
    judgement.reason = fmt::format("no source names the op {}", form.op);
    return judgement;
  }
  const OpVerdict verdict = entry->on(path);
  if (verdict == OpVerdict::kFolded) {
    judgement.support = Support::kFolded;
    judgement.reason = entry->conditions;
    return judgement;
  }
  std::vector<Diagnostic> refusals =
      check(to_program(form), chip, path, options);
  // A form that gives wrong numbers was taken all the same.
  std::erase_if(refusals, [](const Diagnostic& refusal) {
    return find_rule(refusal.label)->phase == Phase::kSilent;
  });
  if (!refusals.empty()) {
    judgement.support = Support::kRefused;
    judgement.decided_by = refusals.front().label;
    judgement.reason = refusals.front().message;
    return judgement;
  }
  judgement.reason = entry->conditions;
  if (verdict == OpVerdict::kUnknown) return judgement;
  judgement.support = Support::kSupported;
  judgement.heavy = is_heavy(form);
  return judgement;
}

}  // namespace aneroid::target
