#include "aneroid/mil/builder.h"

#include <set>

#include <gtest/gtest.h>

#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"

namespace aneroid::mil {
namespace {

Type half(Shape shape) { return tensor(DataType::kFp16, std::move(shape)); }

// Attention and a little of everything else the kernels use.
Result<Program> sample() {
  Builder b;
  const Var x = b.input("x", half({1, 64, 1, 32}));
  const Var w = b.input("W", half({128, 64, 1, 1}));
  const Var mask =
      b.weight("mask", half({1, 1, 32, 32}), "@model_path/weights/mask.bin");
  const Var h = b.conv1x1(x, w);
  const Var heads = b.transpose(b.reshape(h, {1, 4, 32, -1}), {0, 1, 3, 2});
  const Var scores = b.matmul(heads, heads, false, true);
  const Var scaled = b.add(b.mul(scores, b.fp16(0.125)), mask);
  const Var p = b.softmax(scaled, -1);
  const Var sum = b.reduce_sum(p, {-1});
  const Var inverse = b.pow(sum, b.fp16(-0.5));
  const Var part = b.slice(p, {0, 0, 0, 0}, {1, 4, 32, 16});
  const Var joined = b.concat({part, part}, 3);
  const Var gate = b.sub(b.sigmoid(joined), inverse);
  const auto halves = b.op_n(
      "split",
      {{"x", gate}, {"num_splits", int_value(2)}, {"axis", int_value(1)}});
  if (halves.size() != 2) return b.finish({{"none", gate}});
  return b.finish({{"y", halves[0]}, {"gate", gate}, {"rest", halves[1]}});
}

TEST(Builder, MakesWellFormedPrograms) {
  const auto program = sample();
  ASSERT_TRUE(program) << to_string(program.error());
  for (const Diagnostic& finding : verify(*program)) {
    ADD_FAILURE() << to_string(finding);
  }
  const auto again = parse(print(*program));
  ASSERT_TRUE(again) << to_string(again.error());
  EXPECT_EQ(*again, *program);
}

TEST(Builder, FollowsTheRulesOfTheRawPath) {
  const auto program = sample();
  ASSERT_TRUE(program) << to_string(program.error());
  const std::string text = print(*program);
  // C001
  EXPECT_EQ(text.rfind("program(1.3)\n[buildInfo = dict<string, string>({{"
                       "\"coremlc-component-MIL\", \"3510.2.1\"}, {\""
                       "coremlc-version\", \"3505.4.1\"}, {\"coremltools-"
                       "component-milinternal\", \"\"}, {\"coremltools-"
                       "version\", \"9.0\"}})]\n{\n    func main<ios18>(",
                       0),
            0U)
      << text;
  const Function& function = program->functions.at(0);
  // Inputs in name order, outputs as given.
  EXPECT_EQ(function.body.inputs[0].var.name, "W");
  EXPECT_EQ(function.body.inputs[1].var.name, "x");
  EXPECT_EQ(function.body.outputs,
            (std::vector<std::string>{"y", "gate", "rest"}));
  std::set<std::string> names;
  for (const Operation& operation : function.body.operations) {
    EXPECT_FALSE(operation.outputs.empty());
    for (const Var& output : operation.outputs) {
      EXPECT_TRUE(names.insert(output.name).second) << output.name;
    }
    EXPECT_EQ(*operation.attribute("name"),
              string_value(operation.outputs.front().name));
    // C003: names only.
    for (const auto& [name, argument] : operation.inputs) {
      EXPECT_FALSE(std::holds_alternative<Value>(argument.bound)) << name;
    }
  }
  // C006, for what the builder names itself.
  for (const char* word : {"var", "diff", "mean", "std", "eps", "mul", "add",
                           "rsqrt", "c", "C", "x", "fp16", "tensor"}) {
    EXPECT_FALSE(names.contains(word)) << word;
  }
}

TEST(Builder, GivesTypes) {
  Builder b;
  const Var x = b.input("x", half({2, 6}));
  EXPECT_EQ(b.add(x, b.fp16(1)).type, half({2, 6}));
  EXPECT_EQ(b.matmul(x, x, true).type, half({6, 6}));
  EXPECT_EQ(b.op("cast", {{"x", x}, {"dtype", string_value("fp32")}}).type,
            tensor(DataType::kFp32, {2, 6}));
}

TEST(Builder, SharesEqualConstants) {
  Builder b;
  const Var one = b.fp16(1);
  EXPECT_EQ(b.fp16(1).name, one.name);
  EXPECT_NE(b.fp16(2).name, one.name);
  EXPECT_NE(b.constant(float_value(DataType::kFp32, 1)).name, one.name);
  EXPECT_EQ(one.name, "const_1");
}

TEST(Builder, AvoidsBadNames) {
  Builder b;
  const Var x = b.input("x", half({2}));
  std::set<std::string> names = {"x"};
  for (const char* hint : {"x", "eps", "fp16", "mean", "C", "scores", "scores",
                           "1st", "a-b", "mul", "", "tensor"}) {
    const Var y = b.op("relu", {{"x", x}}, hint);
    EXPECT_TRUE(names.insert(y.name).second) << y.name;
    EXPECT_NE(y.name, hint == std::string("scores") ? "" : hint);
  }
  EXPECT_TRUE(names.contains("scores"));
  EXPECT_TRUE(names.contains("scores_1"));
  EXPECT_TRUE(names.contains("v_1st"));
  EXPECT_TRUE(names.contains("a_b"));
  EXPECT_TRUE(names.contains("relu_1"));
}

TEST(Builder, OutputsMayTakeNamesInUse) {
  Builder b;
  const Var x = b.input("in", half({2}));
  const Var first = b.op("relu", {{"x", x}}, "out");
  const Var second = b.op("tanh", {{"x", first}}, "other");
  const auto program = b.finish({{"other", first}, {"out", second}});
  ASSERT_TRUE(program) << to_string(program.error());
  EXPECT_EQ(program->functions[0].body.operations[0].op, "relu");
  EXPECT_EQ(program->functions[0].body.operations[0].outputs[0].name, "other");
  EXPECT_TRUE(verify(*program).empty());
  const auto kept = b.finish({{"other", second}});
  ASSERT_TRUE(kept);
  EXPECT_TRUE(verify(*kept).empty());
  // A name that moves away must not land on another output's name.
  const auto moved = b.finish({{"out", second}, {"out_1", second}});
  EXPECT_FALSE(moved);
  Builder c;
  const Var u = c.input("in", half({2}));
  const Var v = c.op("relu", {{"x", u}}, "out");
  const Var w = c.op("tanh", {{"x", v}}, "w");
  const Var z = c.op("tanh", {{"x", w}}, "z");
  const auto apart = c.finish({{"out", w}, {"out_1", z}});
  ASSERT_TRUE(apart);
  EXPECT_TRUE(verify(*apart).empty());
}

std::string label_of(const Result<Program>& program) {
  return program ? "" : program.error().label;
}

TEST(Builder, RefusesOutputsThatAreNoOperation) {
  Builder b;
  const Var x = b.input("x", half({2}));
  const Var y = b.op("relu", {{"x", x}});
  EXPECT_EQ(label_of(b.finish({{"out", x}})), "C005");
  EXPECT_EQ(label_of(b.finish({{"out", b.fp16(1)}})), "C005");
  EXPECT_EQ(label_of(b.finish({{"a", y}, {"b", y}})), "C005");
  EXPECT_EQ(label_of(b.finish({{"x", y}})), "mil.ssa");
  EXPECT_EQ(label_of(b.finish({{"1", y}})), "mil.ssa");
  EXPECT_EQ(label_of(b.finish({{"a", Var{"stranger", {}}}})), "mil.ssa");
  EXPECT_EQ(label_of(b.finish({})), "mil.ssa");
  EXPECT_EQ(label_of(b.finish({{"out", y}})), "");
}

TEST(Builder, ErrorsStickAndSayWhere) {
  Builder b;
  const Var x = b.input("x", half({2, 3}));
  const Var bad = b.op("matmul", {{"x", x}, {"y", x}}, "scores");
  const Var more = b.add(bad, b.op("no_such_op", {{"x", x}}));
  const auto program = b.finish({{"out", more}});
  ASSERT_FALSE(program);
  EXPECT_EQ(program.error().label, "mil.shape");
  EXPECT_EQ(program.error().place, "matmul 'scores'");
}

std::string label_after(const std::function<Var(Builder&, const Var&)>& make) {
  Builder b;
  const Var x = b.input("x", half({2, 3}));
  return label_of(b.finish({{"out", make(b, x)}}));
}

TEST(Builder, RefusesMistakes) {
  EXPECT_EQ(label_after([](Builder& b, const Var&) {
              return b.op("relu", {{"x", Var{"stranger", half({2})}}});
            }),
            "mil.ssa");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("softmax", {{"x", x}, {"axis", x}});
            }),
            "mil.const");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("relu", {{"x", x}, {"y", x}});
            }),
            "mil.input");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("nothing", {{"x", x}});
            }),
            "mil.op");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("split", {{"x", x},
                                    {"num_splits", int_value(2)},
                                    {"axis", int_value(0)}});
            }),
            "mil.op");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("relu", {{"x", b.input("x", x.type)}});
            }),
            "mil.ssa");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.op("relu", {{"x", b.input("a b", x.type)}});
            }),
            "mil.ssa");
  EXPECT_EQ(label_after([](Builder& b, const Var&) {
              return b.op("relu", {{"x", b.input("z", half({-5}))}});
            }),
            "mil.shape");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              Value value = ints_value({1, 2});
              value.type.shape = {3};
              return b.add(x, b.constant(value));
            }),
            "mil.shape");
  EXPECT_EQ(label_after([](Builder& b, const Var& x) {
              return b.add(x, b.weight("w", half({2, kUnknownDim}), "w"));
            }),
            "mil.shape");
}

}  // namespace
}  // namespace aneroid::mil
