#include "aneroid/conformance/acceptance.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/conformance/acceptance_variant.h"
#include "aneroid/conformance/acceptance_words.h"
#include "aneroid/mil/ir.h"
#include "aneroid/target/op_verdicts.h"

namespace aneroid::conformance {
namespace {

using target::OpForm;

constexpr std::string_view kAlone = "Core ML MLComputePlan, single-op model";
constexpr std::string_view kBetween =
    "Core ML MLComputePlan, op between layers";
constexpr std::string_view kDirect = "ANECCompile called directly";
constexpr std::string_view kE5 = "e5rt program compile + run";

OpForm form(std::string_view op, std::string_view variant) {
  const std::vector<OpForm> forms = read_forms(op, variant);
  EXPECT_EQ(forms.size(), 1U) << variant;
  return forms.empty() ? OpForm{} : forms.front();
}

const OpForm::Operand* operand(const OpForm& form, std::string_view name) {
  for (const OpForm::Operand& each : form.operands) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

std::vector<int64_t> ints(const OpForm& form, std::string_view name) {
  for (const auto& [attribute, value] : form.attributes) {
    if (attribute == name) return mil::as_ints(value);
  }
  return {};
}

// ---- Reading a text --------------------------------------------------------

TEST(AcceptanceWords, AreSortedByWhatTheyBelongTo) {
  const VariantWords words = read_words(
      "slice: begin 0;0;4;4 size 1;64;16;16; Second 1x64x1x1; x1.5 runtime");
  EXPECT_EQ(words.labelled_numbers.at("begin"),
            (std::vector<double>{0, 0, 4, 4}));
  EXPECT_EQ(words.labelled_numbers.at("size"),
            (std::vector<double>{1, 64, 16, 16}));
  EXPECT_EQ(words.shape("second"), (Shape{1, 64, 1, 1}));
  EXPECT_EQ(words.factor, 1.5);
  EXPECT_TRUE(words.has("runtime"));
  EXPECT_FALSE(words.has("slice"));  // the label of the row
  EXPECT_EQ(words.shape("input"), std::nullopt);
  EXPECT_EQ(words.number("axis"), std::nullopt);
}

TEST(AcceptanceWords, ElementTypesHaveARole) {
  EXPECT_EQ(read_words("int32 inputs").input_type, DataType::kInt32);
  EXPECT_EQ(read_words("int32 1x64 to 128").input_type, DataType::kInt32);
  EXPECT_EQ(read_words("runtime int32 index 8x2").index_type, DataType::kInt32);
  const VariantWords cast = read_words("fp16 to int32; input 1x64");
  EXPECT_EQ(cast.input_type, DataType::kFp16);
  EXPECT_EQ(cast.output_type, DataType::kInt32);
  EXPECT_EQ(read_words("int8 output of the model").output_type,
            DataType::kInt8);
}

TEST(AcceptanceWords, ALetterStandsForWhatIsSwept) {
  EXPECT_EQ(read_words("batch 16: Nx64x32x32").shapes,
            (std::vector<Shape>{{16, 64, 32, 32}}));
  EXPECT_EQ(read_words("width 65537: 1x1x1xW").shapes,
            (std::vector<Shape>{{1, 1, 1, 65537}}));
}

TEST(AcceptanceWords, NonsenseHasNoFacts) {
  for (const std::string& text :
       {std::string(), std::string(":;,;:"), std::string("xxxx x x1x"),
        std::string("9999999999999999999999x1"), std::string(100000, 'x'),
        std::string(100000, ';'), std::string("1;;2"), std::string("-"),
        std::string("nan inf 1e999"), std::string("\xff\xfe\0 1", 5)}) {
    const VariantWords words = read_words(text);
    EXPECT_TRUE(words.shapes.empty()) << text.substr(0, 40);
    EXPECT_TRUE(words.labelled_shapes.empty()) << text.substr(0, 40);
  }
}

TEST(AcceptanceVariant, Convolutions) {
  const OpForm dilated =
      form("conv", "conv3x3_d2: 3x3 same dilation 2; input 1x64x32x32");
  EXPECT_EQ(operand(dilated, "x")->type.shape, (Shape{1, 64, 32, 32}));
  EXPECT_EQ(operand(dilated, "weight")->type.shape, (Shape{64, 64, 3, 3}));
  EXPECT_EQ(operand(dilated, "weight")->from, OpForm::From::kConstant);
  EXPECT_EQ(ints(dilated, "dilations"), (std::vector<int64_t>{2, 2}));

  const OpForm line = form("conv", "conv1d: 1x64x1024; 64x64x3 same");
  EXPECT_EQ(operand(line, "x")->type.shape, (Shape{1, 64, 1024}));
  EXPECT_EQ(operand(line, "weight")->type.shape, (Shape{64, 64, 3}));

  const OpForm volume = form("conv", "conv3d: 1x16x8x16x16; 3x3x3 same");
  EXPECT_EQ(operand(volume, "weight")->type.shape, (Shape{16, 16, 3, 3, 3}));

  const OpForm depthwise = form("conv", "3x3 same depthwise groups 64");
  EXPECT_EQ(operand(depthwise, "weight")->type.shape, (Shape{64, 1, 3, 3}));

  const OpForm runtime = form("conv", "runtime weight 32x64x1x1");
  EXPECT_EQ(operand(runtime, "weight")->from, OpForm::From::kInput);
  EXPECT_EQ(operand(runtime, "weight")->type.shape, (Shape{32, 64, 1, 1}));

  const OpForm swept = form("conv", "kernel 1x24 same (sw_conv_k1x24)");
  EXPECT_EQ(operand(swept, "weight")->type.shape, (Shape{64, 64, 1, 24}));
}

TEST(AcceptanceVariant, MatricesAndGathers) {
  const OpForm product = form("matmul", "m: 1x128x256 x const 256x512");
  EXPECT_EQ(operand(product, "y")->type.shape, (Shape{256, 512}));
  EXPECT_EQ(operand(product, "y")->from, OpForm::From::kConstant);
  const OpForm deep = form("matmul", "inner dim 40000");
  EXPECT_EQ(operand(deep, "x")->type.shape.back(), 40000);
  const OpForm table =
      form("gather", "const table 32000x256; runtime int32 index 1x64");
  EXPECT_EQ(operand(table, "x")->type.shape, (Shape{32000, 256}));
  EXPECT_EQ(operand(table, "indices")->from, OpForm::From::kInput);
  EXPECT_EQ(operand(table, "indices")->type.dtype, DataType::kInt32);
  const OpForm constant = form("gather", "g: const index axis 1");
  EXPECT_EQ(operand(constant, "indices")->from, OpForm::From::kConstant);
}

TEST(AcceptanceVariant, ResultsFollowFromTheText) {
  const auto result = [](std::string_view op, std::string_view variant) {
    return form(op, variant).result->shape;
  };
  EXPECT_EQ(result("reduce_max", "axis 1; input 1x64x32x32"),
            (Shape{1, 1, 32, 32}));
  EXPECT_EQ(result("pixel_shuffle", "p: 2; input 1x64x32x32"),
            (Shape{1, 16, 64, 64}));
  EXPECT_EQ(result("batch_to_space", "4x64x16x16 block 2x2"),
            (Shape{1, 64, 32, 32}));
  EXPECT_EQ(result("resize_bilinear", "to 48x48; input 1x64x32x32"),
            (Shape{1, 64, 48, 48}));
  EXPECT_EQ(result("split", "2 on axis 1; input 1x64x32x32"),
            (Shape{1, 32, 32, 32}));
}

TEST(AcceptanceVariant, TwoOpsAreTwoForms) {
  const auto forms = read_forms("quantize+dequantize", "int8 scale 0.1");
  ASSERT_EQ(forms.size(), 2U);
  EXPECT_EQ(forms[0].op, "quantize");
  EXPECT_EQ(forms[1].op, "dequantize");
  EXPECT_TRUE(read_forms("", "x").empty());
  EXPECT_TRUE(read_forms(" + ", "x").empty());
}

TEST(AcceptanceVariant, AnyOpReadsAnyText) {
  const std::string texts[] = {
      "",
      "1",
      "kernel 0x0 stride 0 groups 0",
      "0x0x0x0 axis 99 k 9999999999 block 0 x0 size 0;0;0;0",
      "99999999999x99999999999x99999999999x9 x99999999 block 99999999",
      "index 0x0 runtime int32 index axis -9",
      "groups -1 stride -1 dilation 99999999999 exponent nan",
      "1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1x1 rank 17"};
  for (const target::OpEntry& entry : target::ops()) {
    for (const std::string& text : texts) {
      for (const OpForm& form : read_forms(entry.op, text)) {
        for (const char* chip : {"m1", "m4", "m6"}) {
          const auto judgement = target::judge(
              form, target::find_chip(chip).value(), target::Path::kCoreml);
          target::place(form, judgement, target::Surroundings::kBetweenLayers);
        }
      }
    }
  }
}

TEST(AcceptanceVerdict, IsReadByItsFirstWords) {
  EXPECT_EQ(read_verdict("ane_supported;placed_cpu").support,
            Measured::kAccepted);
  EXPECT_EQ(read_verdict("ane_supported;placed_cpu").placed_on_engine, false);
  EXPECT_EQ(read_verdict("ane_supported;placed_ane").placed_on_engine, true);
  EXPECT_EQ(read_verdict("cpu_only").support, Measured::kRefused);
  EXPECT_EQ(read_verdict("cpu_only").placed_on_engine, std::nullopt);
  EXPECT_EQ(read_verdict("fails rc=22").support, Measured::kRefused);
  EXPECT_EQ(read_verdict("compile_fails (class: x)").support,
            Measured::kRefused);
  EXPECT_EQ(read_verdict("compiles").support, Measured::kAccepted);
  EXPECT_EQ(read_verdict("runs_unchecked").support, Measured::kAccepted);
  EXPECT_EQ(read_verdict("folded_away (identity)").support, Measured::kFolded);
  EXPECT_EQ(read_verdict("out of memory (killed)").support, Measured::kStopped);
  EXPECT_EQ(read_verdict("parse_error (boxes)").support, Measured::kNoAnswer);
  EXPECT_EQ(read_verdict("placed_cpu (no ANE candidate)").support,
            Measured::kRefused);
  EXPECT_EQ(read_verdict("perhaps").support, Measured::kUnreadable);
  EXPECT_EQ(read_verdict("").support, Measured::kUnreadable);
}

// ---- Judging a table -------------------------------------------------------

std::string table(const std::vector<std::vector<std::string_view>>& rows) {
  std::string text = "op,variant,opset,api,chip,verdict,source\n";
  for (const auto& row : rows) {
    text += fmt::format("{},\"{}\",ios18,\"{}\",{},{},here\n", row[0], row[1],
                        row[2], row[3], row[4]);
  }
  return text;
}

AcceptanceRow judged(std::string_view op, std::string_view variant,
                     std::string_view api, std::string_view chip,
                     std::string_view verdict) {
  const auto report =
      check_acceptance(table({{op, variant, api, chip, verdict}}), "t.csv");
  EXPECT_TRUE(report);
  if (!report || report->rows.size() != 1) return {};
  return report->rows.front();
}

TEST(Acceptance, ATrueAndAFalseRow) {
  const AcceptanceRow good =
      judged("conv", "kernel 1x16 same", kDirect, "M4 (h16g)", "fails rc=1");
  EXPECT_EQ(good.support, Outcome::kAgrees);
  EXPECT_EQ(good.judgement.decided_by, "C034");
  EXPECT_EQ(good.line, 2);
  EXPECT_EQ(
      judged("conv", "kernel 1x16 same", kDirect, "M4", "compiles").support,
      Outcome::kDisagrees);
  EXPECT_EQ(
      judged("conv", "kernel 1x15 same", kDirect, "M4", "fails rc=1").support,
      Outcome::kDisagrees);
}

TEST(Acceptance, ThePathAndTheChipCount) {
  EXPECT_EQ(judged("identity", "", kAlone, "M4", "ane_supported").support,
            Outcome::kAgrees);
  EXPECT_EQ(judged("identity", "", kE5, "M5", "compile_fails").support,
            Outcome::kAgrees);
  EXPECT_EQ(judged("topk", "k 5", kDirect, "M4 (h16g)", "fails rc=22").support,
            Outcome::kAgrees);
  EXPECT_EQ(judged("topk", "k 5", kDirect, "M6 (h18g)", "compiles").support,
            Outcome::kAgrees);
}

TEST(Acceptance, ElementTypesCount) {
  for (const std::string_view op : {"maximum", "sub", "relu", "reduce_sum"}) {
    EXPECT_EQ(
        judged(op, "int32 inputs; input 1x64x32x32", kAlone, "M4", "cpu_only")
            .support,
        Outcome::kAgrees)
        << op;
    EXPECT_EQ(
        judged(op, "fp32 inputs; casts inserted", kAlone, "M4", "ane_supported")
            .support,
        Outcome::kAgrees)
        << op;
  }
  EXPECT_EQ(
      judged("logical_and", "of comparisons", kAlone, "M4", "ane_supported")
          .support,
      Outcome::kAgrees);
  EXPECT_EQ(
      judged("logical_and", "bool inputs", kAlone, "M4", "cpu_only").support,
      Outcome::kAgrees);
}

TEST(Acceptance, PlacementIsReportedApart) {
  const auto report = check_acceptance(
      table({{"exp", "", kAlone, "M4", "ane_supported;placed_ane"},
             {"exp", "", kBetween, "M4", "ane_supported;placed_ane"}}),
      "t.csv");
  ASSERT_TRUE(report);
  EXPECT_EQ(report->support.agree, 2);
  EXPECT_EQ(report->support.disagree, 0);
  EXPECT_EQ(report->placement.rows, 2);
  EXPECT_EQ(report->placement.agree, 1);
  EXPECT_EQ(report->placement.disagree, 1);
  ASSERT_EQ(report->groups.size(), 2U);
  EXPECT_EQ(report->groups[1].path, "coreml between layers");
}

TEST(Acceptance, WhatCannotBeReadIsListed) {
  const std::pair<AcceptanceRow, std::string> cases[] = {
      {judged("exp", "", "by telephone", "M4", "compiles"), "by telephone"},
      {judged("exp", "", kAlone, "M99", "compiles"), "M99"},
      {judged("exp", "", kAlone, "M4", "perhaps"), "perhaps"},
      {judged("hologram", "", kAlone, "M4", "compiles"), "hologram"},
      {judged("einsum", "", kDirect, "M4", "compiles"), "transposes"},
      {judged("exp", "", kAlone, "M4", "parse_error"), "before an engine"}};
  for (const auto& [row, why] : cases) {
    EXPECT_EQ(row.support, Outcome::kNotJudged) << why;
    EXPECT_NE(row.why_not.find(why), std::string::npos) << row.why_not;
  }
  // By the op alone where the text says nothing we know.
  EXPECT_EQ(judged("asin", "blah", kAlone, "M4", "cpu_only").support,
            Outcome::kAgrees);
}

TEST(Acceptance, OtherFilesAreRefused) {
  for (const std::string_view text : {"", "a,b\n1,2\n", "op,variant\n\"x"}) {
    const auto report = check_acceptance(text, "t.csv");
    ASSERT_FALSE(report) << text;
    EXPECT_EQ(report.error().label, "csv");
    EXPECT_EQ(report.error().kind, ErrorKind::kInput);
  }
  const auto missing = check_acceptance("op,variant,api,verdict\n", "t.csv");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("chip"), std::string::npos);
}

TEST(Acceptance, AgreesWithThePublishedTable) {
  const char* folder = std::getenv("ANEROID_TEST_DATA");
  const auto text = read_file(
      std::filesystem::path(folder == nullptr ? "../shared/data" : folder) /
      "ane-acceptance.csv");
  if (!text) GTEST_SKIP() << "skipped: no shared data";
  const auto report = check_acceptance(*text, "ane-acceptance.csv");
  ASSERT_TRUE(report) << to_string(report.error());
  for (const AcceptanceRow& row : report->rows) {
    EXPECT_NE(row.support, Outcome::kDisagrees)
        << row.line << ": " << row.op << " | " << row.variant << " | "
        << row.verdict << " | " << row.judgement.reason;
  }
  // One row failed in the study's own model.
  EXPECT_EQ(report->support.not_judged, 1);
  EXPECT_EQ(report->support.rows, 487);
  // An estimate: it need not hold everywhere, but it must not get worse.
  EXPECT_GE(report->placement.agree, 230);
  EXPECT_EQ(report->placement.rows, 232);
}

}  // namespace
}  // namespace aneroid::conformance
