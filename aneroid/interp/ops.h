// One function per op; the table in ops.cpp names them all. Functions return
// unrounded doubles: evaluate_op rounds them to the result's type. Private to
// this folder.
#pragma once

#include <string_view>

#include "aneroid/interp/context.h"

namespace aneroid::interp {

using OpFunction = Results (*)(const Context&);

// Null when the op is not in the table.
OpFunction find_function(std::string_view op);

// ops_attention.cpp
Results scaled_dot_product_attention(const Context& context);

// ops_constant.cpp
Results constant(const Context& context);
Results cast(const Context& context);
Results constexpr_cast(const Context& context);
Results quantize(const Context& context);
Results dequantize(const Context& context);
Results constexpr_affine_dequantize(const Context& context);
Results constexpr_blockwise_shift_scale(const Context& context);
Results fill(const Context& context);

// ops_matrix.cpp
Results conv(const Context& context);
Results matmul(const Context& context);
Results linear(const Context& context);

// ops_palette.cpp
Results constexpr_lut_to_dense(const Context& context);

// ops_reduce.cpp
Results reduce_sum(const Context& context);
Results reduce_mean(const Context& context);
Results reduce_max(const Context& context);
Results reduce_min(const Context& context);
Results reduce_prod(const Context& context);
Results reduce_sum_square(const Context& context);
Results reduce_l1_norm(const Context& context);
Results reduce_l2_norm(const Context& context);
Results reduce_log_sum(const Context& context);
Results reduce_log_sum_exp(const Context& context);
Results softmax(const Context& context);
Results layer_norm(const Context& context);

// ops_shape.cpp
Results identity(const Context& context);
Results reshape(const Context& context);
Results expand_dims(const Context& context);
Results squeeze(const Context& context);
Results transpose(const Context& context);
Results slice_by_size(const Context& context);
Results slice_by_index(const Context& context);
Results concat(const Context& context);
Results stack(const Context& context);
Results split(const Context& context);
Results tile(const Context& context);
Results pad(const Context& context);

// ops_elementwise.cpp
OpFunction find_elementwise(std::string_view op);

}  // namespace aneroid::interp
