#include "aneroid/emulator/constants.h"

#include <algorithm>
#include <cstring>

#include "aneroid/base/half.h"
#include "aneroid/blob/blob.h"
#include "aneroid/emulator/placement.h"

namespace aneroid::emulator {
namespace {

bool all_constant(const mil::Operation& operation,
                  const std::set<std::string, std::less<>>& known) {
  return std::all_of(
      operation.inputs.begin(), operation.inputs.end(),
      [&](const mil::Named<mil::Argument>& input) {
        const std::vector<std::string> names = names_of(input.second);
        return std::all_of(
            names.begin(), names.end(),
            [&](const std::string& name) { return known.contains(name); });
      });
}

}  // namespace

Constants::Constants(const mil::Function& function, const mil::Symbols& symbols,
                     const device::WeightMap& weights, Numerics numerics)
    : symbols_(symbols), weights_(weights), numerics_(numerics) {
  for (const mil::Operation& operation : function.body.operations) {
    if (operation.blocks.empty() && all_constant(operation, names_)) {
      for (const mil::Var& result : operation.outputs) {
        names_.insert(result.name);
      }
    }
  }
}

bool Constants::is_constant(std::string_view name) const {
  return names_.contains(name);
}

Result<const interp::HostTensor*> Constants::folded(const std::string& name) {
  if (const auto known = folded_.find(name); known != folded_.end()) {
    return &known->second;
  }
  const mil::Operation* definition = symbols_.definition(name);
  for (const auto& [input, argument] : definition->inputs) {
    for (const std::string& operand : names_of(argument)) {
      if (symbols_.definition(operand)->op != "const") {
        ANEROID_TRY(folded(operand));
      }
    }
  }
  const auto lookup =
      [&](std::string_view operand) -> const interp::HostTensor* {
    const auto known = folded_.find(operand);
    return known == folded_.end() ? nullptr : &known->second;
  };
  interp::Options options;
  options.rounding = numerics_ != Numerics::kReference
                         ? interp::Rounding::kFp16
                         : interp::Rounding::kFp32;
  ANEROID_ASSIGN(auto results, interp::evaluate_op(*definition, symbols_,
                                                   lookup, weights_, options));
  for (size_t i = 0; i < results.size(); ++i) {
    folded_[definition->outputs[i].name] = std::move(results[i]);
  }
  return &folded_.at(name);
}

Result<std::vector<std::byte>> Constants::bytes(const std::string& name) {
  const mil::Type& type = *symbols_.type(name);
  const mil::Operation* definition = symbols_.definition(name);
  const bool half = storage_of(type.dtype, numerics_) == cpu::Storage::kHalf;
  // Large weights go straight from the file, not through doubles.
  const mil::Value* value =
      definition->op == "const" ? definition->attribute("val") : nullptr;
  const auto* blob =
      value == nullptr ? nullptr : std::get_if<mil::BlobRef>(&value->data);
  const auto file =
      blob == nullptr ? weights_.end() : weights_.find(blob->path);
  if (half && file != weights_.end()) {
    return blob::Reader(file->second)
        .read_elements(blob->offset, type.dtype, *element_count(type.shape));
  }
  ANEROID_ASSIGN(const interp::HostTensor* tensor, folded(name));
  const size_t size = tensor->data.size();
  std::vector<std::byte> result(size * (half ? 2 : 4));
  for (size_t i = 0; i < size; ++i) {
    if (half) {
      const Half element = to_half_away(tensor->data[i]);
      std::memcpy(result.data() + i * 2, &element, 2);
    } else {
      const auto element = static_cast<float>(tensor->data[i]);
      std::memcpy(result.data() + i * 4, &element, 4);
    }
  }
  return result;
}

Result<float> Constants::scalar(const std::string& name) {
  ANEROID_ASSIGN(const interp::HostTensor* tensor, folded(name));
  const double value = tensor->data.at(0);
  return storage_of(symbols_.type(name)->dtype, numerics_) ==
                 cpu::Storage::kHalf
             ? to_float(to_half_away(value))
             : static_cast<float>(value);
}

}  // namespace aneroid::emulator
