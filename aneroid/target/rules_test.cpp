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
};

std::string to_text(const Text& text) {
  return fmt::format(
      "program(1.3)\n{}\n{{\n  func main<ios18>({}) {{\n{}\n  }} -> ({});\n}}"
      "\n",
      text.build_info, text.inputs, text.body, text.outputs);
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
    if (rule.check == nullptr) continue;
    const auto is_it = [&rule](const Case& c) { return c.id == rule.id; };
    EXPECT_TRUE(std::any_of(cases().begin(), cases().end(), is_it)) << rule.id;
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

TEST(Rules, TransposedMatmulsSumOverTheOtherDimension) {
  Text text = matmul("[48, 64]", "[48, 64]", "[64, 64]", ", transpose_x = t");
  text.body =
      "bool t = const()[name = string(\"t\"), val = bool(true)];\n" + text.body;
  EXPECT_EQ(found(text, "C020", "m1", Path::kRaw, false).size(), 1U);
}

}  // namespace
}  // namespace aneroid::target
