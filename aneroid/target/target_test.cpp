#include "aneroid/target/target.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>
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

struct Published {
  const char* file;
  std::set<std::string> contested;  // what strict refuses on M4
};

class PublishedTest : public testing::TestWithParam<Published> {};

TEST_P(PublishedTest, IsAcceptedByDefaultAndContestedUnderStrict) {
  const auto path = test_data() / "mil" / GetParam().file;
  if (!std::filesystem::exists(path)) {
    GTEST_SKIP() << "skipped: no shared data";
  }
  const auto text = read_file(path);
  ASSERT_TRUE(text);
  const auto program = mil::parse(*text, GetParam().file);
  ASSERT_TRUE(program) << to_string(program.error());
  const Chip m4 = find_chip("m4").value();
  for (const Diagnostic& refusal : check(*program, m4, Path::kRaw)) {
    ADD_FAILURE() << to_string(refusal);
  }
  // These programs ran on an M4, so what strict refuses is contested there.
  EXPECT_EQ(labels(check(*program, m4, Path::kRaw, {.strict = true})),
            GetParam().contested);
}

INSTANTIATE_TEST_SUITE_P(
    Published, PublishedTest,
    testing::Values(Published{"maderix-ANE__gen_ffn_fwd_taps.mil", {"C050"}},
                    Published{"maderix-ANE__gen_sdpa_bwd1.mil", {"C050"}},
                    Published{"maderix-ANE__gen_sdpa_fwd_taps.mil", {"C050"}},
                    Published{"maderix-ANE__int8_bench_w8a8.mil", {}}),
    [](const auto& test) {
      std::string name = test.param.file;
      std::erase_if(name, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) == 0;
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

TEST(Surfaces, C014WantsSizesInOrderUnderStrict) {
  EXPECT_TRUE(surfaces({65536, 2048}, {4096}, "m1"));
  const Status inputs = surfaces({65536, 4096}, {4096}, "m1", Path::kRaw, true);
  ASSERT_FALSE(inputs);
  EXPECT_EQ(inputs.error().label, "C014");
  const Status outputs =
      surfaces({4096}, {4096, 65536}, "m1", Path::kRaw, true);
  ASSERT_FALSE(outputs);
  EXPECT_NE(outputs.error().message.find("do not descend"), std::string::npos);
  EXPECT_TRUE(surfaces({4096}, {65536, 4096}, "m1", Path::kRaw, true));
  // The zeros are documented, so a faithful engine computes them.
  const std::vector<uint64_t> in = {65536, 4096};
  const std::vector<uint64_t> out = {4096};
  EXPECT_TRUE(check_surfaces({in, out}, find_chip("m1").value(), Path::kRaw,
                             {.strict = true, .faithful_silent = true}));
  const auto silent =
      silent_findings(SurfaceSizes{in, out}, find_chip("m1").value(),
                      Path::kRaw, {.strict = true, .faithful_silent = true});
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent[0].rule->silent_effect, SilentEffect::kZeros);
}

TEST(Surfaces, C109WantsEqualOutputsBesideMixedInputsUnderStrict) {
  EXPECT_TRUE(surfaces({4096, 65536}, {65536, 4096}, "m1"));
  const Status refused =
      surfaces({4096, 65536}, {65536, 4096}, "m1", Path::kRaw, true);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().label, "C109");
  EXPECT_TRUE(surfaces({4096, 65536}, {4096, 4096}, "m1", Path::kRaw, true));
}

TEST(Rules, AreWellFormedAndInOrder) {
  std::string_view last;
  for (const Rule& rule : rules()) {
    EXPECT_LT(last, rule.id);
    last = rule.id;
    EXPECT_EQ(find_rule(rule.id), &rule);
    for (const std::string_view text :
         {rule.summary, rule.condition, rule.symptom, rule.workaround,
          rule.known_on, rule.source}) {
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
    const bool documented = rule.enforcement == Enforcement::kDocumented;
    EXPECT_EQ(documented, !rule.why.empty()) << rule.id;
    if (rule.silent_effect != SilentEffect::kNone) {
      EXPECT_EQ(rule.phase, Phase::kSilent) << rule.id;
    }
  }
  EXPECT_EQ(find_rule("C999"), nullptr);
}

// The ids of the catalogue: those missing were never given to anything.
TEST(Rules, HoldTheWholeCatalogue) {
  const std::pair<int, int> ranges[] = {{1, 26}, {30, 46}, {50, 82}, {90, 113}};
  for (const auto& [first, last] : ranges) {
    for (int number = first; number <= last; ++number) {
      const std::string id = fmt::format("C{:03}", number);
      EXPECT_NE(find_rule(id), nullptr) << id;
    }
  }
  // Where the catalogue itself is at hand, every row of it.
  const auto page =
      read_file(test_data() / ".." / "reference" / "ane-behaviour.md");
  if (!page) GTEST_SKIP() << "skipped: no shared data";
  size_t rows = 0;
  for (size_t at = page->find("\n| C"); at != std::string::npos;
       at = page->find("\n| C", at + 1)) {
    const std::string id = page->substr(at + 3, 4);
    if (id.find_first_not_of("C0123456789") != std::string::npos) continue;
    EXPECT_NE(find_rule(id), nullptr) << id;
    ++rows;
  }
  EXPECT_EQ(rows, 100U);
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
}

}  // namespace
}  // namespace aneroid::target
