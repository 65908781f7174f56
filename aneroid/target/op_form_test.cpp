#include "aneroid/target/op_form.h"

#include <gtest/gtest.h>

#include "aneroid/mil/verifier.h"
#include "aneroid/target/op_placement.h"

namespace aneroid::target {
namespace {

mil::Type fp16(Shape shape) {
  return mil::tensor(DataType::kFp16, std::move(shape));
}

OpForm unary(std::string op, Shape shape = {1, 64, 32, 32}) {
  return {std::move(op), {{"x", fp16(std::move(shape))}}, {}, {}};
}

OpForm conv(int64_t height, int64_t width) {
  return {"conv",
          {{"x", fp16({1, 64, 32, 32})},
           {"weight", fp16({64, 64, height, width}), OpForm::From::kConstant}},
          {{"pad_type", mil::string_value("same")}},
          {}};
}

Judgement on(const OpForm& form, std::string_view chip, Path path) {
  return judge(form, find_chip(chip).value(), path);
}

TEST(OpForm, BecomesAProgramThatVerifies) {
  const OpForm select = {"select",
                         {{"cond", mil::tensor(DataType::kBool, {1, 64}),
                           OpForm::From::kComparison},
                          {"a", fp16({1, 64})},
                          {"b", fp16({1, 64}), OpForm::From::kConstant}},
                         {},
                         {}};
  const OpForm concat = {"concat",
                         {{"values", fp16({1, 64})}, {"values", fp16({1, 32})}},
                         {{"axis", mil::int_value(1)}},
                         {}};
  for (const OpForm& form : {unary("exp"), conv(3, 3), select, concat}) {
    for (const Diagnostic& finding : mil::verify(to_program(form))) {
      ADD_FAILURE() << form.op << ": " << to_string(finding);
    }
  }
  EXPECT_EQ(result_type(concat).shape, (Shape{1, 96}));
  EXPECT_EQ(result_type(select).dtype, DataType::kFp16);
}

TEST(Judge, RulesAndVocabularyDecide) {
  const Judgement plain = on(unary("exp"), "m4", Path::kCoreml);
  EXPECT_EQ(plain.support, Support::kSupported);
  EXPECT_EQ(plain.decided_by, "vocabulary");
  const Judgement kernel = on(conv(1, 16), "m4", Path::kRaw);
  EXPECT_EQ(kernel.support, Support::kRefused);
  EXPECT_EQ(kernel.decided_by, "C034");
  EXPECT_EQ(on(unary("asin"), "m4", Path::kCoreml).decided_by, "C072");
  EXPECT_EQ(on(unary("shape"), "m4", Path::kCoreml).support, Support::kFolded);
  EXPECT_EQ(on(unary("einsum"), "m4", Path::kRaw).support, Support::kUnknown);
  EXPECT_EQ(on(unary("hologram"), "m4", Path::kRaw).support, Support::kUnknown);
}

TEST(Judge, WrongNumbersAreAcceptedAllTheSame) {
  OpForm attention = {"scaled_dot_product_attention",
                      {{"query", fp16({1, 8, 128, 64})},
                       {"key", fp16({1, 8, 128, 64})},
                       {"value", fp16({1, 8, 128, 64})},
                       {"attn_mask", fp16({1, 1, 128, 128})}},
                      {},
                      {}};
  EXPECT_FALSE(check(to_program(attention), find_chip("m4").value(),
                     Path::kRaw)
                   .empty());  // C060
  EXPECT_EQ(on(attention, "m4", Path::kRaw).support, Support::kSupported);
}

TEST(Judge, TheLargestKernelIsHeavy) {
  EXPECT_TRUE(on(conv(16, 16), "m4", Path::kRaw).heavy);
  EXPECT_FALSE(on(conv(15, 15), "m4", Path::kRaw).heavy);
  EXPECT_FALSE(on(conv(17, 17), "m4", Path::kRaw).heavy);  // refused
}

TEST(Judge, ConstantsAreNotTakenForOutputs) {
  const OpForm dense = {"constexpr_lut_to_dense",
                        {{"indices", mil::tensor(DataType::kUint4, {64, 64}),
                          OpForm::From::kConstant}},
                        {},
                        fp16({64, 64})};
  EXPECT_EQ(on(dense, "m4", Path::kRaw).support, Support::kSupported);
}

bool placed(const OpForm& form, Surroundings surroundings) {
  return place(form, on(form, "m4", Path::kCoreml), surroundings).on_engine;
}

// C105: what a segment costs is more than a small op saves.
TEST(Place, SmallOpsAloneStayOnTheCpu) {
  EXPECT_FALSE(placed(unary("exp"), Surroundings::kAlone));
  EXPECT_FALSE(placed(conv(3, 3), Surroundings::kAlone));
  EXPECT_TRUE(placed(conv(15, 15), Surroundings::kAlone));
}

TEST(Place, LayersCarryAnOpToTheEngine) {
  EXPECT_TRUE(placed(unary("exp"), Surroundings::kBetweenLayers));
  // One channel is left for the layers behind it.
  OpForm reduce = unary("reduce_sum");
  reduce.result = fp16({1, 1, 32, 32});
  EXPECT_FALSE(placed(reduce, Surroundings::kBetweenLayers));
  // Milliseconds on the engine.
  EXPECT_FALSE(placed(unary("topk"), Surroundings::kBetweenLayers));
}

TEST(Place, TheRefusedStaysOnTheCpu) {
  EXPECT_FALSE(placed(conv(17, 17), Surroundings::kBetweenLayers));
}

TEST(Place, ThePublishedPairHolds) {
  const Placement placement = place(
      conv(3, 3), on(conv(3, 3), "m4", Path::kCoreml), Surroundings::kAlone);
  EXPECT_NEAR(placement.cpu_us, 100, 1);
  EXPECT_NEAR(placement.engine_us, 4.67, 0.05);
}

}  // namespace
}  // namespace aneroid::target
