#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "aneroid/target/checks.h"

namespace aneroid::target {
namespace {

// Kernel of a convolution with two spatial dimensions; a 1-D one has height 1.
struct Kernel {
  int64_t height = 1;
  int64_t width = 1;
};

std::optional<Kernel> conv_kernel(const OpView& view) {
  if (!view.is("conv")) return std::nullopt;
  const std::optional<Shape> weight = view.shape("weight");
  if (!weight || weight->size() < 3) return std::nullopt;
  const size_t rank = weight->size();
  return Kernel{rank >= 4 ? (*weight)[rank - 2] : 1, (*weight)[rank - 1]};
}

// The dimension that a matrix product sums over.
std::optional<int64_t> contraction(const OpView& view) {
  if (!view.is("matmul")) return std::nullopt;
  const std::optional<Shape> x = view.shape("x");
  if (!x || x->empty()) return std::nullopt;
  const bool transposed =
      view.symbols().bool_or(view.operation(), "transpose_x", false);
  const size_t rank = x->size();
  return rank >= 2 && transposed ? (*x)[rank - 2] : (*x)[rank - 1];
}

template <size_t N>
bool is_one_of(const OpView& view, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), view.operation().op) != ops.end();
}

}  // namespace

OpFinding inline_matmul_flags(const OpView& view) {
  if (!view.is("matmul")) return std::nullopt;
  for (const std::string_view flag : {"transpose_x", "transpose_y"}) {
    const mil::Argument* argument = view.operation().input(flag);
    if (argument != nullptr &&
        std::holds_alternative<mil::Value>(argument->bound)) {
      return fmt::format("{} is written as a literal", flag);
    }
  }
  return std::nullopt;
}

OpFinding gelu_without_mode(const OpView& view) {
  if (!view.is("gelu") || view.operation().input("mode") != nullptr) {
    return std::nullopt;
  }
  return "gelu has no mode";
}

OpFinding runtime_matmul_contraction(const OpView& view) {
  const std::optional<int64_t> inner = contraction(view);
  if (!inner || *inner % 32 == 0 || !view.is_runtime("x") ||
      !view.is_runtime("y")) {
    return std::nullopt;
  }
  return fmt::format("a runtime matmul sums over {}, not a multiple of 32",
                     *inner);
}

OpFinding conv_32k_channels(const OpView& view) {
  if (!view.is("conv")) return std::nullopt;
  const std::optional<Shape> x = view.shape("x");
  if (!x || x->size() < 3 || (*x)[1] < 32768) return std::nullopt;
  return fmt::format("a convolution of {} input channels; 32768 fail", (*x)[1]);
}

OpFinding conv_kernel_above_16(const OpView& view) {
  const std::optional<Kernel> kernel = conv_kernel(view);
  if (!kernel || std::min(kernel->height, kernel->width) <= 1 ||
      std::max(kernel->height, kernel->width) <= 16) {
    return std::nullopt;
  }
  return fmt::format("kernel {}x{}, above 16x16", kernel->height,
                     kernel->width);
}

OpFinding conv_line_kernel(const OpView& view) {
  const std::optional<Kernel> kernel = conv_kernel(view);
  if (!kernel) return std::nullopt;
  if (kernel->height == 1 && kernel->width > 15) {
    return fmt::format("kernel 1x{}, above 1x15", kernel->width);
  }
  if (kernel->width == 1 && kernel->height > 31) {
    return fmt::format("kernel {}x1, above 31x1", kernel->height);
  }
  return std::nullopt;
}

OpFinding conv_kernel_width(const OpView& view) {
  const std::optional<Kernel> kernel = conv_kernel(view);
  const int64_t limit = view.chip().max_kernel_width;
  if (!kernel || limit == 0 || kernel->width <= limit) return std::nullopt;
  return fmt::format("kernel width {}, above {} on {}", kernel->width, limit,
                     view.chip().name);
}

OpFinding conv_stride(const OpView& view) {
  if (!view.is("conv")) return std::nullopt;
  const int64_t limit = view.chip().max_stride;
  for (const int64_t stride :
       view.symbols().ints_or(view.operation(), "strides", {})) {
    if (stride > limit) {
      return fmt::format("stride {}, above {} on {}", stride, limit,
                         view.chip().name);
    }
  }
  return std::nullopt;
}

OpFinding max_pool_width(const OpView& view) {
  if (!view.is("max_pool")) return std::nullopt;
  const std::vector<int64_t> sizes =
      view.symbols().ints_or(view.operation(), "kernel_sizes", {});
  if (sizes.empty() || sizes.back() <= 8) return std::nullopt;
  return fmt::format("max_pool width {}, above 8", sizes.back());
}

OpFinding matmul_contraction(const OpView& view) {
  const std::optional<int64_t> inner = contraction(view);
  if (!inner || *inner <= 32768) return std::nullopt;
  return fmt::format("matmul sums over {}, above 32768", *inner);
}

OpFinding topk_op(const OpView& view) {
  if (!view.is("topk")) return std::nullopt;
  return "topk does not compile";
}

OpFinding softmax_length(const OpView& view) {
  if (!view.is("softmax")) return std::nullopt;
  const std::optional<Shape> x = view.shape("x");
  if (!x || x->empty()) return std::nullopt;
  const auto rank = static_cast<int64_t>(x->size());
  int64_t axis = view.symbols().int_or(view.operation(), "axis", -1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) return std::nullopt;
  const int64_t length = (*x)[static_cast<size_t>(axis)];
  if ((length & (length - 1)) == 0) return std::nullopt;
  return fmt::format("softmax over {}, not a power of two", length);
}

OpFinding doubtful_raw_op(const OpView& view) {
  constexpr std::array<std::string_view, 2> kOps = {"slice_by_index",
                                                    "reduce_mean"};
  if (!is_one_of(view, kOps)) return std::nullopt;
  return fmt::format("{} is missing in some raw compilers",
                     view.operation().op);
}

OpFinding concat_op(const OpView& view) {
  if (!view.is("concat")) return std::nullopt;
  return "concat was seen to fail to compile";
}

OpFinding conv_bias(const OpView& view) {
  if (!view.is("conv") || view.operation().input("bias") == nullptr) {
    return std::nullopt;
  }
  return "conv has a bias";
}

OpFinding op_missing_on_m1(const OpView& view) {
  constexpr std::array<std::string_view, 17> kOps = {"rsqrt",
                                                     "pow",
                                                     "reduce_sum",
                                                     "reduce_mean",
                                                     "reduce_max",
                                                     "reduce_min",
                                                     "reduce_prod",
                                                     "reduce_sum_square",
                                                     "reshape",
                                                     "transpose",
                                                     "slice_by_index",
                                                     "slice_by_size",
                                                     "gather",
                                                     "concat",
                                                     "split",
                                                     "pad",
                                                     "gather_along_axis"};
  if (!is_one_of(view, kOps)) return std::nullopt;
  return fmt::format("{} was seen to be refused", view.operation().op);
}

OpFinding constant_matmul_operand(const OpView& view) {
  if (!view.is("matmul")) return std::nullopt;
  for (const std::string_view operand : {"x", "y"}) {
    if (view.operation().input(operand) != nullptr &&
        !view.is_runtime(operand)) {
      return fmt::format("matmul operand {} is a constant", operand);
    }
  }
  return std::nullopt;
}

OpFinding tile_op(const OpView& view) {
  if (!view.is("tile")) return std::nullopt;
  return "after a program with tile ran, every program of the process fails";
}

OpFinding conv_runtime_weight(const OpView& view) {
  if (!view.is("conv") || !view.is_runtime("weight")) return std::nullopt;
  return "the weight of conv is computed at run time and would be ignored";
}

OpFinding attention_mask(const OpView& view) {
  if (!view.is("scaled_dot_product_attention") ||
      view.operation().input("attn_mask") == nullptr) {
    return std::nullopt;
  }
  return "attn_mask would be ignored";
}

OpFinding long_attention(const OpView& view) {
  if (!view.is("scaled_dot_product_attention")) return std::nullopt;
  const std::optional<Shape> query = view.shape("query");
  const std::optional<Shape> key = view.shape("key");
  if (!query || !key || query->size() < 2 || key->size() < 2) {
    return std::nullopt;
  }
  const int64_t q = (*query)[query->size() - 2];
  const int64_t k = (*key)[key->size() - 2];
  if (std::max(q, k) <= 2048 && std::min(q, k) < 512) return std::nullopt;
  return fmt::format("attention of {} queries over {} keys", q, k);
}

OpFinding op_needs_generation_15(const OpView& view) {
  constexpr std::array<std::string_view, 6> kOps = {
      "sin",           "cos",           "reduce_argmax",
      "reduce_argmin", "random_normal", "random_uniform"};
  if (!is_one_of(view, kOps)) return std::nullopt;
  return fmt::format("{} needs an engine of generation 15, {} has {}",
                     view.operation().op, view.chip().name,
                     view.chip().generation);
}

OpFinding op_needs_generation_14(const OpView& view) {
  constexpr std::array<std::string_view, 5> kOps = {
      "crop_resize", "resample", "affine", "topk", "argsort"};
  if (!is_one_of(view, kOps)) return std::nullopt;
  return fmt::format("{} needs an engine of generation 14, {} has {}",
                     view.operation().op, view.chip().name,
                     view.chip().generation);
}

OpFinding transposed_dimension(const OpView& view) {
  constexpr int64_t kLargest = (int64_t{1} << 23) - 1;
  const std::optional<Shape> x = view.shape("x");
  if (!view.is("transpose") || !x) return std::nullopt;
  for (const int64_t dim : *x) {
    if (dim > kLargest) {
      return fmt::format("transpose of {}, above {}", dim, kLargest);
    }
  }
  return std::nullopt;
}

OpFinding runtime_rsqrt(const OpView& view) {
  if (!view.is("rsqrt") || !view.is_runtime("x")) return std::nullopt;
  return "rsqrt of a runtime tensor";
}

}  // namespace aneroid::target
