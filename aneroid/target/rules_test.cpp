// A program that breaks each rule and one that keeps it.
#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aneroid/mil/text.h"
#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

constexpr std::string_view kBuildInfo =
    "[buildInfo = dict<string, string>({{\"coremlc-version\", \"1\"}})]";

struct Text {
  std::string inputs = "tensor<fp16, [1, 64, 1, 64]> x";
  std::string body;
  std::string outputs = "y";
  std::string_view build_info = kBuildInfo;
  std::string attributes = {};  // of the function
};

std::string to_text(const Text& text) {
  return fmt::format(
      "program(1.3)\n{}\n{{\n  func main<ios18>({}) {} {{\n{}\n  }} -> "
      "({});\n}}\n",
      text.build_info, text.inputs, text.attributes, text.body, text.outputs);
}

// "type y = op(arguments)[name = string("y")];"
std::string line(const std::string& type, const std::string& name,
                 const std::string& call) {
  return fmt::format("{} {} = {}[name = string(\"{}\")];\n", type, name, call,
                     name);
}
// A constant from a weight file.
std::string weight(const std::string& type, int offset = 64) {
  return fmt::format(
      "{0} w = const()[name = string(\"w\"), val = {0}(BLOBFILE(path = "
      "string(\"@model_path/w.bin\"), offset = uint64({1})))];\n",
      type, offset);
}
std::string fp16(const std::string& shape) {
  return "tensor<fp16, " + shape + ">";
}
// y = op(x = x, extra) where x and y have one shape.
Text on_x(const std::string& shape, const std::string& call) {
  return {.inputs = fp16(shape) + " x", .body = line(fp16(shape), "y", call)};
}
Text conv(const std::string& kernel, const std::string& extra = "") {
  const std::string type = fp16("[64, 64, " + kernel + "]");
  return {.body = weight(type) + line(fp16("[1, 64, 1, 64]"), "y",
                                      "conv(weight = w, x = x" + extra + ")")};
}
Text matmul(const std::string& x, const std::string& y,
            const std::string& result, const std::string& extra = "") {
  return {.inputs = fp16(x) + " a, " + fp16(y) + " b",
          .body = line(fp16(result), "y", "matmul(x = a, y = b" + extra + ")")};
}
Text chain(int length) {
  Text text;
  std::string last = "x";
  for (int i = 1; i < length; ++i) {
    const std::string name = fmt::format("v{}", i);
    text.body += line(fp16("[1, 64, 1, 64]"), name, "exp(x = " + last + ")");
    last = name;
  }
  text.body += line(fp16("[1, 64, 1, 64]"), "y", "exp(x = " + last + ")");
  return text;
}
Text many_inputs(int count) {
  Text text = on_x("[1, 64]", "exp(x = x0)");
  text.inputs.clear();
  for (int i = 0; i < count; ++i) {
    text.inputs +=
        fmt::format("{}{} x{}", i == 0 ? "" : ", ", fp16("[1, 64]"), i);
  }
  return text;
}

// Two inputs of one op, named as given.
Text on_two(const std::string& first, const std::string& second,
            const std::string& body) {
  return {.inputs = first + ", " + second, .body = body};
}
// A constexpr op whose operands are attributes.
std::string constexpr_op(const std::string& type, const std::string& name,
                         const std::string& op, const std::string& attributes) {
  return fmt::format("{} {} = {}()[{}, name = string(\"{}\")];\n", type, name,
                     op, attributes, name);
}
// Weights w of 4 bits, 64 channels of 64, with scales of the given shape.
Text blockwise(const std::string& scales) {
  return {.body = constexpr_op(fp16("[64, 64]"), "w",
                               "constexpr_blockwise_shift_scale",
                               "data = tensor<int4, [64, 64]>(BLOBFILE(path = "
                               "string(\"w.bin\"), offset = uint64(64))), "
                               "scale = " +
                                   fp16(scales) +
                                   "(BLOBFILE(path = string(\"s.bin\"), offset "
                                   "= uint64(64)))") +
                  line(fp16("[1, 64, 1, 64]"), "y", "exp(x = x)")};
}
// A convolution by a palette of 16 values: its lookup table has rank 6 (two
// more than the weight) and a name, its indices are in place.
Text palettised_conv() {
  const std::string lut = fp16("[1, 1, 1, 1, 16, 1]");
  return {.body = fmt::format("{0} lut = const()[name = string(\"lut\"), val = "
                              "{0}(BLOBFILE(path = string(\"l.bin\"), offset = "
                              "uint64(64)))];\n",
                              lut) +
                  line(fp16("[64, 64, 1, 1]"), "w",
                       "constexpr_lut_to_dense(indices = tensor<uint4, [64, "
                       "64, 1, 1]>(BLOBFILE(path = string(\"w.bin\"), offset = "
                       "uint64(64))), lut = lut)") +
                  line(fp16("[1, 64, 1, 64]"), "y", "conv(weight = w, x = x)")};
}
// conv whose activations are dequantised with the given scales.
Text dequantised_conv(const std::string& scale) {
  return {.inputs = "tensor<int8, [1, 64, 1, 64]> q",
          .body = fmt::format("{0} s = const()[name = string(\"s\"), val = "
                              "{0}(BLOBFILE(path = string(\"s.bin\"), offset = "
                              "uint64(64)))];\n",
                              fp16(scale)) +
                  line(fp16("[1, 64, 1, 64]"), "x",
                       "dequantize(axis = int32(1), input = q, scale = s)") +
                  weight(fp16("[64, 64, 1, 1]")) +
                  line(fp16("[1, 64, 1, 64]"), "y", "conv(weight = w, x = x)")};
}
// layer_norm in a function that takes several shapes.
Text several_shapes(const std::string& kind) {
  Text text = on_x("[1, 64]", "layer_norm(x = x)");
  text.attributes =
      "[FlexibleShapeInformation = tuple<tuple<string, dict<"
      "string, tensor<int32, [2]>>>>(((\"" +
      kind + "\", {{\"x\", [1, 64]}})))]";
  return text;
}

struct Case {
  std::string_view id;
  std::string_view chip;
  Path path;
  Text bad;
  Text good;
  std::string message;         // part of the refusal of `bad`
  std::string_view free_chip;  // one that the rule is not known for; or empty
};

const Text kExp = on_x("[1, 64, 1, 64]", "exp(x = x)");

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"C001",
       "m4",
       Path::kRaw,
       {.body = kExp.body, .build_info = ""},
       kExp,
       "no buildInfo",
       ""},
      {"C003", "m4", Path::kRaw,
       matmul("[64, 64]", "[64, 64]", "[64, 64]", ", transpose_x = bool(true)"),
       matmul("[64, 64]", "[64, 64]", "[64, 64]"),
       "transpose_x is written as a literal", ""},
      {"C004", "m4", Path::kRaw, on_x("[1, 64, 1, 64]", "gelu(x = x)"),
       on_x("[1, 64, 1, 64]", "gelu(mode = string(\"EXACT\"), x = x)"),
       "gelu has no mode", ""},
      {"C005",
       "m4",
       Path::kRaw,
       {.body = kExp.body, .outputs = "y, x"},
       kExp,
       "output 'x' is an input",
       ""},
      {"C010",
       "m4",
       Path::kRaw,
       {.body = weight("tensor<fp16, [64]>", 128) + kExp.body},
       {.body = weight("tensor<fp16, [64]>", 192) + kExp.body},
       "offset 128 in @model_path/w.bin is the data",
       ""},
      {"C016", "m4", Path::kRaw, on_x("[1, 4, 1, 4]", "exp(x = x)"),
       on_x("[1, 256, 1, 64]", "exp(x = x)"), "has 16 elements", "m1"},
      {"C019", "m3-max", Path::kRaw, on_x("[1, 64, 1, 16]", "exp(x = x)"),
       on_x("[1, 64, 1, 32]", "exp(x = x)"), "is 16 elements wide", "m4"},
      {"C020", "m1", Path::kRaw, matmul("[64, 48]", "[48, 64]", "[64, 64]"),
       matmul("[64, 96]", "[96, 64]", "[64, 64]"), "sums over 48", "m4"},
      {"C022", "m1", Path::kRaw,
       matmul("[1, 1, 64, 64]", "[1, 1, 64, 64]", "[1, 1, 64, 64]"),
       matmul("[1, 64, 64]", "[1, 64, 64]", "[1, 64, 64]"),
       "2 inputs have rank 4", "m4"},
      {"C024", "m6", Path::kCoreml, many_inputs(128), many_inputs(127),
       "129 surfaces", ""},
      {"C030", "m4", Path::kE5, on_x("[1, 1, 1, 1, 1, 64]", "exp(x = x)"),
       on_x("[1, 1, 1, 1, 64]", "exp(x = x)"), "has rank 6, above 5", ""},
      {"C031", "m1", Path::kRaw, on_x("[1, 64, 1, 16385]", "exp(x = x)"),
       on_x("[1, 64, 1, 16384]", "exp(x = x)"),
       "dimension 3 of [1, 64, 1, 16385] is 16385, above 16384 on M1", "m4"},
      {"C032",
       "m4",
       Path::kRaw,
       {.inputs = "tensor<fp16, [1, 32768, 1, 64]> x",
        .body = weight("tensor<fp16, [1, 32768, 1, 1]>") +
                line("tensor<fp16, [1, 1, 1, 64]>", "y",
                     "conv(weight = w, x = x)")},
       conv("1, 1"),
       "32768 input channels",
       "m1"},
      {"C033", "m4", Path::kRaw, conv("17, 17"), conv("16, 16"), "kernel 17x17",
       "m1"},
      {"C034", "m6", Path::kRaw, conv("1, 16"), conv("31, 1"),
       "kernel 1x16, above 1x15", "m1"},
      {"C035", "m1", Path::kCoreml, conv("1, 14"), conv("1, 13"),
       "kernel width 14, above 13 on M1", "m4"},
      {"C036", "m4", Path::kRaw,
       conv("1, 1", ", strides = tensor<int32, [2]>([1, 9])"),
       conv("1, 1", ", strides = tensor<int32, [2]>([8, 1])"),
       "stride 9, above 8", ""},
      {"C039", "m4", Path::kRaw,
       on_x("[1, 64, 1, 64]",
            "max_pool(kernel_sizes = tensor<int32, [2]>([1, 9]), pad_type = "
            "string(\"same\"), x = x)"),
       on_x("[1, 64, 1, 64]",
            "max_pool(kernel_sizes = tensor<int32, [2]>([9, 1]), pad_type = "
            "string(\"same\"), x = x)"),
       "max_pool width 9", "m1"},
      {"C041", "m4", Path::kRaw, matmul("[1, 40000]", "[40000, 1]", "[1, 1]"),
       matmul("[1, 32768]", "[32768, 1]", "[1, 1]"), "sums over 40000", "m1"},
      {"C044", "m4", Path::kRaw, on_x("[1, 64]", "topk(x = x)"), kExp,
       "topk does not compile", "m6"},
      {"C045", "m4", Path::kRaw, on_x("[1, 48]", "softmax(x = x)"),
       on_x("[1, 64]", "softmax(x = x)"), "softmax over 48", ""},
      {"C046", "m4", Path::kRaw, on_x("[1, 64]", "reduce_mean(x = x)"), kExp,
       "reduce_mean is missing", ""},
      {"C050", "m4", Path::kRaw,
       on_x("[1, 64]", "concat(axis = int32(0), values = (x, x))"), kExp,
       "concat was seen to fail", "m3"},
      {"C051", "m4", Path::kRaw, conv("1, 1", ", bias = w"), conv("1, 1"),
       "conv has a bias", "m3"},
      {"C052", "m1", Path::kRaw, on_x("[1, 64]", "pow(x = x, y = x)"), kExp,
       "pow was seen to be refused", "m3"},
      {"C056",
       "m1",
       Path::kRaw,
       {.inputs = "tensor<fp16, [64, 64]> x",
        .body = weight("tensor<fp16, [64, 64]>") +
                line("tensor<fp16, [64, 64]>", "y", "matmul(x = x, y = w)")},
       matmul("[64, 64]", "[64, 64]", "[64, 64]"),
       "matmul operand y is a constant",
       "m4"},
      {"C058", "m3-max", Path::kRaw,
       on_x("[1, 64]", "tile(reps = tensor<int32, [2]>([1, 1]), x = x)"), kExp,
       "every program of the process fails", "m4"},
      {"C059",
       "m3-max",
       Path::kRaw,
       {.inputs = "tensor<fp16, [1, 64, 1, 64]> x, tensor<fp16, [64, 64, 1, 1]>"
                  " w",
        .body = line("tensor<fp16, [1, 64, 1, 64]>", "y",
                     "conv(weight = w, x = x)")},
       conv("1, 1"),
       "weight of conv is computed at run time",
       "m4"},
      {"C060", "m4", Path::kRaw,
       on_x("[1, 1, 64, 64]",
            "scaled_dot_product_attention(attn_mask = x, key = x, query = x, "
            "value = x)"),
       on_x("[1, 1, 64, 64]",
            "scaled_dot_product_attention(key = x, query = x, value = x)"),
       "attn_mask would be ignored", ""},
      {"C061", "m5", Path::kE5,
       on_x("[1, 1, 512, 64]",
            "scaled_dot_product_attention(key = x, query = x, value = x)"),
       on_x("[1, 1, 256, 64]",
            "scaled_dot_product_attention(key = x, query = x, value = x)"),
       "512 queries over 512 keys", "m4"},
      {"C062", "m2", Path::kRaw, on_x("[1, 64]", "sin(x = x)"), kExp,
       "sin needs an engine of generation 15, M2 has 14", "m3"},
      {"C063", "m1", Path::kRaw, on_x("[1, 64]", "topk(x = x)"), kExp,
       "topk needs an engine of generation 14, M1 has 13", "m2"},
      {"C091", "m3", Path::kRaw, chain(512), chain(511),
       "a chain of 512 operations", ""},
      {"C092", "m6", Path::kRaw, chain(387), chain(386),
       "a chain of 387 operations, above 386 on M6", "m3"},
      {"C112", "m3-max", Path::kRaw, on_x("[1, 64]", "rsqrt(x = x)"), kExp,
       "rsqrt of a runtime tensor", "m4"},
      {"C006", "m1", Path::kRaw,
       on_two(fp16("[1, 64]") + " mean", fp16("[1, 64]") + " WIDE",
              line(fp16("[1, 64]"), "OUT", "add(x = mean, y = WIDE)")),
       on_two(fp16("[1, 64]") + " LEFT", fp16("[1, 64]") + " WIDE",
              line(fp16("[1, 64]"), "OUT", "add(x = LEFT, y = WIDE)")),
       "'mean' is among the names that failed", "m4"},
      {"C009",
       "m1",
       Path::kRaw,
       {.body = weight(fp16("[64]"), 64) + kExp.body +
                line(fp16("[64]"), "z",
                     "add(x = w, y = tensor<fp16, [64]>(BLOBFILE(path = "
                     "string(\"@model_path/w.bin\"), offset = "
                     "uint64(256))))")},
       {.body = weight(fp16("[64]"), 64) + kExp.body},
       "@model_path/w.bin holds 2 constants",
       "m4"},
      {"C021", "m1", Path::kRaw,
       on_two(fp16("[1, 64, 64]") + " a", fp16("[1, 64, 64]") + " b",
              line(fp16("[1, 64, 64]"), "y", "matmul(x = b, y = a)")),
       matmul("[1, 64, 64]", "[1, 64, 64]", "[1, 64, 64]"),
       "input 'a' is bound before 'b'", "m4"},
      {"C025",
       "m4",
       Path::kCoreml,
       {.inputs = "state<tensor<fp16, [1, 48]>> s, " + fp16("[1, 64]") + " x",
        .body = line(fp16("[1, 64]"), "y", "exp(x = x)")},
       {.inputs = "state<tensor<fp16, [1, 96]>> s, " + fp16("[1, 64]") + " x",
        .body = line(fp16("[1, 64]"), "y", "exp(x = x)")},
       "state 's' [1, 48] is 48 wide",
       ""},
      {"C037", "m1", Path::kCoreml,
       conv("3, 3", ", dilations = tensor<int32, [2]>([7, 7])"),
       conv("3, 3", ", dilations = tensor<int32, [2]>([6, 6])"),
       "kernel width 3 dilated by 7, above 13", "m4"},
      {"C038", "m1", Path::kRaw,
       on_two(fp16("[1, 64, 1, 64]") + " x", fp16("[64, 1, 1, 3]") + " w",
              line(fp16("[1, 64, 1, 64]"), "y",
                   "conv(groups = int32(64), weight = w, x = x)")),
       conv("1, 1", ", groups = int32(1)"),
       "a convolution of 64 groups computes its weight", "m4"},
      {"C040", "m1", Path::kCoreml,
       on_x("[1, 64, 8, 8]",
            "upsample_bilinear(scale_factor_height = fp32(2), "
            "scale_factor_width = fp32(3), x = x)"),
       on_x("[1, 64, 8, 8]",
            "upsample_bilinear(scale_factor_height = fp32(2), "
            "scale_factor_width = fp32(2), x = x)"),
       "scale_factor_width is 3, not 2", "m4"},
      {"C042", "m4", Path::kRaw,
       on_x("[1, 8388608]",
            "transpose(perm = tensor<int32, [2]>([0, 1]), x = x)"),
       on_x("[1, 8388607]",
            "transpose(perm = tensor<int32, [2]>([0, 1]), x = x)"),
       "transpose of 8388608", "m6"},
      {"C053",
       "m1",
       Path::kRaw,
       {.body = line(fp16("[1, 64, 1, 64]"), "r", "sqrt(x = x)") +
                line(fp16("[1, 64, 1, 64]"), "y", "real_div(x = x, y = r)")},
       {.body = line(fp16("[1, 64, 1, 64]"), "r", "sqrt(x = x)") +
                line(fp16("[1, 64, 1, 64]"), "y", "mul(x = x, y = r)")},
       "operand y of real_div is a square root",
       "m4"},
      {"C055", "m1", Path::kRaw, on_x("[1, 16385]", "exp(x = x)"),
       on_x("[1, 16384]", "exp(x = x)"), "exp of [1, 16385], above [1, 16384]",
       "m4"},
      {"C057", "m1", Path::kRaw,
       on_two(fp16("[1, 64, 32]") + " a", fp16("[1, 64, 1]") + " b",
              line(fp16("[1, 64, 32]"), "y", "mul(x = a, y = b)")),
       on_two(fp16("[1, 64, 32]") + " a", fp16("[1, 1, 32]") + " b",
              line(fp16("[1, 64, 32]"), "y", "mul(x = a, y = b)")),
       "mul broadcasts [1, 64, 32] and [1, 64, 1]", "m4"},
      {"C065", "m5", Path::kE5, on_x("[1, 64]", "topk(k = int32(4), x = x)"),
       on_x("[1, 64]", "topk(k = int32(5), x = x)"), "topk of 4", "m4"},
      {"C066", "m5", Path::kE5,
       on_x("[1, 15, 8, 8]", "local_response_norm(size = int32(5), x = x)"),
       on_x("[1, 16, 8, 8]", "local_response_norm(size = int32(5), x = x)"),
       "local_response_norm of 15 channels", ""},
      {"C067",
       "m5",
       Path::kE5,
       {.inputs = fp16("[1, 64, 1, 100]") + " x",
        .body = line(fp16("[1, 64, 1, 100]"), "s", "square(x = x)") +
                line(fp16("[1, 64, 1, 100]"), "y", "exp(x = s)")},
       {.body = line(fp16("[1, 64, 1, 64]"), "s", "square(x = x)") +
                line(fp16("[1, 64, 1, 64]"), "y", "exp(x = s)")},
       "100 wide: 100 above a multiple of 128",
       "m4"},
      {"C068", "m5", Path::kE5,
       on_two(fp16("[1, 4]") + " x", "tensor<int32, [2]> b",
              line(fp16("[1, 2]"), "y",
                   "slice_by_size(begin = b, size = tensor<int32, [2]>([1, "
                   "2]), x = x)")),
       on_two(fp16("[1, 4]") + " x", "tensor<int32, [2]> b",
              line(fp16("[1, 3]"), "y",
                   "slice_by_size(begin = b, size = tensor<int32, [2]>([1, "
                   "3]), x = x)")),
       "a slice of 2 from a width of 4", ""},
      {"C070", "m3", Path::kCoreml,
       on_x("[1, 64]",
            "pad(constant_val = fp16(1), mode = string(\"constant\"), pad = "
            "tensor<int32, [4]>([0, 0, 1, 1]), x = x)"),
       on_x("[1, 64]",
            "pad(constant_val = fp16(0), mode = string(\"constant\"), pad = "
            "tensor<int32, [4]>([0, 0, 1, 1]), x = x)"),
       "pad fills with 1, not 0", "m4"},
      {"C071", "m4", Path::kCoreml,
       on_two("tensor<int32, [1, 64]> a", "tensor<int32, [1, 64]> b",
              line("tensor<int32, [1, 64]>", "y", "add(x = a, y = b)")),
       on_two(fp16("[1, 64]") + " a", fp16("[1, 64]") + " b",
              line("tensor<bool, [1, 64]>", "c", "less(x = a, y = b)") +
                  line(fp16("[1, 64]"), "y", "select(a = a, b = b, cond = c)")),
       "add takes the int32 'a'", ""},
      {"C072", "m4", Path::kE5, on_x("[1, 64]", "asin(x = x)"),
       on_x("[1, 64]", "sin(x = x)"), "the engine has no form of asin", ""},
      {"C076", "m6", Path::kCoreml, blockwise("[64, 2]"), blockwise("[64, 1]"),
       "int4 weights [64, 64] have scales [64, 2]", "m5"},
      {"C077", "m5-pro", Path::kCoreml, dequantised_conv("[64]"),
       dequantised_conv("[]"), "x of conv has scales along axis 1", "m4"},
      {"C078", "m5-pro", Path::kCoreml, blockwise("[64, 2]"),
       blockwise("[64, 1]"), "weights [64, 64] have grouped scales [64, 2]",
       "m4"},
      {"C101", "m4", Path::kCoreml, several_shapes("EnumeratedShapes"),
       several_shapes("DefaultShapes"),
       "layer_norm in a function of enumerated shapes", ""},
      {"C102", "m4", Path::kCoreml, on_x("[1, ?]", "exp(x = x)"),
       on_x("[1, 64]", "exp(x = x)"), "input 'x' has the open shape [1, ?]",
       ""},
      {"N15", "m2", Path::kRaw,
       on_x("[1, 64]",
            "slice_by_size(begin = tensor<int32, [2]>([0, 4]), size = "
            "tensor<int32, [2]>([1, 60]), x = x)"),
       on_x("[1, 64]",
            "slice_by_size(begin = tensor<int32, [2]>([0, 0]), size = "
            "tensor<int32, [2]>([1, 60]), x = x)"),
       "slice_by_size begins at 4 of the width", "m4"},
  };
  return kCases;
}

// Diagnostics of one rule.
std::vector<Diagnostic> found(const Text& text, std::string_view id,
                              std::string_view chip, Path path, bool strict) {
  const auto program = mil::parse(to_text(text), "test.mil");
  EXPECT_TRUE(program) << to_string(program.error()) << "\n" << to_text(text);
  if (!program) return {};
  std::vector<Diagnostic> all = check(*program, find_chip(chip).value(), path,
                                      {.strict = strict}, "test.mil");
  std::erase_if(all, [id](const Diagnostic& d) { return d.label != id; });
  return all;
}

class RuleTest : public testing::TestWithParam<Case> {};

TEST_P(RuleTest, RefusesWhatBreaksIt) {
  const Case& c = GetParam();
  const auto diagnostics = found(c.bad, c.id, c.chip, c.path, true);
  ASSERT_FALSE(diagnostics.empty());
  const Diagnostic& first = diagnostics.front();
  EXPECT_EQ(first.kind, ErrorKind::kDevice);
  EXPECT_TRUE(first.place.starts_with("test.mil")) << first.place;
  EXPECT_NE(first.message.find(c.message), std::string::npos) << first.message;
  EXPECT_NE(first.message.find(find_rule(c.id)->workaround), std::string::npos);
  ASSERT_EQ(first.notes.size(), 1U);
  EXPECT_TRUE(first.notes[0].starts_with("symptom (")) << first.notes[0];
}

TEST_P(RuleTest, AcceptsWhatKeepsIt) {
  const Case& c = GetParam();
  EXPECT_TRUE(found(c.good, c.id, c.chip, c.path, true).empty());
}

TEST_P(RuleTest, IsSilentWhereItIsNotKnown) {
  const Case& c = GetParam();
  if (!c.free_chip.empty()) {
    EXPECT_TRUE(found(c.bad, c.id, c.free_chip, c.path, true).empty());
  }
  const Rule& rule = *find_rule(c.id);
  for (const Path path : {Path::kRaw, Path::kCoreml, Path::kE5}) {
    const bool known = std::find(rule.paths.begin(), rule.paths.end(), path) !=
                       rule.paths.end();
    EXPECT_EQ(!found(c.bad, c.id, c.chip, path, true).empty(), known)
        << name(path);
  }
  const bool by_default = rule.enforcement == Enforcement::kDefault;
  EXPECT_EQ(!found(c.bad, c.id, c.chip, c.path, false).empty(), by_default);
}

INSTANTIATE_TEST_SUITE_P(Rules, RuleTest, testing::ValuesIn(cases()),
                         [](const auto& test) {
                           return std::string(test.param.id);
                         });

TEST(Rules, EveryCheckHasACase) {
  for (const Rule& rule : rules()) {
    if (rule.check == nullptr || rule.id == "C064") continue;
    const auto is_it = [&rule](const Case& c) { return c.id == rule.id; };
    EXPECT_TRUE(std::any_of(cases().begin(), cases().end(), is_it)) << rule.id;
  }
}

TEST(Rules, C064RefusesRawProgramsBeforeH13) {
  for (const Chip& chip : chips()) {
    const auto program = mil::parse(to_text(kExp), "test.mil").value();
    const auto refused = [&](Path path) {
      const auto all = check(program, chip, path);
      return std::ranges::find(all, "C064", &Diagnostic::label) != all.end();
    };
    EXPECT_EQ(refused(Path::kRaw), chip.generation < 13) << chip.id;
    EXPECT_FALSE(refused(Path::kCoreml)) << chip.id;
  }
}

TEST(Rules, OlderLimitsApplyToOlderChips) {
  // C036: stride 3 is fine on M4 and too much on M3.
  const Text stride3 = conv("1, 1", ", strides = tensor<int32, [2]>([3, 1])");
  EXPECT_TRUE(found(stride3, "C036", "m4", Path::kRaw, false).empty());
  EXPECT_FALSE(found(stride3, "C036", "m3", Path::kRaw, false).empty());
  // C031: 65537 is too much everywhere.
  EXPECT_FALSE(found(on_x("[1, 65537]", "exp(x = x)"), "C031", "m4",
                     Path::kCoreml, false)
                   .empty());
  EXPECT_TRUE(found(on_x("[1, 65536]", "exp(x = x)"), "C031", "m1",
                    Path::kCoreml, false)
                  .empty());
}

TEST(Rules, C030LeavesOutWhatDescribesCompression) {
  const auto refused = [](const Text& text) {
    return found(text, "C030", "m4", Path::kRaw, false).size();
  };
  const Text palette = palettised_conv();
  EXPECT_EQ(refused(palette), 0U);
  // The same table is a tensor as soon as the graph reads it, ...
  Text read = palette;
  read.body += line(fp16("[1, 1, 1, 1, 16, 1]"), "z", "exp(x = lut)");
  EXPECT_EQ(refused(read), 2U);
  // ... returns it, from whichever block, ...
  Text returned = palette;
  returned.outputs = "y, lut";
  EXPECT_EQ(refused(returned), 1U);
  Text branch = palette;
  branch.inputs += ", bool p";
  branch.body += fp16("[1, 1, 1, 1, 16, 1]") +
                 " z = cond(pred = p)[name = string(\"z\")]"
                 "{} -> (lut) {} -> (lut);\n";
  EXPECT_EQ(refused(branch), 2U);
  // ... or nobody says what it is for.
  Text unused = kExp;
  unused.body += weight(fp16("[1, 1, 1, 1, 16, 1]"));
  EXPECT_EQ(refused(unused), 1U);
}

TEST(Rules, C030CountsExpandedWeights) {
  Text text = palettised_conv();
  const std::string indices = "constexpr_lut_to_dense(indices = ";
  text.body +=
      line(fp16("[1, 1, 1, 1, 4, 4]"), "v",
           indices +
               "tensor<uint4, [1, 1, 1, 1, 4, 4]>(BLOBFILE(path = "
               "string(\"v.bin\"), offset = uint64(64))), lut = lut)") +
      line(fp16("[1, 1, 1, 1, 4, 4]"), "z", "exp(x = v)");
  EXPECT_EQ(found(text, "C030", "m4", Path::kRaw, false).size(), 2U);
}

// 70000 packed values are one dimension of the file, none of the engine's.
TEST(Rules, C031LeavesOutWhatDescribesCompression) {
  const std::string packed = fp16("[70000]");
  Text text = kExp;
  text.body += fmt::format(
      "{0} v = const()[name = string(\"v\"), val = "
      "{0}(BLOBFILE(path = string(\"v.bin\"), offset = "
      "uint64(64)))];\n",
      packed);
  EXPECT_EQ(found(text, "C031", "m4", Path::kRaw, false).size(), 1U);
  text.body += line(fp16("[1024, 128]"), "w",
                    "constexpr_sparse_to_dense(mask = tensor<uint1, [1024, "
                    "128]>(BLOBFILE(path = string(\"m.bin\"), offset = "
                    "uint64(64))), nonzero_data = v)");
  EXPECT_TRUE(found(text, "C031", "m4", Path::kRaw, false).empty());
}

TEST(Rules, C005NamesEachReason) {
  Text text = kExp;
  text.body += weight("tensor<fp16, [64]>") +
               line("tensor<fp16, [1, 64, 1, 64]>", "z", "identity(x = y)");
  text.outputs = "y, z, w";
  const auto diagnostics = found(text, "C005", "m4", Path::kRaw, false);
  ASSERT_EQ(diagnostics.size(), 2U);
  EXPECT_NE(diagnostics[0].message.find("'z' is an identity"),
            std::string::npos);
  EXPECT_NE(diagnostics[1].message.find("'w' is a constant"),
            std::string::npos);
}

TEST(Rules, C010LooksAtEveryPlaceOfAConstant) {
  for (const int offset : {0, 65}) {
    Text text = kExp;
    text.body += weight("tensor<fp16, [64]>", offset);
    EXPECT_EQ(found(text, "C010", "m4", Path::kRaw, false).size(), 1U);
  }
  Text attribute = kExp;
  attribute.body +=
      "tensor<fp16, [64]> q = constexpr_affine_dequantize()[axis = int32(0), "
      "name = string(\"q\"), quantized_data = tensor<int8, [64]>(BLOBFILE(path "
      "= string(\"w.bin\"), offset = uint64(0))), scale = fp16(1), zero_point "
      "= int8(0)];\n";
  EXPECT_EQ(found(attribute, "C010", "m4", Path::kRaw, false).size(), 1U);
}

TEST(Rules, C071KnowsWhichBoolsAndIndicesStay) {
  const auto legs = [](const Text& text, Path path = Path::kCoreml) {
    return found(text, "C071", "m4", path, false).size();
  };
  const std::string two = fp16("[1, 64]") + " a, " + fp16("[1, 64]") + " b";
  const std::string less =
      line("tensor<bool, [1, 64]>", "c", "less(x = a, y = b)");
  // A bool from outside, and one that leaves for another op.
  EXPECT_EQ(legs({.inputs = "tensor<bool, [1, 64]> c, " + two,
                  .body = line(fp16("[1, 64]"), "y",
                               "select(a = a, b = b, cond = c)")}),
            1U);
  EXPECT_EQ(legs({.inputs = two,
                  .body = less + line(fp16("[1, 64]"), "y",
                                      "cast(dtype = string(\"fp16\"), x = "
                                      "c)")}),
            1U);
  EXPECT_EQ(
      legs({.inputs = two,
            .body =
                less +
                line("tensor<bool, [1, 64]>", "n", "logical_not(x = c)") +
                line(fp16("[1, 64]"), "y", "select(a = a, b = b, cond = n)")}),
      0U);
  // Indices of gather are a leg, those of gather_along_axis are prepared.
  const std::string indices = "tensor<int32, [1, 64]> i, " + fp16("[1, 64]");
  for (const auto& [op, count] :
       {std::pair{"gather", 1U}, std::pair{"gather_along_axis", 0U}}) {
    EXPECT_EQ(legs({.inputs = indices + " x",
                    .body = line(fp16("[1, 64]"), "y",
                                 std::string(op) + "(indices = i, x = x)")}),
              count)
        << op;
  }
  // Constants, and the 8 bits of quantize, are no legs.
  EXPECT_EQ(legs(dequantised_conv("[]"), Path::kRaw), 0U);
}

TEST(Rules, C072KnowsThePathAndStates) {
  EXPECT_TRUE(found(on_x("[1, 64]", "identity(x = x)"), "C072", "m5",
                    Path::kCoreml, false)
                  .empty());
  EXPECT_FALSE(
      found(on_x("[1, 64]", "identity(x = x)"), "C072", "m5", Path::kE5, false)
          .empty());
  Text update = on_x("[1, 64]", "slice_update(x = s, update = x)");
  EXPECT_EQ(found(update, "C072", "m4", Path::kCoreml, false).size(), 1U);
  update.inputs += ", state<tensor<fp16, [1, 64]>> k";
  update.body =
      line(fp16("[1, 64]"), "s", "read_state(input = k)") + update.body;
  EXPECT_TRUE(found(update, "C072", "m4", Path::kCoreml, false).empty());
}

TEST(Rules, C053KnowsBroadcasts) {
  Text text = on_two(fp16("[1, 64, 32]") + " a", fp16("[1, 1, 32]") + " b",
                     line(fp16("[1, 1, 32]"), "r", "sqrt(x = b)") +
                         line(fp16("[1, 64, 32]"), "y", "mul(x = a, y = r)"));
  const auto refused = found(text, "C053", "m1", Path::kRaw, false);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_NE(refused[0].message.find("mul broadcasts a square root [1, 1, 32]"),
            std::string::npos)
      << refused[0].message;
}

TEST(Silent, RefusalsSayWhatTheChipWouldDo) {
  const Text bad = matmul("[64, 48]", "[48, 64]", "[64, 64]");
  const auto refused = found(bad, "C020", "m1", Path::kRaw, false);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_NE(refused[0].message.find("the chip would silently go wrong (zeros)"),
            std::string::npos)
      << refused[0].message;
}

TEST(Silent, FaithfulProgramsAreListedInsteadOfRefused) {
  const auto program =
      mil::parse(to_text(matmul("[1, 64, 48]", "[1, 48, 64]", "[1, 64, 64]")),
                 "test.mil")
          .value();
  const Chip m1 = find_chip("m1").value();
  EXPECT_FALSE(check(program, m1, Path::kRaw).empty());
  EXPECT_TRUE(
      check(program, m1, Path::kRaw, {.faithful_silent = true}).empty());
  const auto silent =
      silent_findings(program, m1, Path::kRaw, {.faithful_silent = true});
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent[0].rule->id, "C020");
  EXPECT_EQ(silent[0].rule->silent_effect, SilentEffect::kZeros);
  ASSERT_NE(silent[0].operation, nullptr);
  EXPECT_EQ(silent[0].operation->op, "matmul");
  EXPECT_EQ(silent[0].diagnostic.label, "C020");
}

TEST(Silent, WhatNobodyDescribedStaysRefused) {
  Text text = kExp;
  text.body += weight("tensor<fp16, [64]>", 128);
  const auto program = mil::parse(to_text(text), "test.mil").value();
  const Chip m4 = find_chip("m4").value();
  const CheckOptions faithful = {.faithful_silent = true};
  EXPECT_EQ(check(program, m4, Path::kRaw, faithful).size(), 1U);  // C010
  EXPECT_TRUE(silent_findings(program, m4, Path::kRaw, faithful).empty());
}

TEST(Rules, TransposedMatmulsSumOverTheOtherDimension) {
  Text text = matmul("[48, 64]", "[48, 64]", "[64, 64]", ", transpose_x = t");
  text.body =
      "bool t = const()[name = string(\"t\"), val = bool(true)];\n" + text.body;
  EXPECT_EQ(found(text, "C020", "m1", Path::kRaw, false).size(), 1U);
}

}  // namespace
}  // namespace aneroid::target
