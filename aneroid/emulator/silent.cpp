#include "aneroid/emulator/silent.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "aneroid/base/half.h"

namespace aneroid::emulator {
namespace {

using target::SilentEffect;

mil::Operation constant(const mil::Var& result, mil::Value value) {
  mil::Operation operation;
  operation.op = "const";
  operation.attributes = {{"name", mil::string_value(result.name)},
                          {"val", std::move(value)}};
  operation.outputs = {result};
  return operation;
}

mil::Value zeros(const mil::Type& type) {
  const auto count = static_cast<size_t>(
      std::max<int64_t>(0, element_count(type.shape).value_or(0)));
  return {type, mil::Value::Bytes(count * bytes(type.dtype))};
}

// Rewrites the operations of one block, one effect at a time.
class Rewriter {
 public:
  explicit Rewriter(mil::Block& block) : block_(block) {}

  void zero_outputs() {
    for (size_t i = block_.operations.size(); i-- > 0;) {
      const auto& outputs = block_.operations[i].outputs;
      const bool returned = std::ranges::any_of(outputs, [&](const auto& var) {
        return std::ranges::find(block_.outputs, var.name) !=
               block_.outputs.end();
      });
      if (returned) zero(i);
    }
  }

  // Applies `effect` to operation `index`; later ones may move.
  void apply(SilentEffect effect, size_t index) {
    mil::Operation& operation = block_.operations[index];
    switch (effect) {
      case SilentEffect::kZeros:
        zero(index);
        break;
      case SilentEffect::kMaskIgnored:
        std::erase_if(operation.inputs, [](const auto& input) {
          return input.first == "attn_mask";
        });
        break;
      case SilentEffect::kSqrtFusion:
        fuse_sqrt(index);
        break;
      case SilentEffect::kClampSixteenth:
        append(index, kCropTransfer, {});
        break;
      default:  // nothing to compute differently
        break;
    }
  }

 private:
  void zero(size_t index) {
    const std::vector<mil::Var> results = block_.operations[index].outputs;
    std::vector<mil::Operation> constants;
    constants.reserve(results.size());
    for (const mil::Var& result : results) {
      constants.push_back(constant(result, zeros(result.type)));
    }
    const auto at = block_.operations.begin() + static_cast<long>(index);
    block_.operations.insert(block_.operations.erase(at), constants.begin(),
                             constants.end());
  }

  // The operation writes another name, and `op` of that, with more inputs,
  // writes the old one.
  void append(size_t index, std::string_view op,
              std::vector<mil::Operation> before) {
    mil::Operation& operation = block_.operations[index];
    mil::Var& result = operation.outputs[0];
    mil::Operation last;
    last.op = op;
    last.outputs = {result};
    result.name += "__before_" + std::string(op);  // no MIL name has this form
    last.inputs.emplace_back("x", mil::ref(result.name));
    for (const mil::Operation& constant : before) {
      last.inputs.emplace_back("y", mil::ref(constant.outputs[0].name));
    }
    before.push_back(std::move(last));
    block_.operations.insert(
        block_.operations.begin() + static_cast<long>(index) + 1,
        before.begin(), before.end());
  }

  // real_div(x, sqrt) becomes its inverse ratio; a mul that broadcasts the
  // root keeps its first channel only.
  void fuse_sqrt(size_t index) {
    mil::Operation& operation = block_.operations[index];
    if (operation.op == "real_div") {
      std::swap(operation.inputs[0].second, operation.inputs[1].second);
      return;
    }
    const mil::Type& type = operation.outputs[0].type;
    if (type.shape.size() < 2 || type.dtype != DataType::kFp16) return;
    mil::Type mask_type = type;
    std::fill(mask_type.shape.begin(), mask_type.shape.end(), 1);
    mask_type.shape[1] = type.shape[1];
    mil::Value mask = zeros(mask_type);
    auto& data = std::get<mil::Value::Bytes>(mask.data);
    const uint16_t one = to_half_even(1.0).bits;
    data[0] = static_cast<std::byte>(one & 0xFF);
    data[1] = static_cast<std::byte>(one >> 8);
    const mil::Var name{operation.outputs[0].name + "__mask", mask_type};
    append(index, "mul", {constant(name, std::move(mask))});
  }

  mil::Block& block_;
};

}  // namespace

mil::Program with_silent_effects(
    const mil::Program& program,
    std::span<const target::SilentFinding> findings) {
  mil::Program changed = program;
  const mil::Function* original = program.function();
  if (original == nullptr) return changed;
  const auto& operations = original->body.operations;
  std::map<size_t, std::vector<SilentEffect>> effects;
  bool all_zero = false;
  for (const target::SilentFinding& finding : findings) {
    const SilentEffect effect = finding.rule->silent_effect;
    if (finding.operation == nullptr) {
      all_zero = all_zero || effect == SilentEffect::kZeros;
      continue;
    }
    for (size_t i = 0; i < operations.size(); ++i) {
      if (&operations[i] == finding.operation) effects[i].push_back(effect);
    }
  }
  for (mil::Function& function : changed.functions) {
    if (function.name != original->name) continue;
    Rewriter rewriter(function.body);
    // From the end, so that earlier indices stay what they were.
    for (auto it = effects.rbegin(); it != effects.rend(); ++it) {
      for (const SilentEffect effect : it->second) {
        rewriter.apply(effect, it->first);
      }
    }
    if (all_zero) rewriter.zero_outputs();
  }
  return changed;
}

}  // namespace aneroid::emulator
