// What Core ML leaves on the CPU, and what the compiler then refuses when it is
// called directly: the vocabulary, element types, quantised weights, flexible
// shapes.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/target/checks.h"
#include "aneroid/target/op_verdicts.h"

namespace aneroid::target {
namespace {

// Its operand, whether written as an input or, in constexpr ops, an attribute.
const mil::Type* operand_type(const OpView& view, std::string_view name) {
  if (const mil::Type* type = view.type(name)) return type;
  const mil::Value* attribute = view.operation().attribute(name);
  return attribute == nullptr ? nullptr : &attribute->type;
}

// How many scales a quantised tensor has along each axis.
struct Blocks {
  const mil::Type* data = nullptr;
  const mil::Type* scale = nullptr;

  static std::optional<Blocks> of(const OpView& view) {
    if (!view.is("constexpr_blockwise_shift_scale")) return std::nullopt;
    const Blocks blocks{operand_type(view, "data"),
                        operand_type(view, "scale")};
    if (blocks.data == nullptr || blocks.scale == nullptr ||
        blocks.data->shape.size() != blocks.scale->shape.size()) {
      return std::nullopt;
    }
    return blocks;
  }
  // Some axis has several scales, each for several elements.
  bool is_grouped() const {
    for (size_t axis = 0; axis < data->shape.size(); ++axis) {
      if (scale->shape[axis] > 1 && scale->shape[axis] < data->shape[axis]) {
        return true;
      }
    }
    return false;
  }
};

bool is_quantized_io(const mil::Operation& operation) {
  return operation.op == "quantize" || operation.op == "dequantize";
}

// Gone before an engine is asked: shape of a tensor whose shape is known.
bool is_folded(const OpView& view) {
  const OpEntry* entry = find_op(view.operation().op);
  return entry != nullptr && entry->on(view.path()) == OpVerdict::kFolded &&
         (view.operation().input("x") == nullptr || view.shape("x"));
}

// Index operands that Core ML was seen to prepare on the CPU and hand over
// (C075); the index result of topk stays with it.
bool is_tolerated_index(const mil::Operation& operation,
                        std::string_view input) {
  return (operation.op == "gather_nd" || operation.op == "gather_along_axis") &&
         input == "indices";
}

// What a comparison gives and select or another logical op takes.
bool makes_bool(std::string_view op) {
  constexpr std::array<std::string_view, 10> kOps = {
      "equal",         "not_equal",   "less",       "less_equal",
      "greater",       "logical_and", "logical_or", "logical_xor",
      "greater_equal", "logical_not"};
  return std::ranges::find(kOps, op) != kOps.end();
}

OpFinding bool_leg(const OpView& view, const NamedInput& input) {
  const mil::Operation* producer = view.symbols().definition(input.name);
  const bool on_engine = producer != nullptr && makes_bool(producer->op);
  const std::string_view op = view.operation().op;
  if (on_engine && (makes_bool(op) || op == "select")) return std::nullopt;
  if (!on_engine) {
    return fmt::format("{} takes the bool '{}', which no comparison computes",
                       op, input.name);
  }
  return fmt::format("{} takes the bool '{}'; only select and logical ops do",
                     op, input.name);
}

// Whether the texts of an attribute hold `word`.
bool mentions(const mil::Value& value, std::string_view word) {
  if (const auto* texts = std::get_if<mil::Value::Strings>(&value.data)) {
    return std::ranges::find(*texts, word) != texts->end();
  }
  const auto* items = std::get_if<mil::Value::Items>(&value.data);
  return items != nullptr &&
         std::ranges::any_of(*items, [word](const mil::Value& item) {
           return mentions(item, word);
         });
}

bool has_enumerated_shapes(const Subject& subject) {
  return std::ranges::any_of(
      subject.function.attributes, [](const auto& attribute) {
        return mentions(attribute.second, "EnumeratedShapes");
      });
}

}  // namespace

void state_width(const Subject& subject, Findings& findings) {
  for (const mil::Parameter& input : subject.function.body.inputs) {
    const mil::Type& type = input.var.type;
    if (type.kind != mil::Type::Kind::kState || type.args.empty()) continue;
    const Shape& shape = type.args.front().shape;
    if (shape.empty() || shape.back() < 0 || shape.back() % 32 == 0) continue;
    findings.add(fmt::format("{} input '{}'", subject.file, input.var.name),
                 fmt::format("state '{}' {} is {} wide, not a multiple of 32",
                             input.var.name, to_string(shape), shape.back()));
  }
}

OpFinding dilated_kernel_width(const OpView& view) {
  const int64_t limit = view.chip().max_kernel_width;
  const std::optional<Shape> weight = view.shape("weight");
  if (!view.is("conv") || limit == 0 || !weight || weight->size() < 3) {
    return std::nullopt;
  }
  const std::vector<int64_t> dilations =
      view.symbols().ints_or(view.operation(), "dilations", {});
  if (dilations.empty() || dilations.back() <= 1) return std::nullopt;
  // Both are bounded before they are multiplied: the text is not trusted.
  const int64_t step = std::min<int64_t>(dilations.back(), limit + 1);
  const int64_t width = std::min<int64_t>(weight->back(), limit + 1);
  if ((width - 1) * step + 1 <= limit) return std::nullopt;
  return fmt::format("kernel width {} dilated by {}, above {} on {}",
                     weight->back(), dilations.back(), limit, view.chip().name);
}

OpFinding upsample_factor(const OpView& view) {
  if (!view.is("upsample_bilinear") && !view.is("upsample_nearest_neighbor")) {
    return std::nullopt;
  }
  for (const std::string_view side :
       {"scale_factor_height", "scale_factor_width"}) {
    const double factor = view.symbols().double_or(view.operation(), side, 1);
    if (factor != 2) return fmt::format("{} is {}, not 2", side, factor);
  }
  return std::nullopt;
}

OpFinding old_layer_limits(const OpView& view) {
  if (view.is("pad") && view.symbols().string_or(view.operation(), "mode",
                                                 "constant") == "constant") {
    const double value =
        view.symbols().double_or(view.operation(), "constant_val", 0);
    if (value != 0) return fmt::format("pad fills with {}, not 0", value);
  }
  if (view.is("non_maximum_suppression")) {
    const std::optional<Shape> boxes = view.shape("boxes");
    if (boxes && boxes->size() == 3 && (*boxes)[1] > 2048) {
      return fmt::format("{} boxes, above 2048", (*boxes)[1]);
    }
  }
  return std::nullopt;
}

OpFinding integer_leg(const OpView& view) {
  const mil::Operation& operation = view.operation();
  if (is_constant_op(operation) || is_quantized_io(operation) ||
      is_folded(view)) {
    return std::nullopt;
  }
  for (const NamedInput& input : references(operation)) {
    const mil::Type* type = view.symbols().type(input.name);
    const mil::Operation* producer = view.symbols().definition(input.name);
    if (type == nullptr || type->kind != mil::Type::Kind::kTensor ||
        (producer != nullptr && is_constant_op(*producer))) {
      continue;
    }
    if (type->dtype == DataType::kBool) {
      if (OpFinding finding = bool_leg(view, input)) return finding;
    } else if (is_integer(type->dtype) &&
               !is_tolerated_index(operation, input.input)) {
      return fmt::format("{} takes the {} '{}'", operation.op,
                         name(type->dtype), input.name);
    }
  }
  if (operation.op == "topk") return std::nullopt;
  for (const mil::Var& result : operation.outputs) {
    if (result.type.kind == mil::Type::Kind::kTensor &&
        (is_integer(result.type.dtype) ||
         (result.type.dtype == DataType::kBool && operation.op == "cast"))) {
      return fmt::format("{} gives {}", operation.op, name(result.type.dtype));
    }
  }
  return std::nullopt;
}

OpFinding op_without_form(const OpView& view) {
  const mil::Operation& operation = view.operation();
  const OpEntry* entry = find_op(operation.op);
  if (entry == nullptr || entry->on(view.path()) != OpVerdict::kRejected) {
    return std::nullopt;
  }
  // Writing into a cache that lives in a state is how Core ML does it.
  const mil::Operation* source = view.producer("x");
  if (operation.op == "slice_update" && source != nullptr &&
      source->op == "read_state") {
    return std::nullopt;
  }
  return fmt::format("the engine has no form of {} ({})", operation.op,
                     entry->conditions);
}

OpFinding lookup_by_block(const OpView& view) {
  if (view.is("constexpr_lut_to_dense") &&
      (view.operation().input("vector_axis") != nullptr ||
       view.operation().attribute("vector_axis") != nullptr)) {
    return "the palette holds vectors";
  }
  const std::optional<Blocks> blocks = Blocks::of(view);
  if (!blocks || bits(blocks->data->dtype) > 4 || !blocks->is_grouped()) {
    return std::nullopt;
  }
  return fmt::format("{} weights {} have scales {}", name(blocks->data->dtype),
                     to_string(blocks->data->shape),
                     to_string(blocks->scale->shape));
}

OpFinding scale_along_sum(const OpView& view) {
  if (!view.is("conv")) return std::nullopt;
  const auto axis_of = [&](std::string_view operand) -> std::optional<int64_t> {
    const mil::Operation* source = view.producer(operand);
    if (source == nullptr || (source->op != "dequantize" &&
                              source->op != "constexpr_affine_dequantize")) {
      return std::nullopt;
    }
    const mil::Value* scale = view.symbols().constant(*source, "scale");
    if (scale == nullptr || scale->type.shape.empty() ||
        scale->type.shape.front() <= 1) {
      return std::nullopt;  // one scale for the tensor
    }
    return view.symbols().int_or(*source, "axis", 0);
  };
  // A convolution sums over axis 1 of both operands.
  for (const std::string_view operand : {"x", "weight"}) {
    const std::optional<int64_t> axis = axis_of(operand);
    if (axis && *axis == 1) {
      return fmt::format("{} of conv has scales along axis 1, which is summed",
                         operand);
    }
  }
  return std::nullopt;
}

OpFinding grouped_scales(const OpView& view) {
  const std::optional<Blocks> blocks = Blocks::of(view);
  if (!blocks || !blocks->is_grouped()) return std::nullopt;
  return fmt::format("weights {} have grouped scales {}",
                     to_string(blocks->data->shape),
                     to_string(blocks->scale->shape));
}

void enumerated_layer_norm(const Subject& subject, Findings& findings) {
  if (!has_enumerated_shapes(subject)) return;
  for (const mil::Operation* operation : all_operations(subject.function)) {
    if (operation->op != "layer_norm") continue;
    findings.add(OpView(*operation, subject).place(),
                 "layer_norm in a function of enumerated shapes", operation);
  }
}

void flexible_inputs(const Subject& subject, Findings& findings) {
  for (const mil::Parameter& input : subject.function.body.inputs) {
    const Shape& shape = input.var.type.shape;
    if (std::ranges::none_of(shape, [](int64_t dim) { return dim < 0; })) {
      continue;
    }
    findings.add(fmt::format("{} input '{}'", subject.file, input.var.name),
                 fmt::format("input '{}' has the open shape {}", input.var.name,
                             to_string(shape)));
  }
}

}  // namespace aneroid::target
