#include "aneroid/mil/verifier.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

// "label" or "label@line" of every finding, separated by blanks.
std::string findings(const std::string& statements,
                     const std::string& results = "x",
                     const VerifyOptions& options = {}) {
  const auto program = parse(
      "program(1.3) { func main<ios17>(tensor<fp16, [2, 4]> x, int32 n, bool "
      "p, state<tensor<fp16, [2]>> s) {\n" +
          statements + "\n} -> (" + results + "); }",
      "f");
  if (!program) return to_string(program.error());
  std::string text;
  for (const Diagnostic& finding : verify(*program, "f", options)) {
    text += (text.empty() ? "" : " ") + finding.label;
    if (finding.place.starts_with("f:")) {
      text += "@" + finding.place.substr(2, finding.place.rfind(':') - 2);
    }
  }
  return text;
}

TEST(Verify, AcceptsGoodPrograms) {
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = x);", "y, x"), "");
  // An unknown dimension may be declared as any number, and the reverse.
  EXPECT_EQ(findings("tensor<fp16, [2, ?]> y = relu(x = x);", "y"), "");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> r = cond(pred = p)\n"
                     "{ tensor<fp16, [2, 4]> a = relu(x = x); } -> (a)\n"
                     "{ tensor<fp16, [2, 4]> b = tanh(x = x); } -> (b);",
                     "r", {.allow_unknown_ops = true}),
            "");
}

TEST(Verify, FindsNamesThatAreWrong) {
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = z);"), "mil.ssa@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = z);\n"
                     "tensor<fp16, [2, 4]> z = relu(x = x);"),
            "mil.ssa@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = y);"), "mil.ssa@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = x);\n"
                     "tensor<fp16, [2, 4]> y = relu(x = x);"),
            "mil.ssa@3");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> x = relu(x = x);"), "mil.ssa@2");
  EXPECT_EQ(findings("", "nothing"), "mil.ssa");
  // Names of a block end with it.
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> r = cond(pred = p)\n"
                     "{ tensor<fp16, [2, 4]> a = relu(x = x); } -> (a);\n"
                     "tensor<fp16, [2, 4]> q = relu(x = a);",
                     "q", {.allow_unknown_ops = true}),
            "mil.ssa@4");
}

TEST(Verify, FindsOpsThatAreWrong) {
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = frobnicate(x = x);"),
            "mil.op@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = frobnicate(x = x);", "y",
                     {.allow_unknown_ops = true}),
            "");
  // The function is ios17.
  EXPECT_EQ(findings("tensor<fp16, [2]> v = read_state(input = s);"),
            "mil.op@2");
  EXPECT_EQ(findings("tensor<fp16, [2]> v = read_state<ios18>(input = s);"),
            "");
}

TEST(Verify, FindsInputsThatAreWrong) {
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu();"), "mil.input@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = relu(x = x, z = x);"),
            "mil.input@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = softmax(axis = n, x = x);"),
            "mil.const@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4]> y = add(x = x, y = n);"),
            "mil.type@2");
}

TEST(Verify, FindsTypesThatAreWrong) {
  EXPECT_EQ(findings("tensor<fp32, [2, 4]> y = relu(x = x);"), "mil.type@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 5]> y = relu(x = x);"), "mil.shape@2");
  EXPECT_EQ(findings("tensor<fp16, [2, 4, 1]> y = relu(x = x);"),
            "mil.shape@2");
  EXPECT_EQ(findings("fp16 a, fp16 b = relu(x = x);"), "mil.shape@2");
  EXPECT_EQ(findings("tensor<int32, [1]> c = const()[val = int32(1)];"),
            "mil.shape@2");
  EXPECT_EQ(findings("", "s"), "mil.type");
}

TEST(Verify, ReportsEveryStatement) {
  EXPECT_EQ(findings("tensor<fp32, [2, 4]> y = relu(x = x);\n"
                     "tensor<fp16, [2, 4]> z = frob(x = x);\n"
                     "tensor<fp16, [2, 4]> w = tanh(x = q);"),
            "mil.type@2 mil.op@3 mil.ssa@4");
}

TEST(Verify, NamesThePlaceInBuiltPrograms) {
  Program program;
  Function function;
  function.body.inputs = {{{"a", tensor(DataType::kFp16, {2})}, {}}};
  Operation operation;
  operation.op = "relu";
  operation.inputs = {{"x", ref("a")}, {"x", ref("a")}};
  operation.outputs = {{"b", tensor(DataType::kFp16, {2})}};
  function.body.operations = {operation};
  function.body.outputs = {"b"};
  program.functions = {function};
  auto found = verify(program);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].label, "mil.input");
  EXPECT_EQ(found[0].place, "relu 'b'");
  // A constant with the wrong number of bytes.
  Operation& broken = program.functions[0].body.operations[0];
  broken.op = "const";
  broken.inputs.clear();
  broken.attributes = {
      {"val", {tensor(DataType::kFp16, {2}), Value::Bytes(3)}}};
  found = verify(program);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].label, "mil.shape");
}

}  // namespace
}  // namespace aneroid::mil
