// What was seen on the first generations, M1 above all, in raw programs.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "aneroid/target/checks.h"

namespace aneroid::target {
namespace {

// Function inputs are bound in alphabetical order (C002), so names decide
// which of two comes first.
std::optional<std::string> function_input(const OpView& view,
                                          std::string_view input) {
  const mil::Argument* argument = view.operation().input(input);
  if (argument == nullptr || view.producer(input) != nullptr) {
    return std::nullopt;
  }
  const auto* ref = std::get_if<mil::Ref>(&argument->bound);
  if (ref == nullptr) return std::nullopt;
  return ref->name;
}

bool is_scalar(const Shape& shape) {
  return std::ranges::all_of(shape, [](int64_t dim) { return dim == 1; });
}

// [1, C, S] with [1, 1, S]; of rank 4, [1, C, 1, 1] and [1, 1, 1, W].
bool is_safe_broadcast(const Shape& x, const Shape& y) {
  if (x.size() != y.size() || is_scalar(y)) return false;
  const size_t rank = x.size();
  if (rank == 3) return x[0] == y[0] && x[2] == y[2] && y[1] == 1;
  if (rank != 4) return false;
  const bool per_channel = y[1] == x[1] && y[2] == 1 && y[3] == 1;
  const bool per_column = y[3] == x[3] && y[1] == 1 && y[2] == 1;
  return y[0] == 1 && (per_channel || per_column);
}

bool all_equal(std::span<const uint64_t> sizes) {
  return std::ranges::adjacent_find(sizes, std::ranges::not_equal_to()) ==
         sizes.end();
}

}  // namespace

void mil_before_h13(const Subject& subject, Findings& findings) {
  findings.add(std::string(subject.file),
               fmt::format("{} has an engine of generation {}; MIL needs 13",
                           subject.chip.name, subject.chip.generation));
}

void avoided_names(const Subject& subject, Findings& findings) {
  constexpr std::array<std::string_view, 12> kAvoided = {
      "var", "diff", "mean", "std",   "eps", "x",
      "y",   "mul",  "add",  "rsqrt", "c",   "C"};
  const auto look = [&](std::string_view name, std::string place,
                        const mil::Operation* operation) {
    if (std::ranges::find(kAvoided, name) == kAvoided.end()) return;
    findings.add(std::move(place),
                 fmt::format("'{}' is among the names that failed", name),
                 operation);
  };
  for (const mil::Parameter& input : subject.function.body.inputs) {
    look(input.var.name,
         fmt::format("{} input '{}'", subject.file, input.var.name), nullptr);
  }
  for (const mil::Operation* operation : all_operations(subject.function)) {
    for (const mil::Var& result : operation->outputs) {
      look(result.name, OpView(*operation, subject).place(), operation);
    }
  }
}

void shared_weight_files(const Subject& subject, Findings& findings) {
  std::map<std::string_view, std::set<uint64_t>> records;
  for (const mil::Operation* operation : all_operations(subject.function)) {
    for (const mil::Value* value : constants_of(*operation)) {
      const auto* blob = std::get_if<mil::BlobRef>(&value->data);
      if (blob != nullptr) records[blob->path].insert(blob->offset);
    }
  }
  for (const auto& [path, offsets] : records) {
    if (offsets.size() < 2) continue;
    findings.add(std::string(subject.file),
                 fmt::format("{} holds {} constants", path, offsets.size()));
  }
}

OpFinding runtime_matmul_slots(const OpView& view) {
  if (!view.is("matmul")) return std::nullopt;
  const std::optional<std::string> x = function_input(view, "x");
  const std::optional<std::string> y = function_input(view, "y");
  if (!x || !y) return std::nullopt;
  for (const std::string_view operand : {"x", "y"}) {
    const std::optional<Shape> shape = view.shape(operand);
    if (shape && shape->size() == 2) {
      return fmt::format("matmul operand {} {} has rank 2", operand,
                         to_string(*shape));
    }
  }
  if (*x <= *y) return std::nullopt;
  return fmt::format(
      "input '{}' is bound before '{}', though it is the right "
      "operand of matmul",
      *y, *x);
}

OpFinding runtime_depthwise_weight(const OpView& view) {
  if (!view.is("conv") || !view.is_runtime("weight")) return std::nullopt;
  const int64_t groups = view.symbols().int_or(view.operation(), "groups", 1);
  if (groups <= 1) return std::nullopt;
  return fmt::format("a convolution of {} groups computes its weight", groups);
}

OpFinding sqrt_fusion(const OpView& view) {
  if (!view.is("real_div") && !view.is("mul")) return std::nullopt;
  for (const std::string_view operand : {"x", "y"}) {
    const mil::Operation* root = view.producer(operand);
    if (root == nullptr || root->op != "sqrt") continue;
    if (view.is("real_div")) {
      return fmt::format("operand {} of real_div is a square root", operand);
    }
    const std::optional<Shape> shape = view.shape(operand);
    if (shape && shape != view.result_shape()) {
      return fmt::format("mul broadcasts a square root {}", to_string(*shape));
    }
  }
  return std::nullopt;
}

OpFinding flat_elementwise(const OpView& view) {
  constexpr int64_t kLongest = 16384;
  const std::optional<Shape> shape = view.result_shape();
  if (!is_elementwise(view.operation()) || !shape || shape->size() != 2 ||
      (*shape)[0] != 1 || (*shape)[1] <= kLongest) {
    return std::nullopt;
  }
  return fmt::format("{} of {}, above [1, {}]", view.operation().op,
                     to_string(*shape), kLongest);
}

OpFinding unsafe_broadcast(const OpView& view) {
  if (!is_elementwise(view.operation())) return std::nullopt;
  const std::optional<Shape> x = view.shape("x");
  const std::optional<Shape> y = view.shape("y");
  if (!x || !y || *x == *y || is_safe_broadcast(*x, *y)) return std::nullopt;
  return fmt::format("{} broadcasts {} and {}", view.operation().op,
                     to_string(*x), to_string(*y));
}

OpFinding width_slice(const OpView& view) {
  if (view.is("slice_by_index") || view.is("slice_by_size")) {
    const std::vector<int64_t> begin =
        view.symbols().ints_or(view.operation(), "begin", {});
    if (begin.empty() || begin.back() == 0) return std::nullopt;
    return fmt::format("{} begins at {} of the width", view.operation().op,
                       begin.back());
  }
  if (!view.is("split")) return std::nullopt;
  const std::optional<Shape> x = view.shape("x");
  const int64_t axis = view.symbols().int_or(view.operation(), "axis", 0);
  if (!x || (axis != -1 && axis + 1 != static_cast<int64_t>(x->size()))) {
    return std::nullopt;
  }
  return "split cuts the width";
}

void unordered_surfaces(const SurfaceSizes& sizes, const Chip& /*chip*/,
                        Findings& findings) {
  if (!std::ranges::is_sorted(sizes.inputs)) {
    findings.add("surfaces", "input sizes do not ascend");
  } else if (!std::ranges::is_sorted(sizes.outputs, std::greater())) {
    findings.add("surfaces", "output sizes do not descend");
  }
}

void small_outputs(const SurfaceSizes& sizes, const Chip& /*chip*/,
                   Findings& findings) {
  if (all_equal(sizes.inputs) || all_equal(sizes.outputs)) return;
  findings.add("surfaces",
               fmt::format("{} outputs of several sizes beside inputs of "
                           "several sizes",
                           sizes.outputs.size()));
}

}  // namespace aneroid::target
