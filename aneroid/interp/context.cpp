#include "aneroid/interp/context.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "aneroid/interp/tensor.h"

namespace aneroid::interp {

tl::unexpected<Diagnostic> Context::error(std::string message) {
  return input_error("interp", "", std::move(message));
}

Status Context::add(const mil::Value& value, const WeightFiles& weights,
                    Operand& operand) {
  if (std::holds_alternative<mil::Value::Strings>(value.data)) {
    operand.value = &value;
    return {};
  }
  ANEROID_ASSIGN(HostTensor tensor, constant_tensor(value, weights, *options_));
  constants_.push_back(std::make_unique<HostTensor>(std::move(tensor)));
  operand.tensors.push_back(constants_.back().get());
  return {};
}

Status Context::add(const mil::Argument& argument, const mil::Symbols& symbols,
                    const Lookup& lookup, const WeightFiles& weights,
                    Operand& operand) {
  if (const auto* value = std::get_if<mil::Value>(&argument.bound)) {
    return add(*value, weights, operand);
  }
  if (const auto* tuple = std::get_if<mil::Arguments>(&argument.bound)) {
    for (const mil::Argument& item : *tuple) {
      if (std::holds_alternative<mil::Arguments>(item.bound)) {
        return error(fmt::format("input '{}' nests tuples", operand.name));
      }
      ANEROID_TRY(add(item, symbols, lookup, weights, operand));
    }
    return {};
  }
  const std::string& name = std::get<mil::Ref>(argument.bound).name;
  if (const HostTensor* tensor = lookup(name)) {
    operand.tensors.push_back(tensor);
    return {};
  }
  const mil::Operation* definition = symbols.definition(name);
  const mil::Value* value = definition != nullptr && definition->op == "const"
                                ? definition->attribute("val")
                                : nullptr;
  if (value == nullptr) {
    return error(fmt::format("input '{}' is bound to '{}', which has no value",
                             operand.name, name));
  }
  return add(*value, weights, operand);
}

Result<Context> Context::bind(const mil::Operation& operation,
                              const mil::Symbols& symbols, const Lookup& lookup,
                              const WeightFiles& weights,
                              const Options& options) {
  Context context;
  context.operation_ = &operation;
  context.options_ = &options;
  for (const auto& [name, argument] : operation.inputs) {
    Operand operand{name, {}, nullptr};
    ANEROID_TRY(context.add(argument, symbols, lookup, weights, operand));
    context.operands_.push_back(std::move(operand));
  }
  const bool has_constant_attributes =
      operation.op == "const" || operation.op.starts_with("constexpr_");
  for (const auto& [name, value] : operation.attributes) {
    if (!has_constant_attributes || name == "name") continue;
    Operand operand{name, {}, nullptr};
    ANEROID_TRY(context.add(value, weights, operand));
    context.operands_.push_back(std::move(operand));
  }
  return context;
}

const Context::Operand* Context::find(std::string_view name) const {
  for (const Operand& operand : operands_) {
    if (operand.name == name) return &operand;
  }
  return nullptr;
}

Result<std::vector<const HostTensor*>> Context::tensors(
    std::string_view name) const {
  const Operand* operand = find(name);
  if (operand == nullptr || operand->tensors.empty()) {
    return error(fmt::format("input '{}' is missing", name));
  }
  return operand->tensors;
}

Result<const HostTensor*> Context::tensor(std::string_view name) const {
  ANEROID_ASSIGN(const auto all, tensors(name));
  if (all.size() != 1) {
    return error(fmt::format("input '{}' is a tuple of {}, not one tensor",
                             name, all.size()));
  }
  return all.front();
}

const HostTensor* Context::optional_tensor(std::string_view name) const {
  const Operand* operand = find(name);
  return operand == nullptr || operand->tensors.size() != 1
             ? nullptr
             : operand->tensors.front();
}

Result<std::vector<int64_t>> Context::integers(
    std::string_view name,
    std::optional<std::vector<int64_t>> otherwise) const {
  if (otherwise && find(name) == nullptr) return *std::move(otherwise);
  ANEROID_ASSIGN(const HostTensor* source, tensor(name));
  constexpr double kLimit = 0x1p31;
  std::vector<int64_t> values;
  for (const double value : source->data) {
    if (!(std::fabs(value) <= kLimit) || value != std::trunc(value)) {
      return error(
          fmt::format("input '{}' holds {}, not a whole number up to "
                      "2^31",
                      name, value));
    }
    values.push_back(static_cast<int64_t>(value));
  }
  return values;
}

Result<int64_t> Context::integer(std::string_view name,
                                 std::optional<int64_t> otherwise) const {
  if (otherwise && find(name) == nullptr) return *otherwise;
  ANEROID_ASSIGN(const std::vector<int64_t> values, integers(name));
  if (values.size() != 1) {
    return error(fmt::format("input '{}' has {} elements, not one", name,
                             values.size()));
  }
  return values.front();
}

Result<double> Context::number(std::string_view name, double otherwise) const {
  if (find(name) == nullptr) return otherwise;
  ANEROID_ASSIGN(const HostTensor* source, tensor(name));
  if (source->data.size() != 1) {
    return error(fmt::format("input '{}' has {} elements, not one", name,
                             source->data.size()));
  }
  return source->data.front();
}

Result<bool> Context::flag(std::string_view name, bool otherwise) const {
  ANEROID_ASSIGN(const double value, number(name, otherwise ? 1.0 : 0.0));
  return value != 0.0;
}

Result<std::string> Context::text(std::string_view name,
                                  std::string_view otherwise) const {
  const Operand* operand = find(name);
  if (operand == nullptr) return std::string(otherwise);
  if (operand->value != nullptr) {
    const auto& strings = std::get<mil::Value::Strings>(operand->value->data);
    if (strings.size() == 1) return strings.front();
  }
  return error(fmt::format("input '{}' is not a constant string", name));
}

Result<HostTensor> Context::make(DataType dtype, Shape shape) const {
  const std::optional<int64_t> count =
      limited_count(shape, options_->max_elements);
  if (!count) {
    return error(
        fmt::format("a tensor of shape {} exceeds the limit of {} "
                    "elements",
                    to_string(shape), options_->max_elements));
  }
  HostTensor tensor{dtype, std::move(shape), {}};
  tensor.data.resize(static_cast<size_t>(*count));
  return tensor;
}

}  // namespace aneroid::interp
