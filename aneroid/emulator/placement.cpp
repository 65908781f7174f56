#include "aneroid/emulator/placement.h"

#include <algorithm>

namespace aneroid::emulator {
namespace {

int64_t count_of(const Shape& shape) { return *element_count(shape); }

// The view a single-input shape op's input must have for its result to be
// `result`; nullopt when the op does not merely rearrange.
std::optional<View> input_view(const mil::Operation& operation,
                               const mil::Symbols& symbols,
                               const Shape& input_dims, const View& result) {
  static constexpr std::string_view kReshaping[] = {"reshape", "expand_dims",
                                                    "squeeze", "identity"};
  if (std::ranges::find(kReshaping, operation.op) != std::end(kReshaping)) {
    return reshape_view(result, input_dims);
  }
  if (operation.op == "transpose") {
    const std::vector<int64_t> perm = symbols.ints_or(operation, "perm", {});
    std::vector<int64_t> inverse(perm.size());
    for (size_t i = 0; i < perm.size(); ++i) {
      inverse[normal_axis(perm[i], perm.size())] = static_cast<int64_t>(i);
    }
    return transpose_view(result, inverse);
  }
  return std::nullopt;
}

}  // namespace

size_t normal_axis(int64_t axis, size_t rank) {
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank)
                                      : axis);
}

cpu::Storage storage_of(DataType dtype, Numerics numerics) {
  return dtype == DataType::kFp16 && numerics != Numerics::kReference
             ? cpu::Storage::kHalf
             : cpu::Storage::kFloat;
}

std::vector<std::string> names_of(const mil::Argument& argument) {
  std::vector<std::string> names;
  if (const auto* one = std::get_if<mil::Ref>(&argument.bound)) {
    names.push_back(one->name);
  } else if (const auto* many = std::get_if<mil::Arguments>(&argument.bound)) {
    for (const mil::Argument& item : *many) {
      if (const auto* named = std::get_if<mil::Ref>(&item.bound)) {
        names.push_back(named->name);
      }
    }
  }
  return names;
}

std::vector<View> concat_parts(const mil::Operation& operation,
                               const mil::Symbols& symbols, const View& whole) {
  const size_t axis =
      normal_axis(symbols.int_or(operation, "axis", 0), whole.dims.size());
  std::vector<View> parts;
  Shape begin(whole.dims.size(), 0);
  const Shape step(whole.dims.size(), 1);
  for (const std::string& name : names_of(*operation.input("values"))) {
    const Shape& dims = symbols.type(name)->shape;
    parts.push_back(slice_view(whole, begin, dims, step));
    begin[axis] += dims[axis];
  }
  return parts;
}

Placements place_results(const mil::Function& function,
                         const mil::Symbols& symbols,
                         const std::vector<int>& output_buffers,
                         const device::Signature& signature,
                         const std::function<bool(std::string_view)>& placeable,
                         Plan& plan) {
  Placements placements;
  const auto offer = [&](const std::string& name, const View& view) {
    if (placeable(name) &&
        plan.buffers[static_cast<size_t>(view.buffer)].storage ==
            storage_of(symbols.type(name)->dtype, plan.numerics)) {
      placements.emplace(name, view);  // the first offer wins
    }
  };
  for (size_t i = 0; i < signature.outputs.size(); ++i) {
    offer(signature.outputs[i].name,
          dense_view(output_buffers[i], signature.outputs[i].shape));
  }
  const std::vector<mil::Operation>& operations = function.body.operations;
  for (auto next = operations.rbegin(); next != operations.rend(); ++next) {
    const mil::Operation& operation = *next;
    if (operation.outputs.size() != 1 ||
        !placeable(operation.outputs[0].name)) {
      continue;
    }
    const mil::Var& result = operation.outputs[0];
    auto placed = placements.find(result.name);
    if (operation.op == "concat" &&
        !symbols.bool_or(operation, "interleave", false)) {
      if (placed == placements.end()) {
        Buffer buffer;
        buffer.storage = storage_of(result.type.dtype, plan.numerics);
        buffer.elements = count_of(result.type.shape);
        plan.buffers.push_back(std::move(buffer));
        const int id = static_cast<int>(plan.buffers.size()) - 1;
        placed =
            placements.emplace(result.name, dense_view(id, result.type.shape))
                .first;
      }
      const View whole = placed->second;
      const std::vector<View> parts = concat_parts(operation, symbols, whole);
      const std::vector<std::string> names =
          names_of(*operation.input("values"));
      for (size_t i = 0; i < names.size(); ++i) offer(names[i], parts[i]);
    } else if (placed != placements.end()) {
      const mil::Argument* input = operation.input("x");
      if (input == nullptr) continue;
      const std::vector<std::string> names = names_of(*input);
      if (names.size() != 1) continue;
      const auto view = input_view(
          operation, symbols, symbols.type(names[0])->shape, placed->second);
      if (view) offer(names[0], *view);
    }
  }
  return placements;
}

}  // namespace aneroid::emulator
