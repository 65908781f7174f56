#include "aneroid/mil/ops.h"

#include <algorithm>
#include <map>

#include "aneroid/mil/infer.h"

namespace aneroid::mil {
namespace {

struct ClassName {
  std::string_view name;
  TypeClass types;
};
constexpr ClassName kClassNames[] = {
    {"float", TypeClass::kFloat},     {"number", TypeClass::kFloatOrInt},
    {"any", TypeClass::kAny},         {"bool", TypeClass::kBool},
    {"int", TypeClass::kInt},         {"string", TypeClass::kString},
    {"quant", TypeClass::kQuantized},
};

// Inputs are written "name:class name?:class !name:class name*:class=T":
// ? optional, ! compile-time constant, * variadic, =T the letter of same_as.
std::vector<InputDef> parse_inputs(std::string_view text) {
  std::vector<InputDef> inputs;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));

    InputDef input{.name = {}, .types = TypeClass::kAny};
    if (word.front() == '!') {
      input.constant = true;
      word.remove_prefix(1);
    }
    const size_t colon = word.find(':');
    input.name = word.substr(0, colon);
    word.remove_prefix(colon + 1);
    input.optional = input.name.back() == '?';
    input.variadic = input.name.back() == '*';
    if (input.optional || input.variadic) input.name.remove_suffix(1);
    if (word[word.size() - 2] == '=') {
      input.same_as = word.back();
      word.remove_suffix(2);
    }
    for (const ClassName& row : kClassNames) {
      if (row.name == word) input.types = row.types;
    }
    inputs.push_back(input);
  }
  return inputs;
}

struct Row {
  std::string_view name;
  int first_opset;
  std::string_view inputs;
  InferFunction infer;
  std::string_view summary;
};

struct Group {
  std::string_view name;
  std::vector<Row> rows;
};

// Newest form of each op up to ios18: what an older opset lacks is an optional
// input here.
std::vector<Group> groups() {
  constexpr auto kSame = infer_same_as_x;
  constexpr std::string_view kX = "x:float=T";
  constexpr std::string_view kXAlpha = "x:float=T !alpha:float";
  constexpr std::string_view kXAlphaBeta = "x:float=T !alpha:float !beta:float";
  constexpr std::string_view kXEpsilon = "x:float=T !epsilon?:float";
  constexpr std::string_view kXY = "x:number=T y:number=T";
  constexpr std::string_view kLogical = "x:bool y:bool";
  constexpr std::string_view kReduce = "x:number=T !axes?:int !keep_dims?:bool";
  constexpr std::string_view kReduceArg =
      "x:number=T !axis?:int !keep_dims?:bool !output_dtype?:string";
  constexpr std::string_view kPool =
      "x:float=T !kernel_sizes:int !strides?:int !pad_type:string !pad?:int "
      "!ceil_mode?:bool";

  return {
      {"Activations",
       {
           {"clamped_relu", 15, kXAlphaBeta, kSame,
            "min(beta, x >= 0 ? x : alpha * x)"},
           {"elu", 15, kXAlpha, kSame, "x > 0 ? x : alpha * (e^x - 1)"},
           {"gelu", 15, "x:float=T !mode?:string", kSame,
            "x * Phi(x): EXACT, TANH_APPROXIMATION or SIGMOID_APPROXIMATION"},
           {"leaky_relu", 15, kXAlpha, kSame, "x >= 0 ? x : alpha * x"},
           {"linear_activation", 15, kXAlphaBeta, kSame, "alpha * x + beta"},
           {"prelu", 15, kXAlpha, infer_channel_norm,
            "x > 0 ? x : alpha[channel] * x"},
           {"relu", 15, kX, kSame, "max(x, 0)"},
           {"relu6", 15, kX, kSame, "min(max(x, 0), 6)"},
           {"scaled_tanh", 15, kXAlphaBeta, kSame, "alpha * tanh(beta * x)"},
           {"sigmoid", 15, kX, kSame, "1 / (1 + e^-x)"},
           {"sigmoid_hard", 15, kXAlphaBeta, kSame,
            "alpha * x + beta, clamped to [0, 1]"},
           {"silu", 15, kX, kSame, "x * sigmoid(x)"},
           {"softmax", 15, "x:float=T !axis?:int", infer_along_axis,
            "e^(x - max) over its sum along axis (default -1)"},
           {"softplus", 15, kX, kSame, "ln(1 + e^x)"},
           {"softsign", 15, kX, kSame, "x / (1 + abs(x))"},
           {"thresholded_relu", 15, kXAlpha, kSame, "x >= alpha ? x : 0"},
       }},
      {"Element-wise, one operand",
       {
           {"abs", 15, "x:number=T", kSame, "absolute value"},
           {"acos", 15, kX, kSame, "arc cosine"},
           {"asin", 15, kX, kSame, "arc sine"},
           {"atan", 15, kX, kSame, "arc tangent"},
           {"atanh", 15, kX, kSame, "inverse hyperbolic tangent"},
           {"cast", 15, "x:any !dtype:string", infer_cast,
            "x with the element type named by dtype"},
           {"ceil", 15, kX, kSame, "smallest whole number >= x"},
           {"clip", 15, kXAlphaBeta, kSame, "x clamped to [alpha, beta]"},
           {"cos", 15, kX, kSame, "cosine"},
           {"cosh", 15, kX, kSame, "hyperbolic cosine"},
           {"erf", 15, kX, kSame, "error function"},
           {"exp", 15, kX, kSame, "e^x"},
           {"exp2", 15, "x:number=T", kSame, "2^x"},
           {"floor", 15, kX, kSame, "largest whole number <= x"},
           {"inverse", 15, kXEpsilon, kSame,
            "1 / (x + epsilon), epsilon 1e-4 by default"},
           {"log", 15, kXEpsilon, kSame,
            "ln(x + epsilon), epsilon 1e-45 by default"},
           {"logical_not", 15, "x:bool", kSame, "not x"},
           {"round", 15, kX, kSame, "nearest whole number, ties to even"},
           {"rsqrt", 15, kXEpsilon, kSame,
            "1 / sqrt(x + epsilon), epsilon 1e-12 by default"},
           {"sign", 15, "x:number=T", kSame, "-1, 0 or 1"},
           {"sin", 15, kX, kSame, "sine"},
           {"sinh", 15, kX, kSame, "hyperbolic sine"},
           {"sqrt", 15, kX, kSame, "square root"},
           {"square", 15, "x:number=T", kSame, "x * x"},
           {"tan", 15, kX, kSame, "tangent"},
           {"tanh", 15, kX, kSame, "hyperbolic tangent"},
           {"threshold", 15, "x:number=T !alpha:number=T", kSame,
            "max(x, alpha)"},
       }},
      {"Element-wise, two operands (broadcast)",
       {
           {"add", 15, kXY, infer_binary, "x + y"},
           {"equal", 15, kXY, infer_comparison, "x == y"},
           {"floor_div", 15, kXY, infer_binary, "floor(x / y)"},
           {"greater", 15, kXY, infer_comparison, "x > y"},
           {"greater_equal", 15, kXY, infer_comparison, "x >= y"},
           {"less", 15, kXY, infer_comparison, "x < y"},
           {"less_equal", 15, kXY, infer_comparison, "x <= y"},
           {"logical_and", 15, kLogical, infer_comparison, "x and y"},
           {"logical_or", 15, kLogical, infer_comparison, "x or y"},
           {"logical_xor", 15, kLogical, infer_comparison, "x xor y"},
           {"maximum", 15, kXY, infer_binary, "the larger of x and y"},
           {"minimum", 15, kXY, infer_binary, "the smaller of x and y"},
           {"mod", 15, kXY, infer_binary, "x - y * floor(x / y)"},
           {"mul", 15, kXY, infer_binary, "x * y"},
           {"not_equal", 15, kXY, infer_comparison, "x != y"},
           {"pow", 15, kXY, infer_binary, "x^y"},
           {"real_div", 15, kXY, infer_binary, "x / y"},
           {"sub", 15, kXY, infer_binary, "x - y"},
           {"select", 15, "cond:bool a:any=T b:any=T", infer_select,
            "cond ? a : b, element by element"},
       }},
      {"Linear algebra",
       {
           {"linear", 15, "x:number !weight:number=U !bias?:number=U",
            infer_linear, "x * weight^T + bias; weight is [out, in]"},
           {"matmul", 15,
            "x:number y:number !transpose_x?:bool !transpose_y?:bool",
            infer_matmul,
            "matrix product of the last two dimensions, the others broadcast"},
           {"scaled_dot_product_attention", 18,
            "query:float=T key:float=T value:float=T attn_mask?:any",
            infer_attention,
            "softmax(query * key^T / sqrt(E) + attn_mask) * value"},
       }},
      {"Convolution and pooling",
       {
           {"conv", 15,
            "x:float weight:float=U bias?:float=U !strides?:int "
            "!pad_type?:string !pad?:int !dilations?:int !groups?:int",
            infer_conv,
            "convolution over 1 to 3 dimensions; weight is "
            "[out, in / groups, k...]"},
           {"conv_transpose", 15,
            "x:float !weight:float=U bias?:float=U !pad?:int "
            "!output_shape?:int !pad_type?:string !strides?:int "
            "!dilations?:int !groups?:int",
            infer_conv_transpose,
            "transposed convolution; weight is [in, out / groups, k...]"},
           {"avg_pool", 15,
            "x:float=T !kernel_sizes:int !strides?:int !pad_type:string "
            "!pad?:int !ceil_mode?:bool !exclude_padding_from_average?:bool",
            infer_pool, "mean of each window"},
           {"l2_pool", 15, kPool, infer_pool,
            "square root of the sum of squares of each window"},
           {"max_pool", 15, kPool, infer_pool, "maximum of each window"},
       }},
      {"Normalisation",
       {
           {"batch_norm", 15,
            "x:float !mean:float=U !variance:float=U !gamma?:float=U "
            "!beta?:float=U !epsilon?:float=U",
            infer_channel_norm,
            "gamma * (x - mean) / sqrt(variance + epsilon) + beta per channel"},
           {"instance_norm", 15,
            "x:float !gamma?:float=U !beta?:float=U !epsilon?:float=U",
            infer_channel_norm,
            "each channel of each item normalised over its positions"},
           {"l2_norm", 15, kXEpsilon, kSame,
            "x / sqrt(sum of squares + epsilon) over the last three "
            "dimensions"},
           {"layer_norm", 15,
            "x:float !axes?:int !gamma?:float=U !beta?:float=U "
            "!epsilon?:float=U",
            infer_layer_norm,
            "x normalised over axes (all by default), times gamma plus beta"},
       }},
      {"Reduction",
       {
           {"reduce_argmax", 15, kReduceArg, infer_reduce_arg,
            "index of the maximum along axis (default -1)"},
           {"reduce_argmin", 15, kReduceArg, infer_reduce_arg,
            "index of the minimum along axis (default -1)"},
           {"reduce_l1_norm", 15, kReduce, infer_reduce,
            "sum of absolute values"},
           {"reduce_l2_norm", 15, kReduce, infer_reduce,
            "square root of the sum of squares"},
           {"reduce_log_sum", 15, kReduce, infer_reduce, "ln of the sum"},
           {"reduce_log_sum_exp", 15, kReduce, infer_reduce,
            "ln of the sum of e^x"},
           {"reduce_max", 15, kReduce, infer_reduce, "maximum"},
           {"reduce_mean", 15, kReduce, infer_reduce, "mean"},
           {"reduce_min", 15, kReduce, infer_reduce, "minimum"},
           {"reduce_prod", 15, kReduce, infer_reduce, "product"},
           {"reduce_sum", 15, kReduce, infer_reduce, "sum"},
           {"reduce_sum_square", 15, kReduce, infer_reduce, "sum of squares"},
       }},
      {"Shape and data movement",
       {
           {"concat", 15, "values*:any=T !axis:int !interleave?:bool",
            infer_concat, "values one after the other along axis"},
           {"expand_dims", 15, "x:any !axes:int", infer_expand_dims,
            "dimensions of size 1 inserted at axes of the result"},
           {"fill", 15, "shape:int !value?:any", infer_fill,
            "a tensor of the given shape filled with value (default 0.0)"},
           {"fill_like", 16, "ref_tensor:any !value?:any", infer_fill,
            "a tensor shaped as ref_tensor filled with value (default 0.0)"},
           {"gather", 15,
            "x:any indices:int !axis?:int !batch_dims?:int "
            "!validate_indices?:bool",
            infer_gather, "slices of x at indices along axis (default 0)"},
           {"gather_along_axis", 15,
            "x:any indices:int !axis?:int !validate_indices?:bool",
            infer_gather_along_axis,
            "elements of x at indices along axis, position by position"},
           {"identity", 15, "x:any", kSame, "x"},
           {"pad", 15, "x:any=T pad:int !mode?:string !constant_val?:any=T",
            infer_pad,
            "x with borders: pad holds (before, after) of the last "
            "dimensions"},
           {"range_1d", 15, "start:number=T end:number=T step:number=T",
            infer_range, "start, start + step, ... below end"},
           {"reshape", 15, "x:any shape:int", infer_reshape,
            "the same elements in another shape; -1 infers, 0 copies"},
           {"reverse", 15, "x:any !axes?:int", kSame,
            "x backwards along axes (all by default)"},
           {"shape", 15, "x:any", infer_shape_of,
            "the dimensions of x as int32"},
           {"slice_by_index", 15,
            "x:any begin:int end:int !stride?:int !begin_mask?:bool "
            "!end_mask?:bool !squeeze_mask?:bool",
            infer_slice_by_index,
            "x[begin:end:stride]; masks open an end or drop a dimension"},
           {"slice_by_size", 15, "x:any begin:int size:int",
            infer_slice_by_size,
            "size elements from begin per dimension; -1 to the end"},
           {"slice_update", 18,
            "x:any=T update:any=T begin:int end:int !stride?:int "
            "!begin_mask?:bool !end_mask?:bool !squeeze_mask?:bool",
            infer_slice_update,
            "x with the part that slice_by_index takes replaced by update"},
           {"split", 15, "x:any !num_splits?:int !split_sizes?:int !axis:int",
            infer_split,
            "num_splits equal parts, or parts of split_sizes, along axis"},
           {"squeeze", 15, "x:any !axes?:int", infer_squeeze,
            "x without the given dimensions of size 1 (all by default)"},
           {"stack", 15, "values*:any=T !axis:int", infer_stack,
            "values of one shape side by side along a new axis"},
           {"tile", 15, "x:any reps:int", infer_tile,
            "x repeated reps times along each dimension"},
           {"topk", 15,
            "x:any !k?:int !axis?:int !ascending?:bool !sort?:bool "
            "!return_indices?:bool !output_indices_dtype?:string",
            infer_topk, "the k largest along axis, and their indices"},
           {"transpose", 15, "x:any !perm:int", infer_transpose,
            "result dimension i is dimension perm[i] of x"},
           {"cumsum", 15,
            "x:number=T !axis?:int !exclusive?:bool !reverse?:bool",
            infer_along_axis, "running sum along axis (default 0)"},
           {"band_part", 15, "x:any !lower?:int !upper?:int", kSame,
            "the last matrix with all but a diagonal band set to zero"},
       }},
      {"Recurrent",
       {
           {"lstm", 15,
            "x:float=T initial_h:float=T initial_c:float=T "
            "!weight_ih:float=T !weight_hh:float=T !bias?:float=T "
            "!peephole?:float=T !weight_ih_back?:float=T "
            "!weight_hh_back?:float=T !bias_back?:float=T "
            "!peephole_back?:float=T !direction?:string "
            "!output_sequence?:bool !recurrent_activation?:string "
            "!cell_activation?:string !activation?:string !clip?:float=T",
            infer_lstm,
            "long short-term memory over x [S, B, I]; gates i, f, o, z"},
       }},
      {"Constants",
       {
           {"const", 15, "!val:any", infer_const,
            "the constant in the attribute val"},
           {"constexpr_affine_dequantize", 16,
            "!quantized_data:quant !zero_point:any !scale:float !axis:int",
            infer_affine_dequantize,
            "scale * (quantized_data - zero_point), per slice of axis"},
           {"constexpr_blockwise_shift_scale", 18,
            "!data:any !scale:float !offset?:any", infer_blockwise_shift_scale,
            "scale * (data - offset), block by block"},
           {"constexpr_cast", 16, "!source_val:float !output_dtype:string",
            infer_constexpr_cast, "an fp16 constant widened to fp32"},
           {"constexpr_lut_to_dense", 16,
            "!indices:any !lut:any !shape?:any !vector_axis?:int",
            infer_lut_to_dense, "each index replaced by its entry of lut"},
           {"constexpr_sparse_to_dense", 16,
            "!nonzero_data:any !mask:any !shape?:any", infer_sparse_to_dense,
            "nonzero_data spread to the positions set in mask, 0 elsewhere"},
       }},
      {"Quantisation at run time",
       {
           {"dequantize", 17,
            "input:quant=Q zero_point?:quant=Q scale:float !axis?:int",
            infer_dequantize, "scale * (input - zero_point)"},
           {"quantize", 17,
            "input:float=T zero_point?:quant scale:float=T !axis?:int "
            "!output_dtype:string",
            infer_quantize, "round(input / scale) + zero_point, clamped"},
       }},
      {"State",
       {
           {"read_state", 18, "input:any", infer_read_state,
            "the present value of a state"},
           {"write_state", 18, "input:any data:any", infer_write_state,
            "makes data the value of a state; no result"},
       }},
      {"Buffers (in placement dumps)",
       {
           {"tensor_buffer_to_tensor", 17, "input:any", infer_from_buffer,
            "the tensor in a buffer"},
           {"tensor_to_tensor_buffer", 17,
            "input:any !interleave_factors?:int !strides?:int", infer_to_buffer,
            "the tensor laid out in a buffer"},
       }},
  };
}

std::vector<OpDef> make_table() {
  std::vector<OpDef> table;
  for (const Group& group : groups()) {
    for (const Row& row : group.rows) {
      table.push_back({row.name, group.name, row.first_opset,
                       parse_inputs(row.inputs), row.infer, row.summary});
    }
  }
  return table;
}

}  // namespace

std::span<const OpDef> op_table() {
  static const std::vector<OpDef> kTable = make_table();
  return kTable;
}

const OpDef* find_op(std::string_view name) {
  static const auto kIndex = [] {
    std::map<std::string_view, const OpDef*> by_name;
    for (const OpDef& op : op_table()) by_name.emplace(op.name, &op);
    return by_name;
  }();
  const auto found = kIndex.find(name);
  return found == kIndex.end() ? nullptr : found->second;
}

}  // namespace aneroid::mil
