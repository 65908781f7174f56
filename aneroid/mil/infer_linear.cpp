// Matrix products, convolution, pooling, attention, recurrence.
#include <algorithm>

#include <fmt/format.h>

#include "aneroid/mil/infer.h"

namespace aneroid::mil {
namespace {

// The bias, if given, is a vector of `channels` (or a single value).
Status check_bias(const InferContext& op, int64_t channels) {
  if (!op.has("bias") || op.shape("bias").empty()) return {};
  if (compatible(op.shape("bias"), Shape{channels})) return {};
  return shape_error(fmt::format("bias must have the shape [{}], not {}",
                                 channels, to_string(op.shape("bias"))));
}

// The last two dimensions of a matmul operand after its transpose flag; vectors
// become matrices.
struct Matrix {
  Shape batch;
  int64_t rows = 1;
  int64_t columns = 1;
};

Matrix as_matrix(const Shape& shape, bool is_left,
                 std::optional<int64_t> transpose) {
  Matrix matrix;
  if (shape.size() == 1) {
    (is_left ? matrix.columns : matrix.rows) = shape[0];
    return matrix;
  }
  matrix.batch.assign(shape.begin(), shape.end() - 2);
  matrix.rows = shape[shape.size() - 2];
  matrix.columns = shape[shape.size() - 1];
  if (!transpose) {
    matrix.rows = matrix.columns = kUnknownDim;
  } else if (*transpose != 0) {
    std::swap(matrix.rows, matrix.columns);
  }
  return matrix;
}

// What windows of a convolution or pooling do to each spatial dimension.
struct Window {
  std::vector<int64_t> kernel;  // may hold kUnknownDim
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::string pad_type;
  std::vector<int64_t> pad;  // before, after per dimension
  bool known = true;         // false when a parameter is given but not known
};

// An operand with one positive element per spatial dimension, 1s by default.
Result<std::vector<int64_t>> window_parameter(const InferContext& op,
                                              std::string_view name,
                                              size_t count, bool& known) {
  std::vector<int64_t> values(count, 1);
  if (!op.has(name)) return values;
  const auto given = op.ints(name);
  if (!given) {
    known = false;
    return values;
  }
  if (given->size() != count) {
    return shape_error(
        fmt::format("{} must have {} elements, one per spatial "
                    "dimension, not {}",
                    name, count, given->size()));
  }
  for (const int64_t value : *given) {
    if (value < 1) {
      return shape_error(
          fmt::format("{} must be positive, not {}", name, value));
    }
  }
  return *given;
}

Result<Window> window_of(const InferContext& op, std::vector<int64_t> kernel) {
  const size_t spatial = kernel.size();
  Window window;
  window.kernel = std::move(kernel);
  ANEROID_ASSIGN(window.strides,
                 window_parameter(op, "strides", spatial, window.known));
  ANEROID_ASSIGN(window.dilations,
                 window_parameter(op, "dilations", spatial, window.known));
  window.pad_type = op.string_or("pad_type", "valid");
  window.pad.assign(2 * spatial, 0);
  const auto& types = {"valid", "same", "same_lower", "custom"};
  if (std::find(types.begin(), types.end(), window.pad_type) == types.end()) {
    return input_error("mil.input", "",
                       fmt::format("pad_type must be valid, same, same_lower "
                                   "or custom, not '{}'",
                                   window.pad_type));
  }
  if (window.pad_type == "custom" && op.has("pad")) {
    const auto pad = op.ints("pad");
    if (!pad) {
      window.known = false;
    } else if (pad->size() != 2 * spatial ||
               std::any_of(pad->begin(), pad->end(),
                           [](int64_t p) { return p < 0; })) {
      return shape_error(fmt::format(
          "pad must have {} elements >= 0, (before, after) per spatial "
          "dimension",
          2 * spatial));
    } else {
      window.pad = *pad;
    }
  }
  return window;
}

// Bound on sizes that keeps the arithmetic below far from overflow.
constexpr int64_t kLargest = int64_t{1} << 31;

// Output size of dimension i with `in` elements.
Result<int64_t> window_output(const Window& window, size_t i, int64_t in,
                              bool ceil_mode) {
  const int64_t stride = window.strides[i];
  if (in == kUnknownDim || !window.known) return kUnknownDim;
  if (std::max({in, stride, window.kernel[i], window.dilations[i],
                window.pad[2 * i], window.pad[2 * i + 1]}) > kLargest) {
    return shape_error(
        fmt::format("a window parameter or size is above {}", kLargest));
  }
  if (window.pad_type == "same" || window.pad_type == "same_lower") {
    return (in + stride - 1) / stride;
  }
  if (window.kernel[i] == kUnknownDim) return kUnknownDim;
  const int64_t extent = (window.kernel[i] - 1) * window.dilations[i] + 1;
  const int64_t before = window.pad[2 * i];
  const int64_t padded = in + before + window.pad[2 * i + 1];
  if (padded < extent) {
    return shape_error(fmt::format(
        "the window of {} does not fit the {} elements of spatial dimension "
        "{} with padding",
        extent, padded, i));
  }
  const int64_t last = padded - extent;
  if (!ceil_mode) return last / stride + 1;
  const int64_t out = (last + stride - 1) / stride + 1;
  // A window that starts in the padding behind the data is dropped.
  return (out - 1) * stride >= in + before ? out - 1 : out;
}

}  // namespace

Result<Types> infer_matmul(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& y = op.shape("y");
  if (x.empty() || y.empty()) {
    return shape_error(fmt::format("matmul needs rank 1 or more, got {} and {}",
                                   to_string(x), to_string(y)));
  }
  const Matrix left = as_matrix(x, true, op.int_or("transpose_x", 0));
  const Matrix right = as_matrix(y, false, op.int_or("transpose_y", 0));
  if (!compatible(left.columns, right.rows)) {
    return shape_error(fmt::format(
        "matmul of {} and {}: inner dimensions {} and {} differ (after "
        "transposes)",
        to_string(x), to_string(y), left.columns, right.rows));
  }
  ANEROID_ASSIGN(Shape shape, broadcast(left.batch, right.batch));
  if (x.size() > 1) shape.push_back(left.rows);
  if (y.size() > 1) shape.push_back(right.columns);
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_linear(const InferContext& op) {
  Shape shape = op.shape("x");
  const Shape& weight = op.shape("weight");
  if (shape.empty() || weight.size() != 2) {
    return shape_error(
        fmt::format("linear needs x of rank 1 or more and a "
                    "weight [out, in], got {} and {}",
                    to_string(shape), to_string(weight)));
  }
  if (!compatible(shape.back(), weight[1])) {
    return shape_error(fmt::format(
        "linear: x {} has {} features, the weight {} takes {}",
        to_string(shape), shape.back(), to_string(weight), weight[1]));
  }
  ANEROID_TRY(check_bias(op, weight[0]));
  shape.back() = weight[0];
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_conv(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& weight = op.shape("weight");
  if (x.size() < 3 || x.size() > 5 || weight.size() != x.size()) {
    return shape_error(fmt::format(
        "conv needs x [N, C, 1 to 3 dimensions] and a weight of the same "
        "rank, got {} and {}",
        to_string(x), to_string(weight)));
  }
  const auto groups = op.int_or("groups", 1);
  if (groups && *groups < 1) {
    return shape_error(fmt::format("groups must be positive, not {}", *groups));
  }
  if (groups && x[1] != kUnknownDim && weight[1] != kUnknownDim &&
      (x[1] % *groups != 0 || x[1] / *groups != weight[1])) {
    return shape_error(fmt::format(
        "conv: x has {} channels in {} groups, the weight {} takes {} per "
        "group",
        x[1], *groups, to_string(weight), weight[1]));
  }
  if (groups && weight[0] != kUnknownDim && weight[0] % *groups != 0) {
    return shape_error(
        fmt::format("conv: {} output channels do not divide into {} groups",
                    weight[0], *groups));
  }
  ANEROID_TRY(check_bias(op, weight[0]));
  ANEROID_ASSIGN(const Window window,
                 window_of(op, {weight.begin() + 2, weight.end()}));
  Shape shape = {x[0], weight[0]};
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    ANEROID_ASSIGN(const int64_t out,
                   window_output(window, i, x[i + 2], false));
    shape.push_back(out);
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_conv_transpose(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& weight = op.shape("weight");
  if (x.size() < 3 || x.size() > 5 || weight.size() != x.size() ||
      !compatible(x[1], weight[0])) {
    return shape_error(fmt::format(
        "conv_transpose needs x [N, C, 1 to 3 dimensions] and a weight "
        "[C, out / groups, k...], got {} and {}",
        to_string(x), to_string(weight)));
  }
  const auto groups = op.int_or("groups", 1);
  Shape shape(x.size(), kUnknownDim);
  shape[0] = x[0];
  if (groups && weight[1] != kUnknownDim) {
    if (*groups < 1 || *groups > kLargest || weight[1] > kLargest) {
      return shape_error(fmt::format("groups {} is out of range", *groups));
    }
    shape[1] = weight[1] * *groups;
    ANEROID_TRY(check_bias(op, shape[1]));
  }
  ANEROID_ASSIGN(const Window window,
                 window_of(op, {weight.begin() + 2, weight.end()}));
  if (op.has("output_shape")) {
    const auto given = op.ints("output_shape");
    if (given && given->size() == x.size())
      return Types{tensor(op.dtype("x"), *given)};
    if (given && given->size() + 2 == x.size()) {
      std::copy(given->begin(), given->end(), shape.begin() + 2);
    }
    return Types{tensor(op.dtype("x"), std::move(shape))};
  }
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    const int64_t in = x[i + 2];
    const int64_t kernel = window.kernel[i];
    if (in == kUnknownDim || kernel == kUnknownDim || !window.known) continue;
    const int64_t stride = window.strides[i];
    const int64_t dilation = window.dilations[i];
    if (std::max({in, kernel, stride, dilation}) > kLargest) {
      return shape_error(
          fmt::format("a window parameter or size is above {}", kLargest));
    }
    const bool same =
        window.pad_type == "same" || window.pad_type == "same_lower";
    shape[i + 2] = same ? stride * in
                        : stride * (in - 1) + (kernel - 1) * dilation + 1 -
                              window.pad[2 * i] - window.pad[2 * i + 1];
    if (shape[i + 2] < 0) {
      return shape_error(
          "conv_transpose: the padding removes more than the "
          "result");
    }
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_pool(const InferContext& op) {
  const Shape& x = op.shape("x");
  if (x.size() < 3 || x.size() > 5) {
    return shape_error(fmt::format(
        "pooling needs x [N, C, 1 to 3 dimensions], got {}", to_string(x)));
  }
  const size_t spatial = x.size() - 2;
  bool known = true;
  ANEROID_ASSIGN(std::vector<int64_t> kernel,
                 window_parameter(op, "kernel_sizes", spatial, known));
  ANEROID_ASSIGN(Window window, window_of(op, std::move(kernel)));
  window.known = window.known && known;
  const auto ceil_mode = op.int_or("ceil_mode", 0);
  window.known = window.known && ceil_mode.has_value();
  Shape shape = {x[0], x[1]};
  for (size_t i = 0; i < spatial; ++i) {
    ANEROID_ASSIGN(
        const int64_t out,
        window_output(window, i, x[i + 2], ceil_mode.value_or(0) != 0));
    shape.push_back(out);
  }
  return Types{tensor(op.dtype("x"), std::move(shape))};
}

Result<Types> infer_attention(const InferContext& op) {
  const Shape& query = op.shape("query");
  const Shape& key = op.shape("key");
  const Shape& value = op.shape("value");
  const size_t rank = query.size();
  if (rank < 3 || key.size() != rank || value.size() != rank) {
    return shape_error(fmt::format(
        "attention needs query, key and value of one rank >= 3, got {}, {} "
        "and {}",
        to_string(query), to_string(key), to_string(value)));
  }
  if (!compatible(query[rank - 1], key[rank - 1]) ||
      !compatible(key[rank - 2], value[rank - 2])) {
    return shape_error(fmt::format(
        "attention: query {} and key {} must agree in the last dimension, key "
        "and value {} in the one before",
        to_string(query), to_string(key), to_string(value)));
  }
  Shape shape = query;
  shape.back() = value.back();
  return Types{tensor(op.dtype("query"), std::move(shape))};
}

Result<Types> infer_lstm(const InferContext& op) {
  const Shape& x = op.shape("x");
  const Shape& weight = op.shape("weight_hh");
  if (x.size() != 3 || weight.size() != 2) {
    return shape_error(
        fmt::format("lstm needs x [S, B, I] and weight_hh "
                    "[4 H, H], got {} and {}",
                    to_string(x), to_string(weight)));
  }
  const bool both = op.string_or("direction", "forward") == "bidirectional";
  const int64_t hidden = weight[1];
  if (hidden > kLargest) {
    return shape_error(fmt::format("hidden size {} is too large", hidden));
  }
  const int64_t width =
      hidden == kUnknownDim ? kUnknownDim : hidden * (both ? 2 : 1);
  const auto sequence = op.int_or("output_sequence", 0);
  const int64_t steps = !sequence        ? kUnknownDim
                        : *sequence != 0 ? x[0]
                                         : int64_t{1};
  const DataType dtype = op.dtype("x");
  return Types{tensor(dtype, {steps, x[1], width}),
               tensor(dtype, {x[1], width}), tensor(dtype, {x[1], width})};
}

}  // namespace aneroid::mil
