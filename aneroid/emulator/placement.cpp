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

bool rearranges(const mil::Operation& operation) {
  static constexpr std::string_view kOps[] = {
      "reshape", "transpose",     "expand_dims",
      "squeeze", "slice_by_size", "slice_by_index"};
  return std::ranges::find(kOps, operation.op) != std::end(kOps);
}

// Who reads each name.
using Readers =
    std::map<std::string, std::vector<const mil::Operation*>, std::less<>>;
Readers readers_of(const mil::Function& function) {
  Readers readers;
  for (const mil::Operation& operation : function.body.operations) {
    for (const auto& [input, argument] : operation.inputs) {
      for (std::string& name : names_of(argument)) {
        readers[std::move(name)].push_back(&operation);
      }
    }
  }
  return readers;
}

// Whether every reader, however it looks at the value, is a matrix product,
// which reads any strides alike.
bool only_products_read(const std::string& name, const Readers& readers) {
  const auto found = readers.find(name);
  if (found == readers.end()) return false;
  return std::ranges::all_of(found->second, [&](const auto* reader) {
    return rearranges(*reader)
               ? only_products_read(reader->outputs[0].name, readers)
               : reader->op == "matmul" || reader->op == "conv";
  });
}

// A transposed matrix product that others read row by row: the product can
// write it transposed at no cost, a copy or a strided pass would come later.
bool wants_transposed_product(const mil::Operation& transpose,
                              const mil::Symbols& symbols,
                              const Readers& readers) {
  if (transpose.op != "transpose") return false;
  const mil::Operation* source = &transpose;
  do {
    const mil::Argument* input = source->input("x");
    const std::vector<std::string> names =
        input == nullptr ? std::vector<std::string>() : names_of(*input);
    if (names.size() != 1) return false;
    const auto reads = readers.find(names[0]);
    source = symbols.definition(names[0]);
    if (source == nullptr || reads->second.size() != 1) return false;
  } while (source->op == "reshape");
  return source->op == "matmul" &&
         !only_products_read(transpose.outputs[0].name, readers);
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
  const auto place_densely = [&](const mil::Var& result) {
    Buffer buffer;
    buffer.storage = storage_of(result.type.dtype, plan.numerics);
    buffer.elements = count_of(result.type.shape);
    plan.buffers.push_back(std::move(buffer));
    const int id = static_cast<int>(plan.buffers.size()) - 1;
    return placements.emplace(result.name, dense_view(id, result.type.shape))
        .first;
  };
  const Readers readers = readers_of(function);
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
      if (placed == placements.end()) placed = place_densely(result);
      const View whole = placed->second;
      const std::vector<View> parts = concat_parts(operation, symbols, whole);
      const std::vector<std::string> names =
          names_of(*operation.input("values"));
      for (size_t i = 0; i < names.size(); ++i) offer(names[i], parts[i]);
      continue;
    }
    if (placed == placements.end() &&
        wants_transposed_product(operation, symbols, readers)) {
      placed = place_densely(result);
    }
    if (placed != placements.end()) {
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
