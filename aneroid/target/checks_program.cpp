#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "aneroid/target/checks.h"

namespace aneroid::target {
namespace {

constexpr size_t kMaxSurfaces = 128;  // C024
constexpr size_t kMaxRank = 5;        // C030

std::string port_place(const Subject& subject, std::string_view kind,
                       std::string_view name) {
  return fmt::format("{} {} '{}'", subject.file, kind, name);
}

// Names that only say how weights are compressed, such as the lookup table of a
// palette: constexpr ops read them and nothing else does.
std::set<std::string_view> compression_parameters(
    const mil::Function& function) {
  const std::vector<const mil::Operation*> operations =
      all_operations(function);
  std::set<std::string_view> names;
  for (const mil::Operation* operation : operations) {
    if (!is_constant_op(*operation)) continue;
    for (const NamedInput& input : references(*operation)) {
      names.insert(input.name);
    }
  }
  const auto drop_outputs = [&](const mil::Block& block) {
    for (const std::string& output : block.outputs) names.erase(output);
  };
  drop_outputs(function.body);
  for (const mil::Operation* operation : operations) {
    if (is_constant_op(*operation)) continue;
    for (const NamedInput& input : references(*operation)) {
      names.erase(input.name);
    }
    std::ranges::for_each(operation->blocks, drop_outputs);
  }
  return names;
}

// Calls visit(place, type) for every tensor the engine gets to see: function
// inputs and the results of operations, compression parameters not counted.
template <typename Visit>
void each_tensor(const Subject& subject, Visit visit) {
  for (const mil::Parameter& input : subject.function.body.inputs) {
    if (input.var.type.kind != mil::Type::Kind::kTensor) continue;
    visit(port_place(subject, "input", input.var.name), input.var.type);
  }
  const auto parameters = compression_parameters(subject.function);
  for (const mil::Operation* operation : all_operations(subject.function)) {
    for (const mil::Var& result : operation->outputs) {
      if (result.type.kind != mil::Type::Kind::kTensor ||
          result.type.dtype == DataType::kString ||
          (is_constant_op(*operation) && parameters.contains(result.name))) {
        continue;
      }
      visit(OpView(*operation, subject).place(), result.type);
    }
  }
}

// The longest chain of dependent operations, constants not counted, and the
// operation where it ends.
struct Chain {
  int64_t length = 0;
  const mil::Operation* end = nullptr;
};

Chain longest_chain(const mil::Function& function) {
  std::map<std::string_view, int64_t> depth;
  Chain longest;
  for (const mil::Operation* operation : all_operations(function)) {
    if (is_constant_op(*operation)) continue;
    int64_t length = 0;
    for (const NamedInput& input : references(*operation)) {
      const auto found = depth.find(input.name);
      if (found != depth.end()) length = std::max(length, found->second);
    }
    ++length;
    for (const mil::Var& result : operation->outputs) {
      depth[result.name] = length;
    }
    if (length > longest.length) longest = {length, operation};
  }
  return longest;
}

void unequal(std::string_view kind, std::span<const uint64_t> sizes,
             Findings& findings) {
  for (size_t i = 1; i < sizes.size(); ++i) {
    if (sizes[i] == sizes[0]) continue;
    findings.add("surfaces",
                 fmt::format("{} 0 is allocated with {} bytes and {} {} with "
                             "{}",
                             kind, sizes[0], kind, i, sizes[i]));
    return;
  }
}

}  // namespace

void missing_build_info(const Subject& subject, Findings& findings) {
  // A property of the program: said once, not for each function.
  if (&subject.function != &subject.program.functions.front()) return;
  for (const auto& [name, value] : subject.program.attributes) {
    const auto* items = std::get_if<mil::Value::Items>(&value.data);
    if (name != "buildInfo" || items == nullptr) continue;
    for (size_t i = 0; i + 1 < items->size(); i += 2) {  // key, value
      const auto* key = std::get_if<mil::Value::Strings>(&(*items)[i].data);
      if (key != nullptr && key->size() == 1 &&
          key->front().starts_with("coremlc-")) {
        return;
      }
    }
  }
  findings.add(std::string(subject.file),
               "the program has no buildInfo with a coremlc version");
}

void removed_outputs(const Subject& subject, Findings& findings) {
  for (const std::string& name : subject.function.body.outputs) {
    const mil::Operation* definition = subject.symbols.definition(name);
    std::string_view reason;
    if (definition == nullptr) {
      const bool is_input = subject.symbols.type(name) != nullptr;
      if (is_input) reason = "an input of the function";
    } else if (is_constant_op(*definition)) {
      reason = "a constant";
    } else if (definition->op == "identity") {
      reason = "an identity, which the compiler removes";
    }
    if (reason.empty()) continue;
    findings.add(port_place(subject, "output", name),
                 fmt::format("output '{}' is {}", name, reason));
  }
}

void blob_offsets(const Subject& subject, Findings& findings) {
  for (const mil::Operation* operation : all_operations(subject.function)) {
    for (const mil::Value* value : constants_of(*operation)) {
      const auto* blob = std::get_if<mil::BlobRef>(&value->data);
      if (blob == nullptr) continue;
      std::string_view reason;
      if (blob->offset == 0) {
        reason = "the file header";
      } else if (blob->offset == 128) {
        reason = "the data of the first record";
      } else if (blob->offset % 64 != 0) {
        reason = "not a multiple of 64";
      }
      if (reason.empty()) continue;
      findings.add(OpView(*operation, subject).place(),
                   fmt::format("BLOBFILE offset {} in {} is {}", blob->offset,
                               blob->path, reason),
                   operation);
    }
  }
}

void tiny_ports(const Subject& subject, Findings& findings) {
  constexpr int64_t kFailingElements = 16;  // [1, 4, 1, 4], as measured
  const auto look = [&](std::string_view kind, const std::string& name) {
    const mil::Type* type = subject.symbols.type(name);
    if (type == nullptr) return;
    const std::optional<int64_t> count = element_count(type->shape);
    if (!count || *count > kFailingElements) return;
    findings.add(port_place(subject, kind, name),
                 fmt::format("{} '{}' {} has {} elements", kind, name,
                             to_string(type->shape), *count));
  };
  for (const mil::Parameter& input : subject.function.body.inputs) {
    look("input", input.var.name);
  }
  for (const std::string& name : subject.function.body.outputs) {
    look("output", name);
  }
}

void narrow_inputs(const Subject& subject, Findings& findings) {
  for (const mil::Parameter& input : subject.function.body.inputs) {
    const Shape& shape = input.var.type.shape;
    if (shape.empty() || shape.back() < 0 || shape.back() >= 32) continue;
    findings.add(port_place(subject, "input", input.var.name),
                 fmt::format("input '{}' {} is {} elements wide; the engine "
                             "reads at least 32",
                             input.var.name, to_string(shape), shape.back()));
  }
}

void several_rank4_inputs(const Subject& subject, Findings& findings) {
  std::vector<std::string_view> names;
  for (const mil::Parameter& input : subject.function.body.inputs) {
    if (input.var.type.shape.size() == 4) names.push_back(input.var.name);
  }
  if (names.size() < 2) return;
  findings.add(
      port_place(subject, "input", names[1]),
      fmt::format("{} inputs have rank 4; at most one may", names.size()));
}

void too_many_ports(const Subject& subject, Findings& findings) {
  const mil::Block& body = subject.function.body;
  const size_t ports = body.inputs.size() + body.outputs.size();
  if (ports <= kMaxSurfaces) return;
  findings.add(std::string(subject.file),
               fmt::format("{} inputs and {} outputs need {} surfaces; at most "
                           "{} exist",
                           body.inputs.size(), body.outputs.size(), ports,
                           kMaxSurfaces));
}

void rank_above_5(const Subject& subject, Findings& findings) {
  each_tensor(subject, [&](const std::string& place, const mil::Type& type) {
    if (type.shape.size() <= kMaxRank) return;
    findings.add(place,
                 fmt::format("{} has rank {}, above {}", to_string(type.shape),
                             type.shape.size(), kMaxRank));
  });
}

void large_dimensions(const Subject& subject, Findings& findings) {
  const Chip& chip = subject.chip;
  each_tensor(subject, [&](const std::string& place, const mil::Type& type) {
    const size_t rank = type.shape.size();
    for (size_t i = 0; i < rank; ++i) {
      const bool is_spatial = rank >= 3 && i + 2 >= rank;
      const int64_t limit = is_spatial ? chip.max_spatial_dim : chip.max_dim;
      if (type.shape[i] <= limit) continue;
      findings.add(place, fmt::format("dimension {} of {} is {}, above {} on "
                                      "{}",
                                      i, to_string(type.shape), type.shape[i],
                                      limit, chip.name));
      return;
    }
  });
}

void chain_of_512(const Subject& subject, Findings& findings) {
  const Chain chain = longest_chain(subject.function);
  if (chain.length < 512) return;
  findings.add(OpView(*chain.end, subject).place(),
               fmt::format("a chain of {} operations; 512 end the compiler "
                           "service",
                           chain.length));
}

void chain_above_limit(const Subject& subject, Findings& findings) {
  const Chain chain = longest_chain(subject.function);
  const int64_t limit = subject.chip.max_depth;
  if (limit == 0 || chain.length <= limit) return;
  findings.add(OpView(*chain.end, subject).place(),
               fmt::format("a chain of {} operations, above {} on {}",
                           chain.length, limit, subject.chip.name));
}

void unequal_surfaces(const SurfaceSizes& sizes, const Chip& /*chip*/,
                      Findings& findings) {
  unequal("input", sizes.inputs, findings);
  unequal("output", sizes.outputs, findings);
}

void small_surfaces(const SurfaceSizes& sizes, const Chip& chip,
                    Findings& findings) {
  const auto look = [&](std::string_view kind, std::span<const uint64_t> all) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i] >= chip.min_surface) continue;
      findings.add("surfaces",
                   fmt::format("{} {} is allocated with {} bytes, below {} on "
                               "{}",
                               kind, i, all[i], chip.min_surface, chip.name));
    }
  };
  look("input", sizes.inputs);
  look("output", sizes.outputs);
}

void too_many_surfaces(const SurfaceSizes& sizes, const Chip& /*chip*/,
                       Findings& findings) {
  const size_t count = sizes.inputs.size() + sizes.outputs.size();
  if (count <= kMaxSurfaces) return;
  findings.add("surfaces", fmt::format("{} surfaces in one call, above {}",
                                       count, kMaxSurfaces));
}

}  // namespace aneroid::target
