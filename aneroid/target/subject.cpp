#include "aneroid/target/subject.h"

#include <fmt/format.h>

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

}  // namespace

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
  const mil::Type* known = type(input);
  if (known == nullptr || known->kind != mil::Type::Kind::kTensor) {
    return std::nullopt;
  }
  for (const int64_t dim : known->shape) {
    if (dim < 0) return std::nullopt;
  }
  return known->shape;
}

bool OpView::is_runtime(std::string_view input) const {
  const mil::Argument* argument = operation_->input(input);
  if (argument == nullptr) return false;
  const auto* ref = std::get_if<mil::Ref>(&argument->bound);
  if (ref == nullptr) return false;
  const mil::Operation* definition = subject_->symbols.definition(ref->name);
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
