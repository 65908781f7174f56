#include "aneroid/target/target.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "aneroid/base/file.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"

namespace aneroid::target {
namespace {

std::set<std::string> labels(const std::vector<Diagnostic>& diagnostics) {
  std::set<std::string> labels;
  for (const Diagnostic& diagnostic : diagnostics) {
    labels.insert(diagnostic.label);
  }
  return labels;
}

std::filesystem::path test_data() {
  const char* folder = std::getenv("ANEROID_TEST_DATA");
  return folder == nullptr ? "../shared/data" : folder;
}

class PublishedTest : public testing::TestWithParam<const char*> {};

TEST_P(PublishedTest, IsAcceptedByDefaultAndContestedUnderStrict) {
  const auto path = test_data() / "mil" / GetParam();
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text);
  const auto program = mil::parse(*text, GetParam());
  ASSERT_TRUE(program) << to_string(program.error());
  const Chip m4 = find_chip("m4").value();
  for (const Diagnostic& refusal : check(*program, m4, Path::kRaw)) {
    ADD_FAILURE() << to_string(refusal);
  }
  // These programs ran on an M4, so what strict refuses is contested there.
  EXPECT_EQ(labels(check(*program, m4, Path::kRaw, {.strict = true})),
            std::set<std::string>{"C050"});
}

INSTANTIATE_TEST_SUITE_P(Published, PublishedTest,
                         testing::Values("maderix-ANE__gen_ffn_fwd_taps.mil",
                                         "maderix-ANE__gen_sdpa_bwd1.mil",
                                         "maderix-ANE__gen_sdpa_fwd_taps.mil"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase_if(name, [](char c) {
                             return std::isalnum(
                                        static_cast<unsigned char>(c)) == 0;
                           });
                           return name;
                         });

TEST(Check, PublishedRuntimeConvIsIgnoredOnM3Max) {
  const auto path = test_data() / "mil" / "field-guide__dynamic_conv.mil";
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  const auto program = mil::parse(read_file(path).value(), "dynamic.mil");
  ASSERT_TRUE(program);
  EXPECT_EQ(labels(check(*program, find_chip("m3-max").value(), Path::kRaw)),
            std::set<std::string>{"C059"});
}

mil::Program built_program(const Shape& shape) {
  mil::Builder builder;
  const mil::Var x = builder.input("x", mil::tensor(DataType::kFp16, shape));
  return builder.finish({{"y", builder.add(x, x)}}).value();
}

TEST(Check, BuiltProgramsPassAndHavePlacesWithoutLines) {
  const Chip m4 = find_chip("m4").value();
  EXPECT_TRUE(check(built_program({1, 64, 1, 64}), m4, Path::kRaw).empty());
  const auto refused =
      check(built_program({1, 1, 1, 1, 1, 64}), m4, Path::kRaw);
  ASSERT_EQ(refused.size(), 2U);  // input and result
  EXPECT_EQ(refused[1].label, "C030");
  EXPECT_EQ(refused[1].place, "op 'y'");
}

TEST(Check, PlacesAreWhereTheOperationIs) {
  const auto program = mil::parse(
      "program(1.3)\n"
      "[buildInfo = dict<string, string>({{\"coremlc-version\", \"1\"}})]\n"
      "{\n"
      "  func main<ios18>(tensor<fp16, [1, 64]> x) {\n"
      "    tensor<fp16, [1, 64]> y = gelu(x = x)[name = string(\"y\")];\n"
      "  } -> (y);\n"
      "}\n",
      "model.mil");
  ASSERT_TRUE(program);
  const auto refused =
      check(*program, find_chip("m4").value(), Path::kRaw, {}, "model.mil");
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_TRUE(refused[0].place.starts_with("model.mil:5:")) << refused[0].place;
  EXPECT_TRUE(refused[0].place.ends_with("op 'y'")) << refused[0].place;
}

TEST(Check, EmptyProgramsAreNotAsked) {
  EXPECT_TRUE(
      check(mil::Program{}, find_chip("m4").value(), Path::kRaw).empty());
}

Status surfaces(const std::vector<uint64_t>& inputs,
                const std::vector<uint64_t>& outputs, std::string_view chip,
                Path path = Path::kRaw, bool strict = false) {
  return check_surfaces({inputs, outputs}, find_chip(chip).value(), path,
                        {.strict = strict});
}

TEST(Surfaces, C013WantsEqualSizesPerSide) {
  EXPECT_TRUE(surfaces({65536, 65536}, {131072, 131072}, "m4"));
  for (const Status& refused : {surfaces({65536, 131072}, {65536}, "m4"),
                                surfaces({65536}, {65536, 131072}, "m4")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().label, "C013");
    EXPECT_EQ(refused.error().kind, ErrorKind::kDevice);
    EXPECT_NE(refused.error().message.find("65536 bytes"), std::string::npos);
    EXPECT_NE(refused.error().message.find("131072"), std::string::npos);
  }
  EXPECT_TRUE(surfaces({65536, 131072}, {65536}, "m1"));
  EXPECT_TRUE(surfaces({65536, 131072}, {65536}, "m4", Path::kCoreml));
}

TEST(Surfaces, C015WantsAMinimumUnderStrict) {
  EXPECT_TRUE(surfaces({1024}, {1024}, "m4"));
  EXPECT_TRUE(surfaces({49152}, {49152}, "m4", Path::kRaw, true));
  const Status refused = surfaces({49152}, {1024}, "m4", Path::kRaw, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().label, "C015");
  EXPECT_NE(refused.error().message.find("output 0 is allocated with 1024 "
                                         "bytes, below 49152 on M4"),
            std::string::npos);
  EXPECT_TRUE(surfaces({2048}, {2048}, "m1", Path::kRaw, true));
}

TEST(Surfaces, C024WantsAtMost128) {
  const std::vector<uint64_t> many(100, 65536);
  EXPECT_TRUE(surfaces(many, std::vector<uint64_t>(28, 65536), "m6"));
  const Status refused = surfaces(many, std::vector<uint64_t>(29, 65536), "m6");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().label, "C024");
}

TEST(Rules, AreWellFormedAndInOrder) {
  std::string_view last;
  for (const Rule& rule : rules()) {
    EXPECT_LT(last, rule.id);
    last = rule.id;
    EXPECT_EQ(find_rule(rule.id), &rule);
    for (const std::string_view text :
         {rule.summary, rule.condition, rule.symptom, rule.workaround,
          rule.known_on}) {
      EXPECT_FALSE(text.empty()) << rule.id;
    }
    EXPECT_TRUE(rule.confidence >= 'A' && rule.confidence <= 'C') << rule.id;
    EXPECT_FALSE(rule.paths.empty()) << rule.id;
    ASSERT_NE(rule.known_for, nullptr) << rule.id;
    const bool checked =
        rule.check != nullptr || rule.check_surfaces != nullptr;
    const bool enforced = rule.enforcement == Enforcement::kDefault ||
                          rule.enforcement == Enforcement::kStrict;
    EXPECT_EQ(checked, enforced) << rule.id;
  }
  EXPECT_EQ(find_rule("C999"), nullptr);
}

// docs/spec/engine.md explains every rule, with what the table says of it.
TEST(Rules, AreAllDocumented) {
  const auto page = read_file("docs/spec/engine.md");
  ASSERT_TRUE(page) << "run from the root of the repository";
  for (const Rule& rule : rules()) {
    const std::string row = "| " + std::string(rule.id) + " | " +
                            std::string(name(rule.phase)) + " | " +
                            std::string(name(rule.enforcement)) + " |";
    EXPECT_NE(page->find(row), std::string::npos) << "no row: " << row;
  }
  for (const Chip& chip : chips()) {
    EXPECT_NE(page->find("`" + std::string(chip.id) + "`"), std::string::npos)
        << chip.id;
  }
}

}  // namespace
}  // namespace aneroid::target
