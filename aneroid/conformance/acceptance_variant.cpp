#include "aneroid/conformance/acceptance_variant.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "aneroid/conformance/acceptance_result.h"
#include "aneroid/conformance/acceptance_words.h"
#include "aneroid/mil/ir.h"

namespace aneroid::conformance {
namespace {

using target::OpForm;
using From = OpForm::From;

const Shape kUsualInput = {1, 64, 32, 32};

template <size_t N>
bool is_one_of(std::string_view op,
               const std::array<std::string_view, N>& ops) {
  return std::ranges::find(ops, op) != ops.end();
}

bool is_binary(std::string_view op) {
  constexpr std::array<std::string_view, 18> kOps = {
      "add",        "sub",     "mul",        "real_div",      "floor_div",
      "mod",        "pow",     "maximum",    "minimum",       "equal",
      "not_equal",  "less",    "less_equal", "greater_equal", "logical_and",
      "logical_or", "greater", "logical_xor"};
  return is_one_of(op, kOps);
}

bool is_convolution(std::string_view op) {
  return op == "conv" || op == "conv_transpose";
}

bool is_pool(std::string_view op) {
  return op == "max_pool" || op == "avg_pool" || op == "l2_pool";
}

bool is_gather(std::string_view op) {
  return op == "gather" || op == "gather_nd" || op == "gather_along_axis";
}

// Builds the form of one op from the words of its text.
class FormReader {
 public:
  FormReader(std::string_view op, const VariantWords& words) : words_(words) {
    form_.op = op;
    find_input();
  }

  OpForm read() {
    const std::string_view op = form_.op;
    if (is_convolution(op)) {
      read_convolution();
    } else if (is_pool(op)) {
      read_pool();
    } else if (op == "matmul" || is_binary(op)) {
      read_binary();
    } else if (op == "linear") {
      add("x", input_);
      add("weight", next_shape().value_or(Shape{last(), last()}),
          From::kConstant);
    } else if (op == "scaled_dot_product_attention") {
      for (const char* name : {"query", "key", "value"}) add(name, input_);
      if (const auto mask = words_.shape("mask")) add("attn_mask", *mask);
    } else if (is_gather(op)) {
      read_gather();
    } else if (op == "concat" || op == "stack") {
      add("values", input_);
      add("values", second_shape());
      read_axis(0);
    } else if (op == "select") {
      add("cond", input_, bool_from(), DataType::kBool);
      add("a", input_);
      add("b", input_);
    } else {
      read_unary();
    }
    return std::move(form_);
  }

 private:
  // ---- Shapes --------------------------------------------------------------

  // The input is the shape that is called so; else the first that has no
  // other name; else the usual one.
  void find_input() {
    if (const auto shape = words_.shape("input")) {
      input_ = *shape;
    } else if (!words_.shapes.empty() && !only_kernels()) {
      input_ = words_.shapes.front();
      next_ = 1;
    } else if (const auto table = words_.shape("const");
               table && is_gather(form_.op)) {
      input_ = *table;
    } else if (words_.shapes.empty() && words_.labelled_shapes.empty() &&
               !words_.numbers.empty() && words_.numbers.front() >= 1) {
      input_ = {static_cast<int64_t>(words_.numbers.front())};
    } else {
      input_ = kUsualInput;
      read_swept_side();
    }
  }

  // "channels 65537" without a shape: the usual input, but for that.
  void read_swept_side() {
    constexpr std::array<std::string_view, 4> kSides = {"batch", "channels",
                                                        "height", "width"};
    for (size_t i = 0; i < kSides.size(); ++i) {
      const auto size = words_.number(kSides[i]);
      if (size && *size >= 1) input_[i] = whole(*size);
    }
    for (const char* label : {"inner", "k"}) {
      const auto inner = words_.number(label);
      if (form_.op == "matmul" && inner) input_ = {1, 64, whole(*inner)};
    }
  }

  // "3x3 stride 2" without an input is a window on the usual one.
  bool only_kernels() const {
    return (is_convolution(form_.op) || is_pool(form_.op)) &&
           words_.shapes.front().size() < 3;
  }

  // Shapes without a name, after that of the input.
  std::optional<Shape> next_shape() {
    if (next_ >= words_.shapes.size()) return std::nullopt;
    return words_.shapes[next_++];
  }

  // Of matmul without a second shape: what multiplies to a square.
  Shape second_shape() {
    for (const char* label : {"second", "const"}) {
      if (const auto shape = words_.shape(label)) return *shape;
    }
    Shape usual = input_;
    if (form_.op == "matmul" && usual.size() >= 2 &&
        !words_.has("transpose_y")) {
      std::swap(usual[usual.size() - 2], usual[usual.size() - 1]);
    }
    return next_shape().value_or(usual);
  }

  int64_t last() const { return input_.empty() ? 1 : input_.back(); }
  int64_t channels() const { return input_.size() < 2 ? 1 : input_[1]; }

  // ---- Operands ------------------------------------------------------------

  DataType input_type() const {
    const DataType type = words_.input_type.value_or(DataType::kFp16);
    // Converters cast fp32 inputs to fp16 before the op sees them.
    return type == DataType::kFp32 ? DataType::kFp16 : type;
  }

  void add(std::string name, Shape shape, From from = From::kInput) {
    add(std::move(name), std::move(shape), from, input_type());
  }
  void add(std::string name, Shape shape, From from, DataType type) {
    form_.operands.push_back(
        {std::move(name), mil::tensor(type, std::move(shape)), from});
  }

  bool is_runtime() const {
    return words_.has("runtime") || words_.has("dynamic");
  }
  bool is_runtime_index() const {
    return is_runtime() || (words_.index_type && !words_.has("const"));
  }
  // Bools come from a comparison unless the text says otherwise.
  From bool_from() const {
    if (words_.has("const")) return From::kConstant;
    return words_.input_type == DataType::kBool ? From::kInput
                                                : From::kComparison;
  }

  void set(std::string name, mil::Value value) {
    form_.attributes.emplace_back(std::move(name), std::move(value));
  }

  void read_axis(int64_t otherwise) {
    set("axis", mil::int_value(static_cast<int32_t>(
                    std::clamp<int64_t>(whole(words_.number("axis").value_or(
                                            static_cast<double>(otherwise))),
                                        -16, 16))));
  }

  // "stride 2" counts in both directions.
  void read_per_side(std::string_view label, std::string name, size_t sides) {
    const auto number = words_.number(label);
    if (!number) return;
    set(std::move(name),
        mil::ints_value(std::vector<int64_t>(sides, whole(*number))));
  }

  // ---- Ops -----------------------------------------------------------------

  void read_binary() {
    const bool is_logical = form_.op.starts_with("logical_");
    const bool is_constant = words_.has("const") || words_.number("exponent");
    const From from = is_logical ? bool_from() : From::kInput;
    const DataType type = is_logical ? DataType::kBool : input_type();
    add("x", input_, from, type);
    add("y", words_.number("exponent") ? Shape{} : second_shape(),
        is_constant ? From::kConstant : from, type);
    if (form_.op != "matmul") return;
    for (const char* flag : {"transpose_x", "transpose_y"}) {
      if (words_.has(flag)) set(flag, mil::bool_value(true));
    }
  }

  // The window: "kernel 3x3", "3x3", the last dimensions of "64x64x3x3", "k4".
  Shape window(size_t sides, std::optional<Shape>* weight) {
    for (const char* label : {"kernel", "weight"}) {
      if (const auto shape = words_.shape(label)) {
        if (shape->size() <= sides) return *shape;
        *weight = shape;
      }
    }
    while (!*weight) {
      const std::optional<Shape> shape = next_shape();
      if (!shape) break;
      if (shape->size() <= sides) return *shape;
      *weight = shape;
    }
    if (*weight) return {(*weight)->end() - sides, (*weight)->end()};
    return Shape(sides, whole(words_.number("k").value_or(1)));
  }

  void read_convolution() {
    const size_t sides = input_.size() < 3 ? 1 : input_.size() - 2;
    std::optional<Shape> weight;
    const Shape kernel = window(sides, &weight);
    const bool is_depthwise = words_.has("depthwise");
    const int64_t groups = std::max<int64_t>(
        1, whole(words_.number("groups").value_or(
               is_depthwise ? static_cast<double>(channels()) : 1)));
    if (!weight || weight->size() != sides + 2) {
      weight = Shape{channels(), channels() / groups};
      weight->insert(weight->end(), kernel.begin(), kernel.end());
    }
    add("x", input_);
    add("weight", *weight, is_runtime() ? From::kInput : From::kConstant);
    read_per_side("stride", "strides", sides);
    read_per_side("dilation", "dilations", sides);
    set("groups", mil::int_value(static_cast<int32_t>(
                      std::min<int64_t>(groups, 1 << 20))));
    set("pad_type", mil::string_value(words_.has("same") ? "same" : "valid"));
  }

  void read_pool() {
    const size_t sides = input_.size() < 3 ? 1 : input_.size() - 2;
    std::optional<Shape> weight;
    add("x", input_);
    set("kernel_sizes", mil::ints_value(window(sides, &weight)));
    read_per_side("stride", "strides", sides);
    set("pad_type", mil::string_value(words_.has("same") ? "same" : "valid"));
  }

  void read_gather() {
    const bool has_table = words_.shape("const").has_value();
    add("x", input_, has_table ? From::kConstant : From::kInput);
    const auto index = words_.shape("index");
    const Shape& usual = form_.op == "gather_along_axis" ? input_ : Shape{1};
    add("indices", index.value_or(usual),
        is_runtime_index() ? From::kInput : From::kConstant,
        words_.index_type.value_or(DataType::kInt32));
    if (form_.op != "gather_nd") {
      read_axis(0);
    } else if (index && !index->empty()) {
      // The last dimension of the index picks along the first of the input.
      Shape shape(index->begin(), index->end() - 1);
      const auto picked = static_cast<size_t>(std::clamp<int64_t>(
          index->back(), 0, static_cast<int64_t>(input_.size())));
      shape.insert(shape.end(), input_.begin() + picked, input_.end());
      form_.result = mil::tensor(DataType::kFp16, std::move(shape));
    }
  }

  void read_unary() {
    const std::string_view op = form_.op;
    const bool is_quantized = op == "quantize" || op == "dequantize";
    if (op == "dequantize") {
      add("input", input_, From::kInput,
          words_.output_type.value_or(DataType::kInt8));
    } else if (op == "cast") {
      // "fp16 to int32": here fp32 is what it is.
      add("x", input_, From::kInput,
          words_.input_type.value_or(DataType::kFp16));
    } else if (op == "logical_not") {
      add("x", input_, bool_from(), DataType::kBool);
    } else {
      add(is_quantized ? "input" : "x", input_);
    }
    read_unary_attributes();
    DataType result = input_type();
    if (op == "cast") result = words_.output_type.value_or(DataType::kFp16);
    if (op == "quantize") result = DataType::kInt8;
    if (op == "dequantize") result = DataType::kFp16;
    form_.result = mil::tensor(result, result_shape(op, input_, words_));
  }

  void read_unary_attributes() {
    const std::string_view op = form_.op;
    const auto axes = words_.labelled_numbers.find("axis");
    if (op.starts_with("reduce_") && axes != words_.labelled_numbers.end()) {
      std::vector<int64_t> list;
      for (const double axis : axes->second) list.push_back(whole(axis));
      set("axes", mil::ints_value(list));
      set("keep_dims", mil::bool_value(true));
    } else if (axes != words_.labelled_numbers.end()) {
      read_axis(0);
    }
    if (const auto k = words_.number("k"); k && op == "topk") {
      set("k", mil::int_value(static_cast<int32_t>(
                   std::clamp<int64_t>(whole(*k), 0, 1 << 30))));
    }
    if (op == "gelu") {
      const bool is_tanh =
          words_.has("tanh") || words_.has("tanh_approximation");
      const bool is_sigmoid =
          words_.has("sigmoid") || words_.has("sigmoid_approximation");
      set("mode", mil::string_value(is_tanh      ? "TANH_APPROXIMATION"
                                    : is_sigmoid ? "SIGMOID_APPROXIMATION"
                                                 : "EXACT"));
    }
    if (op == "pad") {
      const bool is_constant = !words_.has("reflect") &&
                               !words_.has("replicate") && !words_.has("edge");
      if (is_constant) {
        set("mode", mil::string_value("constant"));
        set("constant_val",
            mil::float_value(DataType::kFp16,
                             words_.number("value").value_or(0)));
      }
    }
    if (is_runtime() && op.starts_with("slice")) {
      add("begin", {static_cast<int64_t>(input_.size())}, From::kInput,
          words_.index_type.value_or(DataType::kInt32));
    }
  }

  const VariantWords& words_;
  OpForm form_;
  Shape input_;
  size_t next_ = 0;  // of words_.shapes
};

}  // namespace

std::vector<OpForm> read_forms(std::string_view op, std::string_view variant) {
  VariantWords words = read_words(variant);
  // Indices that Core ML prepares before a gather are integers.
  if (words.has("preprocessing")) words.input_type = DataType::kInt32;
  std::vector<OpForm> forms;
  while (!op.empty()) {
    const size_t end = std::min(op.find('+'), op.size());
    std::string_view name = op.substr(0, end);
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (!name.empty()) forms.push_back(FormReader(name, words).read());
    op.remove_prefix(std::min(end + 1, op.size()));
  }
  return forms;
}

}  // namespace aneroid::conformance
