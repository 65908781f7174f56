// A program's operations as work for the engine.
#include <algorithm>
#include <span>

#include "aneroid/mil/ops.h"
#include "aneroid/target/timing.h"

namespace aneroid::target {
namespace {

using mil::Operation;
using mil::Symbols;

// What an op that is not for the array costs. Operands are passes of the
// elementwise engine over the larger of what is read and written; 1 shares a
// pass.
struct Cost {
  std::string_view name;
  Unit unit;
  int operands = 1;
};
// By name, where the op differs from its group.
constexpr Cost kOps[] = {
    {"cast", Unit::kNone},
    {"expand_dims", Unit::kNone},
    {"identity", Unit::kNone},
    {"reshape", Unit::kNone},
    {"squeeze", Unit::kNone},
    {"batch_norm", Unit::kElementwise, 1},
    {"softmax", Unit::kElementwise, 4},
    {"topk", Unit::kElementwise, 4},
};
// By the title of its group in the op table.
constexpr std::string_view kActivations = "Activations";
constexpr std::string_view kTwoOperands =
    "Element-wise, two operands (broadcast)";
constexpr Cost kGroups[] = {
    {kActivations, Unit::kElementwise, 1},
    {"Element-wise, one operand", Unit::kElementwise, 1},
    {kTwoOperands, Unit::kElementwise, 2},
    {"Convolution and pooling", Unit::kElementwise, 2},
    {"Normalisation", Unit::kElementwise, 4},
    {"Reduction", Unit::kElementwise, 2},
    {"Shape and data movement", Unit::kMovement, 1},
};

std::string_view group_of(std::string_view op) {
  const mil::OpDef* known = mil::find_op(op);
  return known == nullptr ? "" : known->group;
}

// Costs nothing where nothing is known: constants, states, buffers.
Cost cost_of(std::string_view op) {
  const auto by_name = [](std::span<const Cost> costs, std::string_view name) {
    return std::ranges::find(costs, name, &Cost::name);
  };
  const std::span<const Cost> ops(kOps);
  if (const auto found = by_name(ops, op); found != ops.end()) return *found;
  const std::span<const Cost> groups(kGroups);
  const auto found = by_name(groups, group_of(op));
  return found == groups.end() ? Cost{op, Unit::kNone} : *found;
}

class Counter {
 public:
  Counter(const Operation& operation, const Symbols& symbols)
      : operation_(operation), symbols_(symbols) {}

  Work work() const {
    Work work;
    work.op =
        operation_.outputs.empty() ? operation_.op : operation_.outputs[0].name;
    work.unit = Unit::kNone;
    if (operation_.is_constant() || operation_.outputs.empty()) return work;
    if (operation_.op == "conv" || operation_.op == "conv_transpose") {
      conv(work);
    } else if (operation_.op == "matmul" || operation_.op == "linear" ||
               operation_.op == "einsum") {
      matmul(work);
    } else if (operation_.op == "scaled_dot_product_attention") {
      work.unit = Unit::kAttention;
      work.elements = count(shape_of("query"));
    } else {
      by_table(work);
    }
    return work;
  }

  // What defines the weights of an array op; null when they are no constant,
  // or one that is written in place.
  const Operation* constant_weights() const {
    const Operation* from = source(weights_input());
    return from != nullptr && from->is_constant() ? from : nullptr;
  }

 private:
  static double count(const Shape& shape) {
    double elements = 1;
    for (const int64_t dim : shape) {
      elements *= static_cast<double>(std::max<int64_t>(1, dim));
    }
    return elements;
  }
  static int64_t dim(const Shape& shape, size_t from_end) {
    if (shape.size() < from_end) return 1;
    return std::max<int64_t>(1, shape[shape.size() - from_end]);
  }
  // The product of the dimensions from `begin` to `end` before the last,
  // limited so that products of two stay whole numbers.
  static int64_t product(const Shape& shape, size_t begin, size_t end) {
    double elements = 1;
    for (size_t i = begin; i < end && i < shape.size(); ++i) {
      elements *= static_cast<double>(std::max<int64_t>(1, shape[i]));
    }
    return static_cast<int64_t>(std::min(elements, 1e12));
  }

  Shape shape_of(std::string_view input) const {
    const mil::Argument* argument = operation_.input(input);
    if (argument == nullptr) return {};
    if (const auto* name = std::get_if<mil::Ref>(&argument->bound)) {
      const mil::Type* type = symbols_.type(name->name);
      return type == nullptr ? Shape{} : type->shape;
    }
    const auto* value = std::get_if<mil::Value>(&argument->bound);
    return value == nullptr ? Shape{} : value->type.shape;
  }
  const Shape& result() const { return operation_.outputs[0].type.shape; }

  const Operation* source(std::string_view input) const {
    const mil::Argument* argument = operation_.input(input);
    const auto* name =
        argument == nullptr ? nullptr : std::get_if<mil::Ref>(&argument->bound);
    return name == nullptr ? nullptr : symbols_.definition(name->name);
  }
  bool is_literal(std::string_view input) const {
    const mil::Argument* argument = operation_.input(input);
    return argument != nullptr &&
           std::holds_alternative<mil::Value>(argument->bound);
  }

  std::string_view weights_input() const {
    return operation_.op == "matmul" ? "y" : "weight";
  }

  // Where the weights come from and how they are stored.
  void weights(Work& work) const {
    const Operation* from = constant_weights();
    if (from == nullptr && !is_literal(weights_input())) {
      work.weights = Weights::kRuntime;
      return;
    }
    if (from == nullptr || from->op == "const") return;
    constexpr std::string_view kStored[] = {"quantized_data", "indices",
                                            "nonzero_data"};
    for (const std::string_view data : kStored) {
      const mil::Value* value = symbols_.constant(*from, data);
      if (value == nullptr) continue;
      if (data == "nonzero_data") {
        const double dense = count(from->outputs[0].type.shape);
        work.density = std::clamp(
            count(value->type.shape) / std::max(1.0, dense), 0.0, 1.0);
      } else {
        work.weight_bits = std::clamp(bits(value->type.dtype), 1, 16);
        work.palette = data == "indices";
      }
    }
    const Operation* activations = source("x");
    work.int8_activations = work.weight_bits <= 8 && activations != nullptr &&
                            activations->op == "dequantize";
  }

  void conv(Work& work) const {
    const Shape in = shape_of("x");
    const Shape kernel = shape_of("weight");
    work.unit = Unit::kArray;
    work.batch = in.empty() ? 1 : std::max<int64_t>(1, in[0]);
    work.in_channels = in.size() < 2 ? 1 : std::max<int64_t>(1, in[1]);
    work.out_channels =
        result().size() < 2 ? 1 : std::max<int64_t>(1, result()[1]);
    work.in_pixels = product(in, 2, in.size());
    work.out_pixels = product(result(), 2, result().size());
    // A transposed convolution multiplies once for every input pixel.
    if (operation_.op == "conv_transpose") work.out_pixels = work.in_pixels;
    work.kernel_width = dim(kernel, 1);
    work.kernel_height =
        kernel.size() > 3 ? product(kernel, 2, kernel.size() - 1) : 1;
    work.groups = std::clamp<int64_t>(symbols_.int_or(operation_, "groups", 1),
                                      1, work.in_channels);
    for (const int64_t one : symbols_.ints_or(operation_, "strides", {1})) {
      work.stride = std::max(work.stride, one);
    }
    for (const int64_t one : symbols_.ints_or(operation_, "dilations", {1})) {
      work.dilation = std::max(work.dilation, one);
    }
    weights(work);
  }

  void matmul(Work& work) const {
    const Shape x = shape_of("x");
    work.unit = Unit::kArray;
    const bool turned = operation_.op == "matmul" &&
                        symbols_.bool_or(operation_, "transpose_x", false);
    work.in_channels = dim(x, turned ? 2 : 1);
    work.out_channels = dim(result(), 1);
    weights(work);
    const size_t rank = result().size();
    if (work.weights == Weights::kRuntime) {
      // Batches have weights of their own.
      work.batch = rank > 2 ? product(result(), 0, rank - 2) : 1;
      work.in_pixels = work.out_pixels = dim(result(), 2);
    } else {
      work.in_pixels = work.out_pixels =
          rank > 1 ? product(result(), 0, rank - 1) : 1;
    }
  }

  void by_table(Work& work) const {
    const Cost cost = cost_of(operation_.op);
    // An op that the table lacks at least moves its result.
    const bool known = mil::find_op(operation_.op) != nullptr;
    work.unit = known ? cost.unit : Unit::kMovement;
    work.operands = cost.operands;
    work.elements = count(result());
    if (cost.unit == Unit::kElementwise) {
      work.elements = std::max(work.elements, count(shape_of("x")));
    }
    // Two tensors of one size are two passes; a vector or a constant beside
    // one tensor is not.
    if (group_of(operation_.op) == kTwoOperands &&
        (is_constant("x") || is_constant("y") ||
         count(shape_of("x")) != count(shape_of("y")))) {
      work.operands = 1;
    }
  }

  bool is_constant(std::string_view input) const {
    const Operation* from = source(input);
    return operation_.input(input) == nullptr || is_literal(input) ||
           (from != nullptr && from->is_constant());
  }

  const Operation& operation_;
  const Symbols& symbols_;
};

double tensor_bytes(const mil::Type& type) {
  const auto elements = element_count(type.shape);
  return static_cast<double>(elements.value_or(1)) *
         static_cast<double>(bytes(type.dtype));
}

// Collects the operations of a function in order.
class Collector {
 public:
  explicit Collector(const Symbols& symbols) : symbols_(symbols) {}

  void add(const mil::Block& block) {
    for (const Operation& operation : block.operations) {
      if (!operation.is_constant()) add(operation);
      for (const mil::Block& nested : operation.blocks) add(nested);
    }
  }
  std::vector<Work> take() { return std::move(works_); }

 private:
  void add(const Operation& operation) {
    const Counter counter(operation, symbols_);
    Work work = counter.work();
    // relu and its like are done on the way out of the array.
    if (group_of(operation.op) == kActivations && !works_.empty() &&
        works_.back().unit == Unit::kArray) {
      work.unit = Unit::kNone;
    }
    if (work.unit == Unit::kArray) {
      const Operation* weights = counter.constant_weights();
      if (weights != nullptr && weights == last_weights_) {
        work.weights = Weights::kShared;
      }
      last_weights_ = weights;
    }
    works_.push_back(std::move(work));
  }

  const Symbols& symbols_;
  std::vector<Work> works_;
  const Operation* last_weights_ = nullptr;  // of the array op before
};

}  // namespace

std::optional<Work> op_work(std::string_view op, double elements) {
  const Cost cost = cost_of(op);
  if (cost.unit == Unit::kNone) return std::nullopt;
  Work work;
  work.op = op;
  work.unit = cost.unit;
  work.operands = cost.operands;
  work.elements = elements;
  return work;
}

ProgramWork program_work(const mil::Program& program) {
  ProgramWork result;
  const mil::Function* function = program.function();
  if (function == nullptr && !program.functions.empty()) {
    function = &program.functions.front();
  }
  if (function == nullptr) return result;
  const Symbols symbols(*function);
  Collector collector(symbols);
  collector.add(function->body);
  result.works = collector.take();
  for (const mil::Parameter& parameter : function->body.inputs) {
    result.io_bytes += tensor_bytes(parameter.var.type);
  }
  for (const std::string& output : function->body.outputs) {
    const mil::Type* type = symbols.type(output);
    if (type != nullptr) result.io_bytes += tensor_bytes(*type);
  }
  return result;
}

}  // namespace aneroid::target
