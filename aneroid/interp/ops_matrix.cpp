// Convolution and matrix products: plain loops, sums in double.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

// ---- conv ------------------------------------------------------------------

constexpr size_t kSpatial = 3;  // 1-D and 2-D get leading dimensions of 1
using Triple = std::array<int64_t, kSpatial>;

// A convolution with all defaults filled in, always three spatial dimensions.
struct ConvPlan {
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  Triple in{1, 1, 1};
  Triple kernel{1, 1, 1};
  Triple out{1, 1, 1};
  Triple stride{1, 1, 1};
  Triple dilation{1, 1, 1};
  Triple pad_before{0, 0, 0};
};

// Total padding of one dimension and the part in front of it.
struct Padding {
  int64_t before = 0;
  int64_t total = 0;
};

Result<Padding> padding(const std::string& type, int64_t in, int64_t reach,
                        int64_t stride, int64_t before, int64_t after) {
  if (type == "valid") return Padding{};
  if (type == "custom") return Padding{before, before + after};
  if (type == "same" || type == "same_lower") {
    const int64_t out = (in + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (out - 1) * stride + reach - in);
    return Padding{type == "same" ? total / 2 : (total + 1) / 2, total};
  }
  return Context::error(fmt::format(
      "pad_type \"{}\" is none of valid, same, same_lower, custom", type));
}

Result<std::vector<int64_t>> spatial_input(const Context& context,
                                           std::string_view input, size_t count,
                                           int64_t otherwise, int64_t least) {
  ANEROID_ASSIGN(
      std::vector<int64_t> values,
      context.integers(input, std::vector<int64_t>(count, otherwise)));
  if (values.size() != count) {
    return Context::error(fmt::format("{} has {} elements where {} are needed",
                                      input, values.size(), count));
  }
  for (const int64_t value : values) {
    if (value < least) {
      return Context::error(fmt::format("{} holds {}; at least {} is needed",
                                        input, value, least));
    }
  }
  return values;
}

Result<ConvPlan> plan_conv(const Context& context, const HostTensor& x,
                           const HostTensor& weight) {
  const size_t rank = x.shape.size();
  if (rank < 3 || rank > 5 || weight.shape.size() != rank) {
    return Context::error(
        fmt::format("x {} and weight {} must both have rank 3, 4 or 5",
                    to_string(x.shape), to_string(weight.shape)));
  }
  const size_t spatial = rank - 2;
  ConvPlan plan;
  plan.batch = x.shape[0];
  plan.in_channels = x.shape[1];
  plan.out_channels = weight.shape[0];
  ANEROID_ASSIGN(plan.groups, context.integer("groups", 1));
  if (plan.groups < 1 || plan.in_channels % plan.groups != 0 ||
      plan.out_channels % plan.groups != 0 ||
      weight.shape[1] != plan.in_channels / plan.groups) {
    return Context::error(
        fmt::format("{} input channels in {} groups do not fit weight {}",
                    plan.in_channels, plan.groups, to_string(weight.shape)));
  }
  ANEROID_ASSIGN(const auto strides,
                 spatial_input(context, "strides", spatial, 1, 1));
  ANEROID_ASSIGN(const auto dilations,
                 spatial_input(context, "dilations", spatial, 1, 1));
  ANEROID_ASSIGN(const auto pads,
                 spatial_input(context, "pad", 2 * spatial, 0, 0));
  ANEROID_ASSIGN(const std::string pad_type, context.text("pad_type", "valid"));

  for (size_t i = 0; i < spatial; ++i) {
    const size_t d = kSpatial - spatial + i;
    plan.in[d] = x.shape[2 + i];
    plan.kernel[d] = weight.shape[2 + i];
    plan.stride[d] = strides[i];
    plan.dilation[d] = dilations[i];
    const int64_t reach = (plan.kernel[d] - 1) * plan.dilation[d] + 1;
    ANEROID_ASSIGN(const Padding pad,
                   padding(pad_type, plan.in[d], reach, plan.stride[d],
                           pads[2 * i], pads[2 * i + 1]));
    const int64_t room = plan.in[d] + pad.total - reach;
    if (plan.kernel[d] < 1 || room < 0) {
      return Context::error(fmt::format(
          "a kernel of {} (dilation {}) does not fit {} padded elements",
          plan.kernel[d], plan.dilation[d], plan.in[d] + pad.total));
    }
    plan.pad_before[d] = pad.before;
    plan.out[d] = room / plan.stride[d] + 1;
  }
  return plan;
}

// Adds one kernel tap of one input channel to one output channel.
void add_tap(const ConvPlan& plan, const Triple& tap, double weight,
             const double* in, double* out) {
  const auto position = [&](size_t d, int64_t o) {
    return o * plan.stride[d] - plan.pad_before[d] + tap[d] * plan.dilation[d];
  };
  for (int64_t a = 0; a < plan.out[0]; ++a) {
    const int64_t i = position(0, a);
    if (i < 0 || i >= plan.in[0]) continue;
    for (int64_t b = 0; b < plan.out[1]; ++b) {
      const int64_t j = position(1, b);
      if (j < 0 || j >= plan.in[1]) continue;
      const double* in_row = in + (i * plan.in[1] + j) * plan.in[2];
      double* out_row = out + (a * plan.out[1] + b) * plan.out[2];
      for (int64_t c = 0; c < plan.out[2]; ++c) {
        const int64_t k = position(2, c);
        if (k >= 0 && k < plan.in[2]) out_row[c] += weight * in_row[k];
      }
    }
  }
}

void run_conv(const ConvPlan& plan, const HostTensor& x,
              const HostTensor& weight, HostTensor& y) {
  const int64_t in_size = plan.in[0] * plan.in[1] * plan.in[2];
  const int64_t out_size = plan.out[0] * plan.out[1] * plan.out[2];
  const int64_t group_in = plan.in_channels / plan.groups;
  const int64_t group_out = plan.out_channels / plan.groups;
  for (int64_t n = 0; n < plan.batch; ++n) {
    for (int64_t o = 0; o < plan.out_channels; ++o) {
      double* out = y.data.data() + (n * plan.out_channels + o) * out_size;
      const double* tap_weight =
          weight.data.data() +
          o * group_in * plan.kernel[0] * plan.kernel[1] * plan.kernel[2];
      for (int64_t i = 0; i < group_in; ++i) {
        const int64_t channel = o / group_out * group_in + i;
        const double* in =
            x.data.data() + (n * plan.in_channels + channel) * in_size;
        Triple tap{};
        for (tap[0] = 0; tap[0] < plan.kernel[0]; ++tap[0]) {
          for (tap[1] = 0; tap[1] < plan.kernel[1]; ++tap[1]) {
            for (tap[2] = 0; tap[2] < plan.kernel[2]; ++tap[2]) {
              add_tap(plan, tap, *tap_weight++, in, out);
            }
          }
        }
      }
    }
  }
}

// ---- matmul ----------------------------------------------------------------

// The last two dimensions of an operand, after its transpose flag.
struct MatrixView {
  Shape batch;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
};

MatrixView matrix_view(const Shape& shape, bool transpose) {
  const size_t rank = shape.size();
  MatrixView view;
  view.batch.assign(shape.begin(), shape.end() - 2);
  view.rows = shape[rank - 2];
  view.columns = shape[rank - 1];
  view.row_stride = view.columns;
  view.column_stride = 1;
  if (transpose) {
    std::swap(view.rows, view.columns);
    std::swap(view.row_stride, view.column_stride);
  }
  return view;
}

// Offsets, in elements, of each matrix of a broadcast batch.
std::vector<int64_t> batch_offsets(const MatrixView& view, const Shape& batch) {
  Strides strides = stretched_strides(view.batch, batch);
  for (int64_t& stride : strides) stride *= view.rows * view.columns;
  std::vector<int64_t> offsets;
  walk(batch, strides, 0,
       [&offsets](int64_t offset) { offsets.push_back(offset); });
  return offsets;
}

void multiply(const MatrixView& a, const double* x, const MatrixView& b,
              const double* y, double* out) {
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t k = 0; k < a.columns; ++k) {
      const double left = x[i * a.row_stride + k * a.column_stride];
      const double* right = y + k * b.row_stride;
      for (int64_t j = 0; j < b.columns; ++j) {
        out[i * b.columns + j] += left * right[j * b.column_stride];
      }
    }
  }
}

}  // namespace

Results conv(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const HostTensor* weight, context.tensor("weight"));
  const HostTensor* bias = context.optional_tensor("bias");
  ANEROID_ASSIGN(const ConvPlan plan, plan_conv(context, *x, *weight));
  if (bias != nullptr &&
      static_cast<int64_t>(bias->data.size()) != plan.out_channels) {
    return Context::error(fmt::format("bias has {} elements for {} channels",
                                      bias->data.size(), plan.out_channels));
  }
  Shape shape = {plan.batch, plan.out_channels};
  const size_t spatial = x->shape.size() - 2;
  shape.insert(shape.end(), plan.out.end() - static_cast<int64_t>(spatial),
               plan.out.end());
  ANEROID_ASSIGN(HostTensor y, context.make(x->dtype, shape));
  if (y.data.empty()) return std::vector{std::move(y)};
  if (bias != nullptr) {
    const AxisView view = around_axis(shape, 1);
    for (size_t i = 0; i < y.data.size(); ++i) {
      const auto channel = static_cast<int64_t>(i) / view.inner % view.size;
      y.data[i] = bias->data[static_cast<size_t>(channel)];
    }
  }
  run_conv(plan, *x, *weight, y);
  return std::vector{std::move(y)};
}

Results matmul(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const HostTensor* y, context.tensor("y"));
  ANEROID_ASSIGN(const bool transpose_x, context.flag("transpose_x", false));
  ANEROID_ASSIGN(const bool transpose_y, context.flag("transpose_y", false));
  Shape x_shape = x->shape;
  Shape y_shape = y->shape;
  if (x_shape.empty() || y_shape.empty()) {
    return Context::error("matmul of a scalar; use mul");
  }
  // Vectors become a row (x) or a column (y); the extra dimension goes again.
  const bool x_vector = x_shape.size() == 1;
  const bool y_vector = y_shape.size() == 1;
  if (x_vector) x_shape.insert(x_shape.begin(), 1);
  if (y_vector) y_shape.push_back(1);
  const MatrixView a = matrix_view(x_shape, transpose_x && !x_vector);
  const MatrixView b = matrix_view(y_shape, transpose_y && !y_vector);
  if (a.columns != b.rows) {
    return Context::error(fmt::format(
        "inner dimensions {} and {} differ: x {}{}, y {}{}", a.columns, b.rows,
        to_string(x->shape), transpose_x ? " transposed" : "",
        to_string(y->shape), transpose_y ? " transposed" : ""));
  }
  ANEROID_ASSIGN(const Shape batch, broadcast(a.batch, b.batch));
  Shape shape = batch;
  if (!x_vector) shape.push_back(a.rows);
  if (!y_vector) shape.push_back(b.columns);
  ANEROID_ASSIGN(HostTensor z, context.make(x->dtype, shape));
  if (z.data.empty()) return std::vector{std::move(z)};
  const std::vector<int64_t> x_offsets = batch_offsets(a, batch);
  const std::vector<int64_t> y_offsets = batch_offsets(b, batch);
  for (size_t i = 0; i < x_offsets.size(); ++i) {
    multiply(a, x->data.data() + x_offsets[i], b, y->data.data() + y_offsets[i],
             z.data.data() + static_cast<int64_t>(i) * a.rows * b.columns);
  }
  return std::vector{std::move(z)};
}

Results linear(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const HostTensor* weight, context.tensor("weight"));
  const HostTensor* bias = context.optional_tensor("bias");
  if (x->shape.empty() || weight->shape.size() != 2 ||
      x->shape.back() != weight->shape[1]) {
    return Context::error(fmt::format(
        "x {} does not fit weight {}: its last dimension must be the weight's",
        to_string(x->shape), to_string(weight->shape)));
  }
  const int64_t outputs = weight->shape[0];
  if (bias != nullptr && static_cast<int64_t>(bias->data.size()) != outputs) {
    return Context::error(fmt::format("bias has {} elements for {} outputs",
                                      bias->data.size(), outputs));
  }
  Shape shape = x->shape;
  shape.back() = outputs;
  ANEROID_ASSIGN(HostTensor y, context.make(x->dtype, shape));
  if (y.data.empty()) return std::vector{std::move(y)};
  for (size_t i = 0; bias != nullptr && i < y.data.size(); ++i) {
    y.data[i] = bias->data[i % static_cast<size_t>(outputs)];
  }
  const int64_t inputs = x->shape.back();
  const int64_t rows = static_cast<int64_t>(y.data.size()) / outputs;
  multiply(matrix_view({rows, inputs}, false), x->data.data(),
           matrix_view(weight->shape, true), weight->data.data(),
           y.data.data());
  return std::vector{std::move(y)};
}

}  // namespace aneroid::interp
