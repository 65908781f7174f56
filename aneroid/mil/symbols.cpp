#include <algorithm>

#include "aneroid/mil/ir.h"

namespace aneroid::mil {

Symbols::Symbols(const Function& function) {
  add(function.body);
  // The first definition of a name wins; the verifier reports the others.
  std::stable_sort(
      entries_.begin(), entries_.end(),
      [](const Entry& a, const Entry& b) { return a.name < b.name; });
}

void Symbols::add(const Block& block) {
  for (const Parameter& parameter : block.inputs) {
    entries_.push_back({parameter.var.name, &parameter.var.type, nullptr});
  }
  for (const Operation& operation : block.operations) {
    for (const Var& output : operation.outputs) {
      entries_.push_back({output.name, &output.type, &operation});
    }
    for (const Block& nested : operation.blocks) add(nested);
  }
}

const Symbols::Entry* Symbols::find(std::string_view name) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const Entry& entry, std::string_view n) { return entry.name < n; });
  return found == entries_.end() || found->name != name ? nullptr : &*found;
}

const Type* Symbols::type(std::string_view name) const {
  const Entry* entry = find(name);
  return entry == nullptr ? nullptr : entry->type;
}

const Operation* Symbols::definition(std::string_view name) const {
  const Entry* entry = find(name);
  return entry == nullptr ? nullptr : entry->definition;
}

const Value* Symbols::constant(const Operation& operation,
                               std::string_view input) const {
  const Argument* argument = operation.input(input);
  if (argument == nullptr) {
    return operation.is_constant() ? operation.attribute(input) : nullptr;
  }
  if (const auto* value = std::get_if<Value>(&argument->bound)) return value;
  const auto* reference = std::get_if<Ref>(&argument->bound);
  if (reference == nullptr) return nullptr;
  const Operation* source = definition(reference->name);
  return source != nullptr && source->op == "const" ? source->attribute("val")
                                                    : nullptr;
}

int64_t Symbols::int_or(const Operation& operation, std::string_view input,
                        int64_t otherwise) const {
  const Value* value = constant(operation, input);
  if (value == nullptr) return otherwise;
  const std::vector<int64_t> elements = as_ints(*value);
  return elements.empty() ? otherwise : elements.front();
}

bool Symbols::bool_or(const Operation& operation, std::string_view input,
                      bool otherwise) const {
  return int_or(operation, input, otherwise ? 1 : 0) != 0;
}

double Symbols::double_or(const Operation& operation, std::string_view input,
                          double otherwise) const {
  const Value* value = constant(operation, input);
  if (value == nullptr) return otherwise;
  const std::vector<double> elements = as_doubles(*value);
  return elements.empty() ? otherwise : elements.front();
}

std::string Symbols::string_or(const Operation& operation,
                               std::string_view input,
                               std::string_view otherwise) const {
  const Value* value = constant(operation, input);
  const auto* strings =
      value == nullptr ? nullptr : std::get_if<Value::Strings>(&value->data);
  return std::string(strings == nullptr || strings->empty() ? otherwise
                                                            : strings->front());
}

std::vector<int64_t> Symbols::ints_or(const Operation& operation,
                                      std::string_view input,
                                      std::vector<int64_t> otherwise) const {
  const Value* value = constant(operation, input);
  if (value == nullptr || !std::holds_alternative<Value::Bytes>(value->data)) {
    return otherwise;
  }
  return as_ints(*value);
}

}  // namespace aneroid::mil
