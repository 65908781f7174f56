#include "aneroid/interp/ops.h"

#include <array>

namespace aneroid::interp {
namespace {

struct Row {
  std::string_view name;
  OpFunction function;
};

constexpr std::array kRows = {
    Row{"const", constant},
    Row{"cast", cast},
    Row{"constexpr_cast", constexpr_cast},
    Row{"quantize", quantize},
    Row{"dequantize", dequantize},
    Row{"constexpr_affine_dequantize", constexpr_affine_dequantize},
    Row{"constexpr_blockwise_shift_scale", constexpr_blockwise_shift_scale},
    Row{"constexpr_lut_to_dense", constexpr_lut_to_dense},
    Row{"fill", fill},

    Row{"conv", conv},
    Row{"matmul", matmul},
    Row{"linear", linear},

    Row{"reduce_sum", reduce_sum},
    Row{"reduce_mean", reduce_mean},
    Row{"reduce_max", reduce_max},
    Row{"reduce_min", reduce_min},
    Row{"reduce_prod", reduce_prod},
    Row{"reduce_sum_square", reduce_sum_square},
    Row{"reduce_l1_norm", reduce_l1_norm},
    Row{"reduce_l2_norm", reduce_l2_norm},
    Row{"reduce_log_sum", reduce_log_sum},
    Row{"reduce_log_sum_exp", reduce_log_sum_exp},
    Row{"scaled_dot_product_attention", scaled_dot_product_attention},
    Row{"softmax", softmax},
    Row{"layer_norm", layer_norm},

    Row{"identity", identity},
    Row{"reshape", reshape},
    Row{"expand_dims", expand_dims},
    Row{"squeeze", squeeze},
    Row{"transpose", transpose},
    Row{"slice_by_size", slice_by_size},
    Row{"slice_by_index", slice_by_index},
    Row{"concat", concat},
    Row{"stack", stack},
    Row{"split", split},
    Row{"tile", tile},
    Row{"pad", pad},
};

}  // namespace

OpFunction find_function(std::string_view op) {
  for (const Row& row : kRows) {
    if (row.name == op) return row.function;
  }
  return find_elementwise(op);
}

bool knows(std::string_view op) { return find_function(op) != nullptr; }

}  // namespace aneroid::interp
