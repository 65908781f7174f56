#include "aneroid/mil/ops.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

struct Case {
  std::string parameters;
  std::string operation;
  std::string result;  // types joined by " ; ", or the label of the error
};

// What inference says of one operation; operands that are literals are written
// in place.
std::string inferred(const std::string& parameters,
                     const std::string& operation) {
  const auto program = parse("program(1.3) { func main<ios18>(" + parameters +
                             ") { fp16 r = " + operation + "; } -> (r); }");
  if (!program) return to_string(program.error());
  const Function& function = program->functions.front();
  const auto types =
      infer_types(function.body.operations.back(), Symbols(function));
  if (!types) return types.error().label;
  std::string text;
  for (const Type& type : *types) {
    text += (text.empty() ? "" : " ; ") + print(type);
  }
  return text;
}

void expect_all(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(inferred(c.parameters, c.operation), c.result)
        << c.operation << " of " << c.parameters;
  }
}

constexpr const char* kX234 = "tensor<fp16, [2, 3, 4]> x";
constexpr const char* kX234Same = "tensor<fp16, [2, 3, 4]>";

TEST(OpTable, NamesAreUniqueAndRowsAreWhole) {
  std::set<std::string_view> names;
  for (const OpDef& op : op_table()) {
    EXPECT_TRUE(names.insert(op.name).second) << op.name << " is there twice";
    EXPECT_EQ(find_op(op.name), &op);
    EXPECT_NE(op.infer, nullptr) << op.name;
    EXPECT_FALSE(op.summary.empty()) << op.name;
    EXPECT_FALSE(op.inputs.empty()) << op.name;
    EXPECT_GE(op.first_opset, 15);
    EXPECT_LE(op.first_opset, 18);
    std::set<std::string_view> inputs;
    for (const InputDef& input : op.inputs) {
      EXPECT_TRUE(inputs.insert(input.name).second) << op.name;
      EXPECT_EQ(input.name.find_first_of("!?*:= "), std::string_view::npos)
          << op.name << ": " << input.name;
    }
  }
  EXPECT_EQ(find_op("no_such_op"), nullptr);
}

TEST(OpTable, ReadsInputNotation) {
  const OpDef* conv = find_op("conv");
  ASSERT_NE(conv, nullptr);
  ASSERT_EQ(conv->inputs.size(), 8U);
  EXPECT_EQ(conv->inputs[1].name, "weight");
  EXPECT_EQ(conv->inputs[1].types, TypeClass::kFloat);
  EXPECT_EQ(conv->inputs[1].same_as, 'U');
  EXPECT_FALSE(conv->inputs[1].constant);
  EXPECT_EQ(conv->inputs[3].name, "strides");
  EXPECT_TRUE(conv->inputs[3].constant);
  EXPECT_TRUE(conv->inputs[3].optional);
  const OpDef* concat = find_op("concat");
  ASSERT_NE(concat, nullptr);
  EXPECT_TRUE(concat->inputs[0].variadic);
}

std::string mark(const InputDef& input) {
  return std::string(input.constant ? "!" : "") + std::string(input.name) +
         (input.optional ? "?" : "") + (input.variadic ? "*" : "");
}

TEST(OpTable, IsInTheSpecification) {
  const auto text = read_file("docs/spec/mil.md");
  ASSERT_TRUE(text) << to_string(text.error());
  for (const OpDef& op : op_table()) {
    std::string row = "| `" + std::string(op.name) + "` | " +
                      std::to_string(op.first_opset) + " | ";
    for (const InputDef& input : op.inputs) {
      row += (&input == &op.inputs.front() ? "" : ", ") + mark(input);
    }
    row += " | " + std::string(op.summary) + " |\n";
    EXPECT_NE(text->find(row), std::string::npos)
        << "docs/spec/mil.md lacks the row\n"
        << row;
    EXPECT_NE(text->find("### " + std::string(op.group) + "\n"),
              std::string::npos)
        << "docs/spec/mil.md lacks the group " << op.group;
  }
}

TEST(Infer, ElementWise) {
  expect_all({
      {kX234, "relu(x = x)", kX234Same},
      {"tensor<int32, [2]> x", "relu(x = x)", "mil.type"},
      {"tensor<int32, [2]> x", "abs(x = x)", "tensor<int32, [2]>"},
      {kX234, "gelu(mode = string(\"EXACT\"), x = x)", kX234Same},
      {kX234, "softmax(axis = int32(-1), x = x)", kX234Same},
      {kX234, "softmax(axis = int32(3), x = x)", "mil.shape"},
      {kX234, "clip(alpha = fp16(0), beta = fp16(1), x = x)", kX234Same},
      {kX234, "clip(alpha = fp16(0), x = x)", "mil.input"},
      {kX234, "cast(dtype = string(\"fp32\"), x = x)",
       "tensor<fp32, [2, 3, 4]>"},
      {kX234, "cast(dtype = string(\"float\"), x = x)", "mil.type"},
      {"bool x", "logical_not(x = x)", "bool"},
      {"tensor<bool, [3, 1]> c, tensor<fp16, [1, 4]> a, fp16 b",
       "select(a = a, b = b, cond = c)", "tensor<fp16, [3, 4]>"},
  });
}

TEST(Infer, BinaryBroadcasts) {
  const std::string xy =
      "tensor<fp16, [2, 1, ?]> x, tensor<fp16, [5, 7]> y, tensor<fp32, [1]> z, "
      "tensor<fp16, [3]> w, tensor<fp16, [?, 1]> u";
  expect_all({
      {xy, "add(x = x, y = y)", "tensor<fp16, [2, 5, 7]>"},
      {xy, "mul(x = x, y = fp16(2))", "tensor<fp16, [2, 1, ?]>"},
      {xy, "sub(x = x, y = u)", "tensor<fp16, [2, ?, ?]>"},
      {xy, "pow(x = y, y = w)", "mil.shape"},
      {xy, "real_div(x = y, y = z)", "mil.type"},
      {xy, "maximum(x = y)", "mil.input"},
      {xy, "add(x = y, y = y, z = z)", "mil.input"},
      {xy, "add(x = nowhere, y = y)", "mil.ssa"},
      {xy, "greater(x = x, y = y)", "tensor<bool, [2, 5, 7]>"},
      {"tensor<fp16, [...]> x, fp16 y", "add(x = x, y = y)", "fp16"},
  });
}

TEST(Infer, Reductions) {
  expect_all({
      {kX234,
       "reduce_sum(axes = tensor<int32, [1]>([1]), keep_dims = bool(true), x = "
       "x)",
       "tensor<fp16, [2, 1, 4]>"},
      {kX234, "reduce_mean(axes = tensor<int32, [2]>([0, -1]), x = x)",
       "tensor<fp16, [3]>"},
      {kX234, "reduce_max(x = x)", "fp16"},
      {kX234, "reduce_log_sum_exp(keep_dims = bool(true), x = x)",
       "tensor<fp16, [1, 1, 1]>"},
      {kX234, "reduce_min(axes = tensor<int32, [1]>([3]), x = x)", "mil.shape"},
      {kX234, "reduce_sum_square(axes = tensor<int32, [2]>([0, -3]), x = x)",
       "mil.shape"},
      {kX234, "reduce_argmax(axis = int32(1), x = x)", "tensor<int32, [2, 4]>"},
      {kX234,
       "reduce_argmin(keep_dims = bool(true), output_dtype = "
       "string(\"uint16\"), x = x)",
       "tensor<uint16, [2, 3, 1]>"},
      {kX234, "reduce_argmax(output_dtype = string(\"fp16\"), x = x)",
       "mil.type"},
      {kX234,
       "layer_norm(axes = tensor<int32, [1]>([-1]), gamma = tensor<fp16, "
       "[4]>([1, 1, 1, 1]), x = x)",
       kX234Same},
      {kX234,
       "layer_norm(axes = tensor<int32, [1]>([1]), gamma = tensor<fp16, "
       "[4]>([1, 1, 1, 1]), x = x)",
       "mil.shape"},
      {kX234,
       "batch_norm(mean = tensor<fp16, [3]>([0, 0, 0]), variance = "
       "tensor<fp16, [3]>([1, 1, 1]), x = x)",
       kX234Same},
      {kX234,
       "batch_norm(mean = tensor<fp16, [2]>([0, 0]), variance = tensor<fp16, "
       "[3]>([1, 1, 1]), x = x)",
       "mil.shape"},
  });
}

TEST(Infer, MatrixProducts) {
  const std::string ab =
      "tensor<fp16, [5, 1, 2, 3]> a, tensor<fp16, [7, 3, 4]> b, "
      "tensor<fp16, [3]> v, tensor<fp16, [?, ?]> u, fp16 s";
  expect_all({
      {ab, "matmul(x = a, y = b)", "tensor<fp16, [5, 7, 2, 4]>"},
      {ab, "matmul(transpose_x = bool(true), x = b, y = b)",
       "tensor<fp16, [7, 4, 4]>"},
      {ab, "matmul(transpose_y = bool(true), x = b, y = b)",
       "tensor<fp16, [7, 3, 3]>"},
      {ab, "matmul(x = a, y = a)", "mil.shape"},
      {ab, "matmul(x = a, y = v)", "tensor<fp16, [5, 1, 2]>"},
      {ab, "matmul(x = v, y = b)", "tensor<fp16, [7, 4]>"},
      {ab, "matmul(x = v, y = v)", "fp16"},
      {ab, "matmul(x = a, y = u)", "tensor<fp16, [5, 1, 2, ?]>"},
      {ab, "matmul(x = a, y = s)", "mil.shape"},
      {ab,
       "linear(weight = tensor<fp16, [6, 3]>(BLOBFILE(path = string(\"w\"), "
       "offset = uint64(64))), x = a)",
       "tensor<fp16, [5, 1, 2, 6]>"},
      {ab,
       "linear(weight = tensor<fp16, [6, 4]>(BLOBFILE(path = string(\"w\"), "
       "offset = uint64(64))), x = a)",
       "mil.shape"},
      {ab,
       "linear(bias = tensor<fp16, [2]>([0, 0]), weight = tensor<fp16, [6, "
       "3]>(BLOBFILE(path = string(\"w\"), offset = uint64(64))), x = a)",
       "mil.shape"},
      {"tensor<fp16, [1, 4, 8, 16]> q, tensor<fp16, [1, 4, 9, 16]> k, "
       "tensor<fp16, [1, 4, 9, 5]> v",
       "scaled_dot_product_attention(key = k, query = q, value = v)",
       "tensor<fp16, [1, 4, 8, 5]>"},
      {"tensor<fp16, [1, 4, 8, 16]> q, tensor<fp16, [1, 4, 9, 15]> k",
       "scaled_dot_product_attention(key = k, query = q, value = k)",
       "mil.shape"},
  });
}

TEST(Infer, ConvolutionsAndPools) {
  const std::string p =
      "tensor<fp16, [1, 8, 10, 11]> x, tensor<fp16, [6, 8, 3, 3]> w, "
      "tensor<fp16, [6, 4, 3, 3]> g, tensor<fp16, [1, 8, ?, 11]> u";
  expect_all({
      {p, "conv(weight = w, x = x)", "tensor<fp16, [1, 6, 8, 9]>"},
      {p,
       "conv(pad_type = string(\"same\"), strides = tensor<int32, [2]>([2, "
       "2]), weight = w, x = x)",
       "tensor<fp16, [1, 6, 5, 6]>"},
      {p,
       "conv(pad = tensor<int32, [4]>([1, 2, 0, 0]), pad_type = "
       "string(\"custom\"), weight = w, x = x)",
       "tensor<fp16, [1, 6, 11, 9]>"},
      // pad counts only with pad_type custom.
      {p,
       "conv(pad = tensor<int32, [4]>([1, 2, 0, 0]), pad_type = "
       "string(\"valid\"), weight = w, x = x)",
       "tensor<fp16, [1, 6, 8, 9]>"},
      {p, "conv(dilations = tensor<int32, [2]>([4, 5]), weight = w, x = x)",
       "tensor<fp16, [1, 6, 2, 1]>"},
      {p, "conv(dilations = tensor<int32, [2]>([5, 5]), weight = w, x = x)",
       "mil.shape"},
      {p, "conv(groups = int32(2), weight = g, x = x)",
       "tensor<fp16, [1, 6, 8, 9]>"},
      {p, "conv(groups = int32(0), weight = g, x = x)", "mil.shape"},
      {p, "conv(weight = g, x = x)", "mil.shape"},
      {p, "conv(weight = w, x = u)", "tensor<fp16, [1, 6, ?, 9]>"},
      {p, "conv(pad_type = string(\"full\"), weight = w, x = x)", "mil.input"},
      {p, "conv(strides = tensor<int32, [2]>([0, 1]), weight = w, x = x)",
       "mil.shape"},
      {p, "conv(bias = tensor<fp16, [5]>([0, 0, 0, 0, 0]), weight = w, x = x)",
       "mil.shape"},
      {p,
       "max_pool(kernel_sizes = tensor<int32, [2]>([2, 2]), pad_type = "
       "string(\"valid\"), strides = tensor<int32, [2]>([2, 2]), x = x)",
       "tensor<fp16, [1, 8, 5, 5]>"},
      {p,
       "avg_pool(ceil_mode = bool(true), kernel_sizes = tensor<int32, [2]>([2, "
       "2]), pad_type = string(\"valid\"), strides = tensor<int32, [2]>([2, "
       "2]), x = x)",
       "tensor<fp16, [1, 8, 5, 6]>"},
      {"tensor<fp16, [1, 8, 5, 5]> x",
       "conv_transpose(strides = tensor<int32, [2]>([2, 2]), weight = "
       "tensor<fp16, [8, 3, 3, 3]>(BLOBFILE(path = string(\"w\"), offset = "
       "uint64(64))), x = x)",
       "tensor<fp16, [1, 3, 11, 11]>"},
  });
}

TEST(Infer, ReshapeAndTranspose) {
  const std::string s =
      "tensor<int32, [2]> s, tensor<fp16, [2, 3, 4]> x, "
      "tensor<fp16, [2, ?]> u";
  expect_all({
      {s, "reshape(shape = tensor<int32, [2]>([6, -1]), x = x)",
       "tensor<fp16, [6, 4]>"},
      {s, "reshape(shape = tensor<int32, [3]>([0, 4, 3]), x = x)",
       "tensor<fp16, [2, 4, 3]>"},
      {s, "reshape(shape = tensor<int32, [3]>([0, -1, 2]), x = x)",
       "tensor<fp16, [2, 6, 2]>"},
      {s, "reshape(shape = tensor<int32, [2]>([-1, -1]), x = x)", "mil.shape"},
      {s, "reshape(shape = tensor<int32, [2]>([5, -1]), x = x)", "mil.shape"},
      {s, "reshape(shape = tensor<int32, [2]>([5, 5]), x = x)", "mil.shape"},
      {s, "reshape(shape = tensor<int32, [1]>([-2]), x = x)", "mil.shape"},
      {s, "reshape(shape = tensor<int32, [1]>([-1]), x = u)",
       "tensor<fp16, [?]>"},
      {s, "reshape(shape = s, x = x)", "tensor<fp16, [?, ?]>"},
      {s, "transpose(perm = tensor<int32, [3]>([2, 0, -2]), x = x)",
       "tensor<fp16, [4, 2, 3]>"},
      {s, "transpose(perm = tensor<int32, [3]>([2, 0, 0]), x = x)",
       "mil.shape"},
      {s, "transpose(perm = tensor<int32, [2]>([1, 0]), x = x)", "mil.shape"},
      {s, "expand_dims(axes = tensor<int32, [2]>([0, -1]), x = x)",
       "tensor<fp16, [1, 2, 3, 4, 1]>"},
      {s, "expand_dims(axes = tensor<int32, [1]>([4]), x = x)", "mil.shape"},
      {"tensor<fp16, [1, 3, 1]> x", "squeeze(x = x)", "tensor<fp16, [3]>"},
      {"tensor<fp16, [1, 3, 1]> x",
       "squeeze(axes = tensor<int32, [1]>([-1]), x = x)",
       "tensor<fp16, [1, 3]>"},
      {"tensor<fp16, [1, 3, 1]> x",
       "squeeze(axes = tensor<int32, [1]>([1]), x = x)", "mil.shape"},
  });
}

TEST(Infer, Slices) {
  const std::string s =
      "tensor<fp16, [4, 10]> x, tensor<fp16, [?, 10]> u, tensor<int32, [2]> i";
  expect_all({
      {s,
       "slice_by_size(begin = tensor<int32, [2]>([1, 2]), size = tensor<int32, "
       "[2]>([2, -1]), x = x)",
       "tensor<fp16, [2, 8]>"},
      {s,
       "slice_by_size(begin = tensor<int32, [2]>([1, 2]), size = tensor<int32, "
       "[2]>([4, 1]), x = x)",
       "mil.shape"},
      {s,
       "slice_by_size(begin = tensor<int32, [2]>([5, 2]), size = tensor<int32, "
       "[2]>([-1, 1]), x = x)",
       "mil.shape"},
      {s,
       "slice_by_size(begin = tensor<int32, [1]>([1]), size = tensor<int32, "
       "[2]>([4, 1]), x = x)",
       "mil.shape"},
      {s, "slice_by_size(begin = i, size = tensor<int32, [2]>([2, -1]), x = x)",
       "tensor<fp16, [2, ?]>"},
      {s,
       "slice_by_size(begin = tensor<int32, [2]>([1, 2]), size = tensor<int32, "
       "[2]>([-1, 3]), x = u)",
       "tensor<fp16, [?, 3]>"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([1, -3]), end = "
       "tensor<int32, [2]>([-1, 99]), x = x)",
       "tensor<fp16, [2, 3]>"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([0, 9]), end = tensor<int32, "
       "[2]>([4, 0]), stride = tensor<int32, [2]>([3, -2]), x = x)",
       "tensor<fp16, [2, 5]>"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([2, 5]), begin_mask = "
       "tensor<bool, [2]>([true, false]), end = tensor<int32, [2]>([2, 6]), "
       "end_mask = tensor<bool, [2]>([false, true]), x = x)",
       "tensor<fp16, [2, 5]>"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([-1, 0]), end = "
       "tensor<int32, [2]>([0, 4]), squeeze_mask = tensor<bool, [2]>([true, "
       "false]), x = x)",
       "tensor<fp16, [4]>"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([4, 0]), end = tensor<int32, "
       "[2]>([0, 4]), squeeze_mask = tensor<bool, [2]>([true, false]), x = x)",
       "mil.shape"},
      {s,
       "slice_by_index(begin = tensor<int32, [2]>([0, 0]), end = tensor<int32, "
       "[2]>([4, 4]), stride = tensor<int32, [2]>([0, 1]), x = x)",
       "mil.shape"},
      {s, "slice_by_index(begin = i, end = i, x = x)", "tensor<fp16, [?, ?]>"},
      {s,
       "slice_update(begin = tensor<int32, [2]>([0, 0]), end = tensor<int32, "
       "[2]>([4, 4]), update = x, x = x)",
       "mil.shape"},
  });
}

TEST(Infer, JoinsAndParts) {
  const std::string s =
      "tensor<fp16, [2, 3]> a, tensor<fp16, [2, 5]> b, tensor<fp16, [2, ?]> u, "
      "tensor<fp32, [2, 3]> f, tensor<fp16, [2, 6]> x, fp16 v, int32 k";
  expect_all({
      {s, "concat(axis = int32(1), interleave = bool(false), values = (a, b))",
       "tensor<fp16, [2, 8]>"},
      {s, "concat(axis = int32(-1), values = (a, u))", "tensor<fp16, [2, ?]>"},
      {s, "concat(axis = int32(0), values = (a, b))", "mil.shape"},
      {s, "concat(axis = int32(0), values = (a, v))", "mil.shape"},
      {s, "concat(axis = int32(0), values = (a, f))", "mil.type"},
      {s, "concat(axis = int32(0), values = ())", "mil.input"},
      {s, "relu(x = (a, b))", "mil.input"},
      {s, "stack(axis = int32(1), values = (a, a))", "tensor<fp16, [2, 2, 3]>"},
      {s, "stack(axis = int32(0), values = (a, b))", "mil.shape"},
      {s, "split(axis = int32(1), num_splits = int32(2), x = x)",
       "tensor<fp16, [2, 3]> ; tensor<fp16, [2, 3]>"},
      {s,
       "split(axis = int32(1), split_sizes = tensor<int32, [2]>([2, 4]), x = "
       "x)",
       "tensor<fp16, [2, 2]> ; tensor<fp16, [2, 4]>"},
      {s, "split(axis = int32(1), num_splits = int32(4), x = x)", "mil.shape"},
      {s, "split(axis = int32(1), num_splits = k, x = x)", "mil.const"},
      {s,
       "split(axis = int32(1), split_sizes = tensor<int32, [2]>([2, 5]), x = "
       "x)",
       "mil.shape"},
      {s, "tile(reps = tensor<int32, [2]>([3, 1]), x = u)",
       "tensor<fp16, [6, ?]>"},
      {s, "tile(reps = tensor<int32, [2]>([-3, 1]), x = a)", "mil.shape"},
      {s, "pad(pad = tensor<int32, [2]>([1, 2]), x = a)",
       "tensor<fp16, [2, 6]>"},
      {s, "pad(pad = tensor<int32, [3]>([1, 2, 3]), x = a)", "mil.shape"},
      {s, "pad(pad = tensor<int32, [2]>([-1, 2]), x = a)", "mil.shape"},
      {"tensor<fp16, [4000000000000000000, 2]> x",
       "tile(reps = tensor<int32, [2]>([1000, 1]), x = x)", "mil.shape"},
  });
}

TEST(Infer, GathersAndFills) {
  const std::string s =
      "tensor<fp16, [7, 8, 9]> x, tensor<int32, [2, 3]> i, int32 n";
  expect_all({
      {s, "gather(axis = int32(1), indices = i, x = x)",
       "tensor<fp16, [7, 2, 3, 9]>"},
      {s, "gather(indices = n, x = x)", "tensor<fp16, [8, 9]>"},
      {s, "gather(axis = int32(1), batch_dims = int32(1), indices = i, x = x)",
       "tensor<fp16, [7, 3, 9]>"},
      {s, "gather(axis = int32(0), batch_dims = int32(1), indices = i, x = x)",
       "mil.shape"},
      {s, "gather(axis = int32(3), indices = i, x = x)", "mil.shape"},
      {s, "gather(indices = x, x = x)", "mil.type"},
      {s, "fill(shape = tensor<int32, [2]>([3, 4]), value = fp16(1))",
       "tensor<fp16, [3, 4]>"},
      {s, "fill(shape = tensor<int32, [1]>([3]))", "tensor<fp32, [3]>"},
      {s, "fill(shape = tensor<int32, [1]>([-3]))", "mil.shape"},
      {s, "shape(x = x)", "tensor<int32, [3]>"},
      {s, "range_1d(end = int32(10), start = int32(1), step = int32(4))",
       "tensor<int32, [3]>"},
      {s, "range_1d(end = int32(10), start = int32(1), step = int32(0))",
       "mil.shape"},
      {s, "range_1d(end = n, start = int32(1), step = int32(1))",
       "tensor<int32, [?]>"},
      {s, "topk(axis = int32(1), k = int32(3), x = x)",
       "tensor<fp16, [7, 3, 9]> ; tensor<int32, [7, 3, 9]>"},
      {s, "topk(k = int32(10), x = x)", "mil.shape"},
  });
}

TEST(Infer, ConstantsAndQuantisation) {
  const std::string q = "tensor<int8, [4, 6]> q, tensor<fp16, [4, 6]> x";
  const auto blob = [](const std::string& type) {
    return type + "(BLOBFILE(path = string(\"w\"), offset = uint64(64)))";
  };
  expect_all({
      {q, "const()[name = string(\"c\"), val = tensor<int32, [2]>([1, 2])]",
       "tensor<int32, [2]>"},
      {q, "const()[name = string(\"c\")]", "mil.input"},
      {q,
       "quantize(input = x, output_dtype = string(\"int8\"), scale = "
       "fp16(0.5))",
       "tensor<int8, [4, 6]>"},
      {q,
       "quantize(input = x, output_dtype = string(\"int4\"), scale = "
       "fp16(0.5))",
       "mil.type"},
      {q,
       "quantize(input = x, output_dtype = string(\"int8\"), scale = "
       "fp16(0.5), zero_point = uint8(3))",
       "mil.type"},
      {q, "dequantize(input = q, scale = fp16(0.5))", "tensor<fp16, [4, 6]>"},
      {q,
       "dequantize(axis = int32(0), input = q, scale = tensor<fp16, [4]>([1, "
       "1, 1, 1]))",
       "tensor<fp16, [4, 6]>"},
      {q,
       "dequantize(axis = int32(1), input = q, scale = tensor<fp16, [4]>([1, "
       "1, 1, 1]))",
       "mil.shape"},
      // The ios16 form: operands are attributes.
      {q,
       "constexpr_affine_dequantize()[axis = int32(0), quantized_data = " +
           blob("tensor<int8, [4, 6]>") +
           ", scale = fp16(1), zero_point = int8(0)]",
       "tensor<fp16, [4, 6]>"},
      {q,
       "constexpr_affine_dequantize(axis = int32(0), quantized_data = " +
           blob("tensor<int8, [4, 6]>") +
           ", scale = tensor<fp32, [4]>([1, 1, 1, 1]), zero_point = int8(0))",
       "tensor<fp32, [4, 6]>"},
      {q,
       "constexpr_affine_dequantize(axis = int32(0), quantized_data = " +
           blob("tensor<int8, [4, 6]>") + ", scale = fp16(1))",
       "mil.input"},
      {q,
       "constexpr_blockwise_shift_scale(data = " +
           blob("tensor<int4, [4, 6]>") +
           ", scale = " + blob("tensor<fp16, [4, 3]>") + ")",
       "tensor<fp16, [4, 6]>"},
      {q,
       "constexpr_blockwise_shift_scale(data = " +
           blob("tensor<int4, [4, 6]>") +
           ", scale = " + blob("tensor<fp16, [4, 4]>") + ")",
       "mil.shape"},
      {q,
       "constexpr_lut_to_dense()[indices = " + blob("tensor<uint8, [6]>") +
           ", lut = tensor<fp16, [4]>([0, 1, 2, 3]), shape = tensor<uint32, "
           "[2]>([4, 6])]",
       "tensor<fp16, [4, 6]>"},
      {q,
       "constexpr_lut_to_dense(indices = " + blob("tensor<uint4, [4, 6]>") +
           ", lut = " + blob("tensor<fp16, [1, 1, 16, 2]>") +
           ", vector_axis = int32(0))",
       "tensor<fp16, [8, 6]>"},
      {q,
       "constexpr_lut_to_dense(indices = " + blob("tensor<uint4, [4, 6]>") +
           ", lut = " + blob("tensor<fp16, [16]>") + ")",
       "mil.shape"},
      {q,
       "constexpr_lut_to_dense(indices = " + blob("tensor<uint4, [4, 6]>") +
           ", lut = " + blob("tensor<fp16, [1, 1, 16, 2]>") + ")",
       "mil.input"},
      {q,
       "constexpr_sparse_to_dense(mask = " + blob("tensor<uint1, [4, 6]>") +
           ", nonzero_data = " + blob("tensor<fp16, [5]>") + ")",
       "tensor<fp16, [4, 6]>"},
      {q,
       "constexpr_cast(output_dtype = string(\"fp32\"), source_val = fp16(1))",
       "fp32"},
      {q,
       "constexpr_cast(output_dtype = string(\"fp16\"), source_val = fp16(1))",
       "mil.type"},
  });
}

TEST(Infer, StatesBuffersAndRecurrence) {
  expect_all({
      {"state<tensor<fp16, [1, 8]>> s", "read_state(input = s)",
       "tensor<fp16, [1, 8]>"},
      {"tensor<fp16, [1, 8]> s", "read_state(input = s)", "mil.type"},
      {"state<tensor<fp16, [1, 8]>> s, tensor<fp16, [1, 9]> d",
       "write_state(data = d, input = s)", "mil.shape"},
      {"tensor_buffer<fp16, shape=[1, 8], strides=[8, 1]> b",
       "tensor_buffer_to_tensor(input = b)", "tensor<fp16, [1, 8]>"},
      {"tensor<fp16, [16, 1, 64]> x, tensor<fp16, [1, 64]> h",
       "lstm(initial_c = h, initial_h = h, output_sequence = bool(true), "
       "weight_hh = tensor<fp16, [256, 64]>(BLOBFILE(path = string(\"w\"), "
       "offset = uint64(64))), weight_ih = tensor<fp16, [256, "
       "64]>(BLOBFILE(path = string(\"w\"), offset = uint64(64))), x = x)",
       "tensor<fp16, [16, 1, 64]> ; tensor<fp16, [1, 64]> ; tensor<fp16, [1, "
       "64]>"},
      {"fp16 x", "no_such_op(x = x)", "mil.op"},
  });
}

}  // namespace
}  // namespace aneroid::mil
