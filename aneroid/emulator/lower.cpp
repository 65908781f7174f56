#include "aneroid/emulator/lower.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/emulator/silent.h"

namespace aneroid::emulator {
namespace {

struct ElementwiseRow {
  std::string_view op;
  Code code;
};

// Ops whose inputs are x (and y) and which the fused interpreter evaluates.
constexpr std::array kElementwise = {
    ElementwiseRow{"add", Code::kAdd},
    ElementwiseRow{"sub", Code::kSub},
    ElementwiseRow{"mul", Code::kMul},
    ElementwiseRow{"real_div", Code::kDiv},
    ElementwiseRow{"maximum", Code::kMax},
    ElementwiseRow{"minimum", Code::kMin},
    ElementwiseRow{"pow", Code::kPow},
    ElementwiseRow{"sqrt", Code::kSqrt},
    ElementwiseRow{"exp", Code::kExp},
    ElementwiseRow{"abs", Code::kAbs},
    ElementwiseRow{"square", Code::kSquare},
    ElementwiseRow{"sigmoid", Code::kSigmoid},
    ElementwiseRow{"silu", Code::kSilu},
    ElementwiseRow{"tanh", Code::kTanh},
    ElementwiseRow{"relu", Code::kRelu},
    ElementwiseRow{"erf", Code::kErf},
    ElementwiseRow{"cast", Code::kCopy},
    ElementwiseRow{kCropTransfer, Code::kCropTransfer},
};
// Ops that the engine looks up in tables; in other numerics interpreted.
constexpr std::array kTableOps = {
    ElementwiseRow{"exp2", Code::kExp2},
    ElementwiseRow{"log", Code::kLog},
    ElementwiseRow{"rsqrt", Code::kRsqrt},
    ElementwiseRow{"inverse", Code::kInverse},
    ElementwiseRow{"gelu", Code::kGelu},
    ElementwiseRow{"sin", Code::kSin},
    ElementwiseRow{"cos", Code::kCos},
};
constexpr std::array kReductions = {
    ElementwiseRow{"reduce_sum", Code::kRowSum},
    ElementwiseRow{"reduce_mean", Code::kRowMean},
    ElementwiseRow{"reduce_max", Code::kRowMax},
};

template <size_t N>
const Code* find_code(const std::array<ElementwiseRow, N>& rows,
                      std::string_view op) {
  for (const ElementwiseRow& row : rows) {
    if (row.op == op) return &row.code;
  }
  return nullptr;
}

bool float_type(const mil::Type& type) {
  return type.dtype == DataType::kFp16 || type.dtype == DataType::kFp32;
}

}  // namespace

Lowering::Lowering(const mil::Program& program,
                   const device::Signature& signature,
                   const device::WeightMap& weights, Plan& plan)
    : function_(*program.function()),
      program_(program),
      signature_(signature),
      plan_(plan),
      symbols_(function_),
      constants_(function_, symbols_, weights, plan.numerics) {}

Result<std::vector<Node>> Lowering::run() {
  const auto add_port = [&](Buffer::Place place, size_t port,
                            const device::PortInfo& info) {
    Buffer buffer;
    buffer.place = place;
    buffer.storage = storage_of(info.dtype, plan_.numerics);
    buffer.elements = *element_count(info.shape);
    buffer.port = port;
    plan_.buffers.push_back(std::move(buffer));
    return static_cast<int>(plan_.buffers.size()) - 1;
  };
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    const device::PortInfo& info = signature_.inputs[i];
    const int buffer = add_port(Buffer::Place::kInput, i, info);
    define(info.name, dense_view(buffer, info.shape), -1, false);
  }
  for (size_t i = 0; i < signature_.outputs.size(); ++i) {
    output_buffers_.push_back(
        add_port(Buffer::Place::kOutput, i, signature_.outputs[i]));
  }
  placements_ = place_results(
      function_, symbols_, output_buffers_, signature_,
      [&](std::string_view name) {
        return symbols_.definition(name) != nullptr &&
               !constants_.is_constant(name);
      },
      plan_);
  for (const mil::Operation& operation : function_.body.operations) {
    if (constants_.is_constant(operation.outputs.empty()
                                   ? std::string_view{}
                                   : operation.outputs[0].name)) {
      continue;  // read when used
    }
    ANEROID_TRY(lower(operation));
  }
  ANEROID_TRY(finish_outputs());
  return std::move(nodes_);
}

Status Lowering::lower(const mil::Operation& operation) {
  static constexpr std::string_view kShapeOps[] = {
      "reshape",  "transpose",   "slice_by_size", "slice_by_index",
      "identity", "expand_dims", "squeeze"};
  const std::string& op = operation.op;
  if (std::ranges::find(kShapeOps, op) != std::end(kShapeOps)) {
    return shape_op(operation);
  }
  if (op == "concat" && !symbols_.bool_or(operation, "interleave", false)) {
    return concat(operation);
  }
  if (op == "split") return split(operation);
  // The fused interpreter and GEMM work on floats only.
  const bool floats =
      operation.outputs.size() == 1 && float_type(operation.outputs[0].type) &&
      std::all_of(operation.inputs.begin(), operation.inputs.end(),
                  [&](const auto& input) {
                    if (input.first != "x" && input.first != "y") return true;
                    const auto names = names_of(input.second);
                    return !names.empty() &&
                           float_type(*symbols_.type(names[0]));
                  });
  if (floats) {
    const Code* table_code =
        plan_.numerics == Numerics::kExact ? find_code(kTableOps, op) : nullptr;
    if (table_code != nullptr) return elementwise(operation, *table_code);
    if (const Code* code = find_code(kElementwise, op)) {
      return elementwise(operation, *code);
    }
    if (const Code* code = find_code(kReductions, op)) {
      return reduce(operation, *code);
    }
    if (op == "softmax") return softmax(operation);
    if (op == "matmul") return matmul(operation);
    if (op == "conv") return conv(operation);
  }
  return interpret(operation);
}

bool Lowering::rounds(const mil::Type& type) const {
  return storage_of(type.dtype, plan_.numerics) == cpu::Storage::kHalf;
}

int Lowering::new_buffer(const mil::Type& type) {
  Buffer buffer;
  buffer.storage = storage_of(type.dtype, plan_.numerics);
  buffer.elements = *element_count(type.shape);
  plan_.buffers.push_back(std::move(buffer));
  return static_cast<int>(plan_.buffers.size()) - 1;
}

View Lowering::destination(const mil::Var& result) {
  const auto placed = placements_.find(result.name);
  return placed != placements_.end()
             ? placed->second
             : dense_view(new_buffer(result.type), result.type.shape);
}

void Lowering::define(const std::string& name, const View& view, int producer,
                      bool linear) {
  slots_[name] = Slot{view, producer, linear, producer};
}

Result<Slot> Lowering::slot(const std::string& name) {
  if (const auto known = slots_.find(name); known != slots_.end()) {
    return known->second;
  }
  // Only constants are defined on demand.
  const mil::Type& type = *symbols_.type(name);
  ANEROID_ASSIGN(auto bytes, constants_.bytes(name));
  const int buffer = new_buffer(type);
  plan_.buffers.back().place = Buffer::Place::kConstant;
  plan_.buffers.back().constant = std::move(bytes);
  define(name, dense_view(buffer, type.shape), -1, false);
  return slots_.at(name);
}

Result<Slot> Lowering::input(const mil::Operation& operation,
                             std::string_view name) {
  return slot(names_of(*operation.input(name)).at(0));
}

Result<Operand> Lowering::operand(const std::string& name, const Shape& shape) {
  Operand result;
  if (constants_.is_constant(name) &&
      element_count(symbols_.type(name)->shape) == 1) {
    ANEROID_ASSIGN(result.immediate, constants_.scalar(name));
    return result;
  }
  ANEROID_ASSIGN(result.slot, slot(name));
  result.broadcast = broadcast_view(result.slot.view, shape);
  return result;
}

void Lowering::add_fused(const mil::Operation& operation, Code code,
                         std::vector<Operand> operands, const Shape& shape,
                         const View& out, bool reduces, bool must_store) {
  Node node;
  node.op = operation.op;
  node.fusible = true;
  node.code = code;
  node.inputs = std::move(operands);
  node.out = out;
  node.shape = shape;
  node.round = rounds(operation.outputs[0].type);
  node.reduces = reduces;
  node.must_store = must_store;
  nodes_.push_back(std::move(node));
}

void Lowering::add_step(Step step, const std::vector<const Slot*>& reads) {
  Node node;
  node.op = step.op;
  node.step = std::move(step);
  for (const Slot* slot : reads) node.reads.push_back(slot->producer);
  nodes_.push_back(std::move(node));
}

Slot Lowering::copy(const Slot& from, std::string op, const View* target) {
  Node node;
  node.op = std::move(op);
  node.fusible = true;
  node.code = Code::kCopy;
  node.shape = from.view.dims;
  node.inputs.push_back({from, from.view, std::nullopt});
  node.must_store = target != nullptr;
  if (target != nullptr) {
    node.out = *target;
  } else {
    Buffer buffer;
    buffer.storage =
        plan_.buffers[static_cast<size_t>(from.view.buffer)].storage;
    buffer.elements = from.view.count();
    plan_.buffers.push_back(std::move(buffer));
    node.out =
        dense_view(static_cast<int>(plan_.buffers.size()) - 1, from.view.dims);
  }
  const View out = node.out;
  nodes_.push_back(std::move(node));
  const int producer = static_cast<int>(nodes_.size()) - 1;
  return {out, producer, true, producer};
}

Slot Lowering::reshaped(const Slot& from, const Shape& dims) {
  if (const auto view = reshape_view(from.view, dims)) {
    Slot result = from;
    result.view = *view;
    return result;
  }
  Slot result = copy(from, "copy");
  result.view = *reshape_view(result.view, dims);
  return result;
}

Status Lowering::bind_view(const mil::Var& result, const Slot& slot) {
  const auto placed = placements_.find(result.name);
  if (placed != placements_.end() &&
      !same_elements(placed->second, slot.view)) {
    slots_[result.name] = copy(slot, "copy", &placed->second);
  } else {
    slots_[result.name] = slot;
  }
  return {};
}

Status Lowering::shape_op(const mil::Operation& operation) {
  const mil::Var& result = operation.outputs[0];
  ANEROID_ASSIGN(Slot from, input(operation, "x"));
  const size_t rank = from.view.dims.size();
  Slot to = from;
  if (operation.op == "transpose") {
    std::vector<int64_t> perm = symbols_.ints_or(operation, "perm", {});
    for (int64_t& axis : perm) {
      axis = static_cast<int64_t>(normal_axis(axis, rank));
    }
    to.view = transpose_view(from.view, perm);
    to.linear = from.linear && std::is_sorted(perm.begin(), perm.end());
  } else if (operation.op == "slice_by_size" ||
             operation.op == "slice_by_index") {
    const Shape stride = symbols_.ints_or(operation, "stride", Shape(rank, 1));
    if (std::ranges::any_of(stride, [](int64_t s) { return s < 1; })) {
      return interpret(operation);
    }
    const std::vector<int64_t> begin_mask =
        symbols_.ints_or(operation, "begin_mask", Shape(rank, 0));
    const std::vector<int64_t> squeeze_mask =
        symbols_.ints_or(operation, "squeeze_mask", Shape(rank, 0));
    Shape begin = symbols_.ints_or(operation, "begin", {});
    if (begin.size() != rank) return interpret(operation);
    // The sizes are those of the result, squeezed dimensions put back as 1.
    Shape size;
    size_t next = 0;
    for (size_t i = 0; i < rank; ++i) {
      if (begin_mask[i] != 0) begin[i] = 0;
      if (begin[i] < 0) begin[i] += from.view.dims[i];
      size.push_back(squeeze_mask[i] != 0 ? 1 : result.type.shape[next++]);
    }
    to.view = slice_view(from.view, begin, size, stride);
    to.linear = false;
    to = reshaped(to, result.type.shape);
  } else {
    to = reshaped(from, result.type.shape);
  }
  return bind_view(result, to);
}

Status Lowering::concat(const mil::Operation& operation) {
  const mil::Var& result = operation.outputs[0];
  const View whole = placements_.at(result.name);
  const std::vector<View> parts = concat_parts(operation, symbols_, whole);
  const std::vector<std::string> names = names_of(*operation.input("values"));
  int ready = -1;
  for (size_t i = 0; i < names.size(); ++i) {
    ANEROID_ASSIGN(Slot from, slot(names[i]));
    if (!same_elements(from.view, parts[i])) {
      from = copy(from, "concat", &parts[i]);
    }
    ready = std::max(ready, from.ready);
  }
  slots_[result.name] = Slot{whole, -1, false, ready};
  return {};
}

Status Lowering::split(const mil::Operation& operation) {
  ANEROID_ASSIGN(const Slot from, input(operation, "x"));
  const size_t rank = from.view.dims.size();
  const size_t axis = normal_axis(symbols_.int_or(operation, "axis", 0), rank);
  Shape begin(rank, 0);
  for (const mil::Var& result : operation.outputs) {
    Slot part = from;
    part.view = slice_view(from.view, begin, result.type.shape, Shape(rank, 1));
    part.linear = false;
    begin[axis] += result.type.shape[axis];
    ANEROID_TRY(bind_view(result, part));
  }
  return {};
}

Status Lowering::elementwise(const mil::Operation& operation, Code code) {
  const mil::Var& result = operation.outputs[0];
  const Shape& shape = result.type.shape;
  std::vector<Operand> operands;
  for (const std::string_view name : {"x", "y"}) {
    const mil::Argument* argument = operation.input(name);
    if (argument == nullptr) continue;
    ANEROID_ASSIGN(Operand next, operand(names_of(*argument).at(0), shape));
    operands.push_back(std::move(next));
  }
  add_fused(operation, code, std::move(operands), shape, destination(result),
            false, placements_.contains(result.name));
  const int producer = static_cast<int>(nodes_.size()) - 1;
  define(result.name, nodes_.back().out, producer, true);
  return {};
}

Status Lowering::reduce(const mil::Operation& operation, Code code) {
  const mil::Var& result = operation.outputs[0];
  ANEROID_ASSIGN(const Slot from, input(operation, "x"));
  const size_t rank = from.view.dims.size();
  Shape all(rank);
  std::iota(all.begin(), all.end(), 0);
  Shape axes = symbols_.ints_or(operation, "axes", all);
  for (int64_t& axis : axes) {
    axis = static_cast<int64_t>(normal_axis(axis, rank));
  }
  std::sort(axes.begin(), axes.end());
  if (axes.empty()) return interpret(operation);
  const bool placed = placements_.contains(result.name);
  const View out = destination(result);

  // Bring it to [outer, reduced, inner] without changing the order of what
  // is kept: inner are the dimensions after the last reduced one.
  std::vector<int64_t> perm;
  int64_t outer = 1;
  int64_t reduced = 1;
  int64_t inner = 1;
  for (size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<int64_t>(i);
    const bool is_reduced = std::ranges::find(axes, axis) != axes.end();
    const bool is_inner = axis > axes.back();
    if (!is_reduced && !is_inner) perm.push_back(axis);
    if (is_reduced) reduced *= from.view.dims[i];
    if (is_inner) inner *= from.view.dims[i];
    if (!is_reduced && !is_inner) outer *= from.view.dims[i];
  }
  perm.insert(perm.end(), axes.begin(), axes.end());
  for (auto axis = axes.back() + 1; axis < static_cast<int64_t>(rank); ++axis) {
    perm.push_back(axis);
  }
  Slot ordered = from;
  ordered.view = transpose_view(from.view, perm);
  ordered.linear = false;
  if (inner == 1) {
    const Slot rows = std::is_sorted(perm.begin(), perm.end())
                          ? reshaped(from, {outer, reduced})
                          : reshaped(ordered, {outer, reduced});
    if (const auto row_out = reshape_view(out, {outer, 1})) {
      Operand in{rows, rows.view, std::nullopt};
      add_fused(operation, code, {in}, rows.view.dims, *row_out, true, placed);
      define(result.name, out, static_cast<int>(nodes_.size()) - 1, true);
      return {};
    }
  }
  const Slot source = reshaped(ordered, {outer, reduced, inner});
  const auto flat_out = reshape_view(out, {outer, inner});
  ColumnReduceStep step;
  step.code = code;
  step.round = rounds(result.type);
  step.in = source.view;
  step.out = flat_out ? *flat_out
                      : dense_view(new_buffer(result.type), {outer, inner});
  add_step({operation.op, step}, {&source});
  const int producer = static_cast<int>(nodes_.size()) - 1;
  if (flat_out) {
    define(result.name, out, producer, true);
    return {};
  }
  const Slot written{step.out, producer, true, producer};
  return bind_view(result, reshaped(written, result.type.shape));
}

Status Lowering::softmax(const mil::Operation& operation) {
  const mil::Var& result = operation.outputs[0];
  ANEROID_ASSIGN(const Slot from, input(operation, "x"));
  const size_t rank = from.view.dims.size();
  const size_t axis = normal_axis(symbols_.int_or(operation, "axis", -1), rank);
  const View out = destination(result);
  const bool placed = placements_.contains(result.name);
  if (axis + 1 == rank) {
    Operand in{from, from.view, std::nullopt};
    add_fused(operation, Code::kRowSoftmax, {in}, from.view.dims, out, false,
              placed);
    define(result.name, out, static_cast<int>(nodes_.size()) - 1, true);
    return {};
  }
  // Along another axis: the same rows, seen through transposed views.
  std::vector<int64_t> perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[axis], perm[rank - 1]);
  Operand in{from, transpose_view(from.view, perm), std::nullopt};
  in.slot.linear = false;
  in.slot.view = in.broadcast;
  const View turned = transpose_view(out, perm);
  add_fused(operation, Code::kRowSoftmax, {in}, turned.dims, turned, false,
            true);
  define(result.name, out, static_cast<int>(nodes_.size()) - 1, false);
  return {};
}

void Lowering::add_gemm(const std::string& op, const cpu::GemmShape& shape,
                        const Slot& a, const Slot& b, const View& c) {
  // Views are [batch..., rows, columns] with equal batch dimensions.
  const size_t batch_rank = c.dims.size() - 2;
  const auto batch_part = [&](const Shape& whole) {
    return Shape(whole.begin(), whole.begin() + batch_rank);
  };
  Shape dims = batch_part(c.dims);
  Shape sa = batch_part(a.view.strides);
  Shape sb = batch_part(b.view.strides);
  Shape sc = batch_part(c.strides);
  coalesce(dims, {&sa, &sb, &sc});

  GemmStep step;
  step.shape = shape;
  step.a_buffer = a.view.buffer;
  step.b_buffer = b.view.buffer;
  step.c_buffer = c.buffer;
  step.a_row = a.view.strides[batch_rank];
  step.a_col = a.view.strides[batch_rank + 1];
  step.b_row = b.view.strides[batch_rank];
  step.b_col = b.view.strides[batch_rank + 1];
  step.c_row = c.strides[batch_rank];
  step.c_col = c.strides[batch_rank + 1];
  if (!dims.empty()) {
    step.batch = {dims.back(), sa.back(), sb.back(), sc.back()};
    dims.pop_back();
  }
  // Outer batch dimensions that do not step as one become several steps.
  int64_t outer = 1;
  for (const int64_t dim : dims) outer *= dim;
  for (int64_t index = 0; index < outer; ++index) {
    step.a_offset = a.view.offset;
    step.b_offset = b.view.offset;
    step.c_offset = c.offset;
    int64_t rest = index;
    for (size_t i = dims.size(); i-- > 0;) {
      step.a_offset += rest % dims[i] * sa[i];
      step.b_offset += rest % dims[i] * sb[i];
      step.c_offset += rest % dims[i] * sc[i];
      rest /= dims[i];
    }
    add_step({op, step}, {&a, &b});
  }
}

Status Lowering::matmul(const mil::Operation& operation) {
  const mil::Var& result = operation.outputs[0];
  ANEROID_ASSIGN(Slot a, input(operation, "x"));
  ANEROID_ASSIGN(Slot b, input(operation, "y"));
  const size_t rank = result.type.shape.size();
  if (a.view.dims.size() < 2 || b.view.dims.size() < 2 || rank < 2) {
    return interpret(operation);
  }
  const auto prepare = [&](Slot& slot, std::string_view flag) {
    const size_t own = slot.view.dims.size();
    if (symbols_.bool_or(operation, flag, false)) {
      std::swap(slot.view.dims[own - 1], slot.view.dims[own - 2]);
      std::swap(slot.view.strides[own - 1], slot.view.strides[own - 2]);
    }
    Shape dims = result.type.shape;
    dims[rank - 2] = slot.view.dims[own - 2];
    dims[rank - 1] = slot.view.dims[own - 1];
    slot.view = broadcast_view(slot.view, dims);
  };
  prepare(a, "transpose_x");
  prepare(b, "transpose_y");
  const cpu::GemmShape shape{result.type.shape[rank - 2],
                             result.type.shape[rank - 1],
                             a.view.dims[rank - 1]};
  const View out = destination(result);
  add_gemm("matmul", shape, a, b, out);
  define(result.name, out, static_cast<int>(nodes_.size()) - 1, true);
  return {};
}

Result<double> Lowering::use_integers(const mil::Operation& operation, Slot& x,
                                      Slot& weight) {
  // One scale for the whole tensor and no zero point: what was measured. A
  // bias beside int8 sums was not.
  const auto scale_of = [&](const mil::Operation* source, std::string_view op) {
    if (source == nullptr || source->op != op) return 0.0;
    if (const mil::Value* zero = symbols_.constant(*source, "zero_point")) {
      const std::vector<int64_t> values = mil::as_ints(*zero);
      if (values.empty() || std::ranges::any_of(values, [](int64_t value) {
            return value != 0;
          })) {
        return 0.0;
      }
    }
    const mil::Value* scale = symbols_.constant(*source, "scale");
    if (scale == nullptr || element_count(scale->type.shape) != 1) return 0.0;
    const std::vector<double> values = mil::as_doubles(*scale);
    return values.empty() ? 0.0 : values[0];
  };
  const std::string x_name = names_of(*operation.input("x")).at(0);
  const std::string weight_name = names_of(*operation.input("weight")).at(0);
  const mil::Operation* dequantize = symbols_.definition(x_name);
  const double x_scale = scale_of(dequantize, "dequantize");
  const double weight_scale =
      scale_of(symbols_.definition(weight_name), "constexpr_affine_dequantize");
  if (x_scale <= 0 || weight_scale <= 0 || operation.input("bias") != nullptr ||
      symbols_.type(weight_name)->dtype != DataType::kFp16) {
    return 0.0;
  }
  const std::string quantized = names_of(*dequantize->input("input")).at(0);
  if (symbols_.type(quantized)->dtype != DataType::kInt8) return 0.0;
  ANEROID_ASSIGN(x, slot(quantized));
  // fp16 is fine enough to tell int8 multiples of the scale apart.
  ANEROID_ASSIGN(const std::vector<std::byte> halves,
                 constants_.bytes(weight_name));
  Buffer numbers;
  numbers.place = Buffer::Place::kConstant;
  numbers.storage = cpu::Storage::kFloat;
  numbers.elements = weight.view.count();
  numbers.constant.resize(numbers.bytes());
  for (int64_t i = 0; i < numbers.elements; ++i) {
    const double value = static_cast<double>(
        to_float(reinterpret_cast<const Half*>(halves.data())[i]));
    reinterpret_cast<float*>(numbers.constant.data())[i] =
        static_cast<float>(std::round(value / weight_scale));
  }
  plan_.buffers.push_back(std::move(numbers));
  weight.view =
      dense_view(static_cast<int>(plan_.buffers.size()) - 1, weight.view.dims);
  weight.producer = -1;
  return x_scale * weight_scale;
}

Status Lowering::conv(const mil::Operation& operation) {
  const mil::Var& result = operation.outputs[0];
  ANEROID_ASSIGN(Slot x, input(operation, "x"));
  ANEROID_ASSIGN(Slot weight, input(operation, "weight"));
  if (x.view.dims.size() != 4 || x.view.dims[0] != 1) {
    return interpret(operation);
  }
  double integer_scale = 0.0;
  if (plan_.numerics == Numerics::kExact) {
    ANEROID_ASSIGN(integer_scale, use_integers(operation, x, weight));
  }
  const Shape& w = weight.view.dims;  // [out, in / groups, kh, kw]
  const int64_t groups = symbols_.int_or(operation, "groups", 1);
  const Shape strides = symbols_.ints_or(operation, "strides", {1, 1});
  const Shape dilations = symbols_.ints_or(operation, "dilations", {1, 1});
  const std::string pad_type =
      symbols_.string_or(operation, "pad_type", "valid");
  if (pad_type != "valid" && pad_type != "custom") return interpret(operation);
  const Shape pad = pad_type == "custom"
                        ? symbols_.ints_or(operation, "pad", {0, 0, 0, 0})
                        : Shape{0, 0, 0, 0};
  const int64_t out_h = result.type.shape[2];
  const int64_t out_w = result.type.shape[3];
  const int64_t pixels = out_h * out_w;
  const int64_t depth = w[1] * w[2] * w[3];
  const bool pointwise = w[2] == 1 && w[3] == 1 && strides[0] == 1 &&
                         strides[1] == 1 &&
                         pixels == x.view.dims[2] * x.view.dims[3];

  // A bias is added to the wide sum, before the one rounding.
  const bool biased = operation.input("bias") != nullptr;
  Slot bias;
  bool initial = false;  // the bias is where the accumulator starts
  if (biased) {
    ANEROID_ASSIGN(bias, input(operation, "bias"));
    bias = reshaped(bias, {w[0]});
    initial = plan_.numerics == Numerics::kExact &&
              plan_.buffers[static_cast<size_t>(bias.view.buffer)].storage ==
                  cpu::Storage::kHalf;
  }
  const View out = destination(result);
  View sum = out;
  if (biased && !initial) {
    sum =
        dense_view(new_buffer(mil::tensor(DataType::kFp32, result.type.shape)),
                   result.type.shape);
  }
  const int64_t group_out = w[0] / groups;
  for (int64_t g = 0; g < groups; ++g) {
    Slot part = x;
    part.view =
        slice_view(x.view, {0, g * w[1], 0, 0},
                   {1, w[1], x.view.dims[2], x.view.dims[3]}, {1, 1, 1, 1});
    part.linear = false;
    Slot matrix;
    if (pointwise) {
      matrix = reshaped(part, {depth, pixels});
    } else {
      PatchStep patch;
      patch.in =
          *reshape_view(part.view, {w[1], x.view.dims[2], x.view.dims[3]});
      const DataType dtype =
          integer_scale > 0
              ? DataType::kInt8
              : symbols_.type(names_of(*operation.input("x")).at(0))->dtype;
      const mil::Type type = mil::tensor(dtype, {depth, pixels});
      patch.out_buffer = new_buffer(type);
      patch.kernel_h = w[2];
      patch.kernel_w = w[3];
      patch.stride_h = strides[0];
      patch.stride_w = strides[1];
      patch.dilation_h = dilations[0];
      patch.dilation_w = dilations[1];
      patch.pad_top = pad[0];
      patch.pad_left = pad[2];
      patch.out_h = out_h;
      patch.out_w = out_w;
      add_step({"conv patches", patch}, {&part});
      const int producer = static_cast<int>(nodes_.size()) - 1;
      matrix = Slot{dense_view(patch.out_buffer, type.shape), producer, true,
                    producer};
    }
    Slot kernel = weight;
    kernel.view = slice_view(weight.view, {g * group_out, 0, 0, 0},
                             {group_out, w[1], w[2], w[3]}, {1, 1, 1, 1});
    kernel = reshaped(kernel, {group_out, depth});
    const View rows = slice_view(sum, {0, g * group_out, 0, 0},
                                 {1, group_out, out_h, out_w}, {1, 1, 1, 1});
    const auto target = reshape_view(rows, {group_out, pixels});
    if (!target) return interpret(operation);
    add_gemm("conv", {group_out, pixels, depth}, kernel, matrix, *target);
    std::get<GemmStep>(nodes_.back().step.work).integer_scale = integer_scale;
    if (initial) {
      auto& step = std::get<GemmStep>(nodes_.back().step.work);
      step.bias_buffer = bias.view.buffer;
      step.bias_row = bias.view.strides[0];
      step.bias_offset = bias.view.offset + g * group_out * step.bias_row;
      nodes_.back().reads.push_back(bias.producer);
    }
  }
  int producer = static_cast<int>(nodes_.size()) - 1;
  // With groups the parts have several writers: nobody may fuse across them.
  Slot summed{sum, groups == 1 ? producer : -1, groups == 1, producer};
  if (!biased || initial) {
    slots_[result.name] = summed;
    return {};
  }
  bias = reshaped(bias, {1, w[0], 1, 1});
  Operand left{summed, sum, std::nullopt};
  Operand right{bias, broadcast_view(bias.view, result.type.shape),
                std::nullopt};
  add_fused(operation, Code::kAdd, {left, right}, result.type.shape, out, false,
            placements_.contains(result.name));
  producer = static_cast<int>(nodes_.size()) - 1;
  define(result.name, out, producer, true);
  return {};
}

Status Lowering::interpret(const mil::Operation& operation) {
  if (!interp::knows(operation.op)) {
    return device_error(
        "emulator", fmt::format("op '{}'", operation.op),
        "the software engine cannot execute this op yet; rewrite it with ops "
        "of docs/spec/mil.md");
  }
  auto program = std::make_shared<mil::Program>();
  program->version_major = program_.version_major;
  program->version_minor = program_.version_minor;
  mil::Function function;
  function.opset = function_.opset;
  InterpretStep step;
  std::vector<Slot> reads;
  mil::Operation copied = operation;
  for (const auto& [input, argument] : operation.inputs) {
    for (const std::string& name : names_of(argument)) {
      if (std::ranges::any_of(step.inputs, [&](const auto& port) {
            return port.name == name;
          })) {
        continue;
      }
      const mil::Operation* definition = symbols_.definition(name);
      if (definition != nullptr && definition->op == "const" &&
          !std::holds_alternative<mil::BlobRef>(
              definition->attribute("val")->data)) {
        function.body.operations.push_back(*definition);
        continue;
      }
      const mil::Type& type = *symbols_.type(name);
      ANEROID_ASSIGN(Slot from, slot(name));
      step.inputs.push_back({name, type.dtype, from.view});
      function.body.inputs.push_back({{name, type}, {}});
      reads.push_back(std::move(from));
    }
  }
  function.body.operations.push_back(std::move(copied));
  for (const mil::Var& result : operation.outputs) {
    step.outputs.push_back(
        {result.name, result.type.dtype, destination(result)});
    function.body.outputs.push_back(result.name);
  }
  program->functions.push_back(std::move(function));
  step.program = std::move(program);
  std::vector<const Slot*> borrowed;
  borrowed.reserve(reads.size());
  for (const Slot& slot : reads) borrowed.push_back(&slot);
  const std::vector<InterpretStep::Port> outputs = step.outputs;
  add_step({operation.op, std::move(step)}, borrowed);
  const int producer = static_cast<int>(nodes_.size()) - 1;
  for (const InterpretStep::Port& port : outputs) {
    define(port.name, port.view, producer, outputs.size() == 1);
  }
  return {};
}

Status Lowering::finish_outputs() {
  for (size_t i = 0; i < signature_.outputs.size(); ++i) {
    const device::PortInfo& info = signature_.outputs[i];
    const View port = dense_view(output_buffers_[i], info.shape);
    ANEROID_ASSIGN(const Slot from, slot(info.name));
    if (!same_elements(from.view, port)) copy(from, "copy", &port);
  }
  return {};
}

}  // namespace aneroid::emulator
