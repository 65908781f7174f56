#include "aneroid/target/subject.h"

#include <algorithm>

#include <fmt/format.h>

#include "aneroid/mil/ops.h"

namespace aneroid::target {
namespace {

void collect(const mil::Block& block,
             std::vector<const mil::Operation*>& operations) {
  for (const mil::Operation& operation : block.operations) {
    operations.push_back(&operation);
    for (const mil::Block& nested : operation.blocks) {
      collect(nested, operations);
    }
  }
}

void collect(std::string_view input, const mil::Argument& argument,
             std::vector<NamedInput>& references) {
  if (const auto* ref = std::get_if<mil::Ref>(&argument.bound)) {
    references.push_back({input, ref->name});
  } else if (const auto* tuple = std::get_if<mil::Arguments>(&argument.bound)) {
    for (const mil::Argument& item : *tuple) collect(input, item, references);
  }
}

void collect(const mil::Argument& argument,
             std::vector<const mil::Value*>& constants) {
  if (const auto* value = std::get_if<mil::Value>(&argument.bound)) {
    constants.push_back(value);
  } else if (const auto* tuple = std::get_if<mil::Arguments>(&argument.bound)) {
    for (const mil::Argument& item : *tuple) collect(item, constants);
  }
}

std::optional<Shape> known_shape(const mil::Type* type) {
  if (type == nullptr || type->kind != mil::Type::Kind::kTensor ||
      std::ranges::any_of(type->shape, [](int64_t dim) { return dim < 0; })) {
    return std::nullopt;
  }
  return type->shape;
}

}  // namespace

std::vector<NamedInput> references(const mil::Operation& operation) {
  std::vector<NamedInput> references;
  for (const auto& [input, argument] : operation.inputs) {
    collect(input, argument, references);
  }
  return references;
}

std::vector<const mil::Value*> constants_of(const mil::Operation& operation) {
  std::vector<const mil::Value*> constants;
  for (const auto& [name, value] : operation.attributes) {
    constants.push_back(&value);
  }
  for (const auto& [input, argument] : operation.inputs) {
    collect(argument, constants);
  }
  return constants;
}

bool is_elementwise(const mil::Operation& operation) {
  const mil::OpDef* definition = mil::find_op(operation.op);
  return definition != nullptr && operation.op != "softmax" &&
         (definition->group == "Activations" ||
          definition->group.starts_with("Element-wise"));
}

std::vector<const mil::Operation*> all_operations(
    const mil::Function& function) {
  std::vector<const mil::Operation*> operations;
  collect(function.body, operations);
  return operations;
}

bool is_constant_op(const mil::Operation& operation) {
  return operation.op == "const" || operation.op.starts_with("constexpr_");
}

const mil::Type* OpView::type(std::string_view input) const {
  const mil::Argument* argument = operation_->input(input);
  if (argument == nullptr) return nullptr;
  if (const auto* value = std::get_if<mil::Value>(&argument->bound)) {
    return &value->type;
  }
  const auto* ref = std::get_if<mil::Ref>(&argument->bound);
  return ref == nullptr ? nullptr : subject_->symbols.type(ref->name);
}

std::optional<Shape> OpView::shape(std::string_view input) const {
  return known_shape(type(input));
}

std::optional<Shape> OpView::result_shape() const {
  if (operation_->outputs.empty()) return std::nullopt;
  return known_shape(&operation_->outputs.front().type);
}

const mil::Operation* OpView::producer(std::string_view input) const {
  const mil::Argument* argument = operation_->input(input);
  if (argument == nullptr) return nullptr;
  const auto* ref = std::get_if<mil::Ref>(&argument->bound);
  return ref == nullptr ? nullptr : subject_->symbols.definition(ref->name);
}

std::vector<const mil::Operation*> OpView::consumers() const {
  std::vector<const mil::Operation*> consumers;
  if (operation_->outputs.empty()) return consumers;
  const std::string_view result = operation_->outputs.front().name;
  for (const mil::Operation* other : all_operations(subject_->function)) {
    const std::vector<NamedInput> inputs = references(*other);
    if (std::ranges::find(inputs, result, &NamedInput::name) != inputs.end())
      consumers.push_back(other);
  }
  return consumers;
}

bool OpView::is_runtime(std::string_view input) const {
  const mil::Argument* argument = operation_->input(input);
  if (argument == nullptr ||
      !std::holds_alternative<mil::Ref>(argument->bound)) {
    return false;
  }
  const mil::Operation* definition = producer(input);
  return definition == nullptr || !is_constant_op(*definition);
}

std::string OpView::place() const {
  std::string op =
      fmt::format("op '{}'", operation_->outputs.empty()
                                 ? operation_->op
                                 : operation_->outputs.front().name);
  const mil::SourceLocation& location = operation_->location;
  if (location.line == 0) return op;
  return fmt::format("{}:{}:{} {}", subject_->file, location.line,
                     location.column, op);
}

}  // namespace aneroid::target
