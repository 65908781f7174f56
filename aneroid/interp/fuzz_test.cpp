// Whatever an operation is given, it ends in a result or an error.
#include <array>

#include "aneroid/base/random.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

constexpr std::array kOps = {
    "conv",
    "matmul",
    "linear",
    "reshape",
    "transpose",
    "slice_by_size",
    "concat",
    "slice_by_index",
    "split",
    "stack",
    "add",
    "gelu",
    "clip",
    "softmax",
    "reduce_sum",
    "reduce_log_sum_exp",
    "cast",
    "identity",
    "expand_dims",
    "squeeze",
    "tile",
    "layer_norm",
    "quantize",
    "dequantize",
    "greater",
    "select",
    "pad",
    "fill",
    "constexpr_cast",
    "constexpr_affine_dequantize",
    "constexpr_blockwise_shift_scale",
    "constexpr_lut_to_dense",
};
constexpr std::array kTensorInputs = {
    "x",    "y",     "weight", "bias",           "input", "scale",
    "cond", "a",     "b",      "zero_point",     "data",  "offset",
    "beta", "gamma", "value",  "quantized_data", "alpha", "indices",
    "lut",
};
constexpr std::array kIntegerInputs = {
    "axes",        "axis",         "shape",       "begin",    "end",
    "size",        "perm",         "reps",        "pad",      "strides",
    "groups",      "dilations",    "stride",      "end_mask", "num_splits",
    "split_sizes", "squeeze_mask", "vector_axis",
};
constexpr std::array kTextInputs = {"mode", "pad_type", "dtype",
                                    "output_dtype"};
constexpr std::array kTexts = {"same", "custom", "reflect", "replicate",
                               "int8", "fp16",   "EXACT",   "nonsense"};

template <size_t N>
const char* pick(Random& random, const std::array<const char*, N>& from) {
  return from[random.below(N)];
}

Shape any_shape(Random& random) {
  Shape shape(random.below(5));
  for (int64_t& dim : shape) dim = static_cast<int64_t>(random.below(4));
  return shape;
}

// Half of the tensors have the common shape, so that some operands fit.
HostTensor any_tensor(Random& random, const Shape& common) {
  constexpr std::array kTypes = {DataType::kFp16, DataType::kInt32,
                                 DataType::kBool};
  HostTensor tensor;
  tensor.dtype = random.below(4) == 0 ? kTypes[random.below(kTypes.size())]
                                      : DataType::kFp32;
  tensor.shape = random.below(2) == 0 ? common : any_shape(random);
  const int64_t count = element_count(tensor.shape).value();
  for (int64_t i = 0; i < count; ++i) {
    const double value = random.below(20) == 0 ? kInf : 3.0 * random.normal();
    tensor.data.push_back(conform(value, tensor.dtype, Rounding::kFp32));
  }
  return tensor;
}

mil::Value any_integers(Random& random) {
  std::vector<int64_t> values(random.below(5));
  for (int64_t& value : values) {
    value = random.below(30) == 0 ? 2147483647
                                  : static_cast<int64_t>(random.below(7)) - 2;
  }
  return mil::ints_value(values);
}

TEST(Fuzz, EveryOpSurvivesArbitraryInputs) {
  Random random(17);
  Options options;
  options.max_elements = 4096;
  int results = 0;
  for (int round = 0; round < 30000; ++round) {
    const char* op = pick(random, kOps);
    const Shape common = any_shape(random);
    Tensors tensors;
    Constants constants;
    for (const char* input : kTensorInputs) {
      if (random.below(4) != 0)
        tensors.emplace_back(input, any_tensor(random, common));
    }
    for (const char* input : {"values0", "values1"}) {
      tensors.emplace_back(input, any_tensor(random, common));
    }
    for (const char* input : kIntegerInputs) {
      if (random.below(2) == 0) {
        constants.emplace_back(input, any_integers(random));
      }
    }
    for (const char* input : kTextInputs) {
      if (random.below(2) == 0) {
        constants.emplace_back(input, mil::string_value(pick(random, kTexts)));
      }
    }
    // A declared type that fits by luck only: the op has run by then.
    const std::vector<mil::Type> types(
        random.below(8) == 0 ? 2 : 1,
        mil::tensor(DataType::kFp32, Shape(random.below(5), kUnknownDim)));
    results += run_op(op, tensors, constants, types, options) ? 1 : 0;
  }
  EXPECT_GT(results, 500);
}

}  // namespace
}  // namespace aneroid::interp
