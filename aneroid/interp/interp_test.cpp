#include "aneroid/interp/interp.h"

#include <string>

#include "aneroid/interp/test_support.h"
#include "aneroid/mil/text.h"

namespace aneroid::interp {
namespace {

mil::Program parse(const std::string& body, const std::string& output,
                   const std::string& input = "tensor<fp16, [2, 2]> x") {
  const auto program =
      mil::parse("program(1.3)\n{\n  func main<ios18>(" + input + ") {\n" +
                 body + "  } -> (" + output + ");\n}\n");
  EXPECT_TRUE(program) << to_string(program.error());
  return program.value_or(mil::Program{});
}

constexpr const char* kTwoOps =
    "    fp16 half = const()[name = string(\"half\"), val = fp16(0.5)];\n"
    "    tensor<fp16, [2, 2]> a = mul(x = x, y = half)"
    "[name = string(\"a\")];\n"
    "    tensor<fp16, [2, 2]> b = add(x = a, y = x)[name = string(\"b\")];\n";

const TensorMap& ones() {
  static const TensorMap kOnes = {{"x", fp16({2, 2}, {1, 1, 2, 2})}};
  return kOnes;
}

std::string failure(const Result<TensorMap>& result) {
  return result ? "accepted" : to_string(result.error());
}

TEST(Evaluate, RunsOpsInOrder) {
  const auto outputs = evaluate(parse(kTwoOps, "b, a"), ones(), {});
  ASSERT_TRUE(outputs) << failure(outputs);
  ASSERT_EQ(outputs->size(), 2U);
  expect_near(outputs->at("b"), fp16({2, 2}, {1.5, 1.5, 3, 3}));
  expect_near(outputs->at("a"), fp16({2, 2}, {0.5, 0.5, 1, 1}));
}

TEST(Evaluate, ProbeSeesEveryOpButConstants) {
  std::vector<std::string> seen;
  Options options;
  options.probe = [&seen](const mil::Operation& operation,
                          std::span<const HostTensor> results) {
    seen.push_back(operation.outputs[0].name);
    EXPECT_EQ(results.size(), 1U);
  };
  ASSERT_TRUE(evaluate(parse(kTwoOps, "b"), ones(), {}, options));
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
}

TEST(Evaluate, InputsAreRoundedWithTheRest) {
  Options rounded;
  rounded.rounding = Rounding::kFp16;
  const TensorMap third = {{"x", fp16({2, 2}, {1.0 / 3, 0, 0, 0})}};
  const mil::Program program = parse(
      "    tensor<fp16, [2, 2]> y = identity(x = x)[name = string(\"y\")];\n",
      "y");
  EXPECT_EQ(evaluate(program, third, {}, rounded)->at("y").data[0],
            0.333251953125);
  EXPECT_EQ(evaluate(program, third, {})->at("y").data[0],
            static_cast<double>(static_cast<float>(1.0 / 3)));
}

TEST(Evaluate, ChecksInputs) {
  const mil::Program program = parse(kTwoOps, "b");
  EXPECT_NE(failure(evaluate(program, {}, {})).find("input 'x'"),
            std::string::npos);
  EXPECT_NE(failure(evaluate(program, {{"x", fp16({4}, {1, 2, 3, 4})}}, {}))
                .find("given fp16 [4], the program takes fp16 [2, 2]"),
            std::string::npos);
  EXPECT_NE(failure(evaluate(program, {{"x", fp32({2, 2}, {1, 2, 3, 4})}}, {}))
                .find("given fp32"),
            std::string::npos);
  EXPECT_NE(failure(evaluate(program, {{"x", fp16({2, 2}, {1})}}, {}))
                .find("contradict"),
            std::string::npos);
}

TEST(Evaluate, ErrorsNameTheOpAndItsLine) {
  const std::string unknown = failure(evaluate(
      parse("    tensor<fp16, [2, 2]> y = lstm(x = x)[name = string(\"y\")];\n",
            "y"),
      ones(), {}));
  EXPECT_NE(unknown.find("lstm 'y' (line 4)"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("no meaning for op 'lstm'"), std::string::npos);
  const std::string wrong_type = failure(evaluate(
      parse("    tensor<fp16, [2, 3]> y = exp(x = x)[name = string(\"y\")];\n",
            "y"),
      ones(), {}));
  EXPECT_NE(wrong_type.find("is fp16 [2, 2], declared fp16 [2, 3]"),
            std::string::npos)
      << wrong_type;
  const std::string undefined = failure(evaluate(
      parse("    tensor<fp16, [2, 2]> y = exp(x = z)[name = string(\"y\")];\n",
            "y"),
      ones(), {}));
  EXPECT_NE(undefined.find("bound to 'z', which has no value"),
            std::string::npos);
  const std::string no_output =
      failure(evaluate(parse(kTwoOps, "c"), ones(), {}));
  EXPECT_NE(no_output.find("output 'c'"), std::string::npos) << no_output;
  Options other;
  other.function = "decode";
  EXPECT_NE(failure(evaluate(parse(kTwoOps, "b"), ones(), {}, other))
                .find("no function 'decode'"),
            std::string::npos);
}

TEST(Evaluate, BoundsTheElementsAlive) {
  // Each value dies after its use: 4 elements of x and 4 of each result.
  Options options;
  options.max_elements = 16;
  EXPECT_TRUE(evaluate(parse(kTwoOps, "b"), ones(), {}, options));
  options.max_elements = 7;
  EXPECT_NE(failure(evaluate(parse(kTwoOps, "b"), ones(), {}, options))
                .find("exceeds the limit"),
            std::string::npos);
}

TEST(Knows, TheTableAndNothingElse) {
  for (const char* op :
       {"const", "conv", "matmul", "linear", "softmax", "layer_norm", "split",
        "slice_by_index", "constexpr_affine_dequantize", "gelu", "select"}) {
    EXPECT_TRUE(knows(op)) << op;
  }
  EXPECT_FALSE(knows("lstm"));
  EXPECT_FALSE(knows(""));
}

}  // namespace
}  // namespace aneroid::interp
