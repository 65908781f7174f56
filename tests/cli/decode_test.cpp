// aneroid bench decode, and decoding with the weights kept otherwise.
#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

class Decode : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    model_ = (shared_data() / "models/stories260K.bin").string();
    tokenizer_ = (shared_data() / "tokenizers/tok512-llama2c.bin").string();
    tokens_ = (shared_data() / "stories/tinystories-60k.tok512.u16").string();
  }
  bool has_data() const { return std::filesystem::exists(model_); }
  std::string model_;
  std::string tokenizer_;
  std::string tokens_;
};

TEST_F(Decode, BenchHasARowForEachStorage) {
  const auto json = nlohmann::json::parse(
      expect_good({"bench", "decode", "--model", "stories260k", "--tokens", "2",
                   "--rounds", "2", "--threads", "2", "--json"}));
  EXPECT_EQ(json.at("threads"), 2);
  EXPECT_GT(json.at("bandwidth_gb_per_s").get<double>(), 0);
  const auto& rows = json.at("rows");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].at("weights"), "fp32");
  EXPECT_EQ(rows[0].at("weight_bytes"),
            2 * rows[1].at("weight_bytes").get<int>());
  EXPECT_EQ(rows[2].at("weights"), "int8");
  for (const auto& row : rows) {
    EXPECT_GT(row.at("tokens_per_s").get<double>(), 0);
    EXPECT_GE(row.at("tokens_per_s_best"), row.at("tokens_per_s"));
    EXPECT_FALSE(row.contains("mean_nll"));
  }
}

TEST_F(Decode, BenchMeasuresTheLossOfStorage) {
  if (!has_data()) GTEST_SKIP() << "skipped: no shared data";
  const auto json = nlohmann::json::parse(
      expect_good({"bench", "decode", "--model", model_, "--tokens", "1",
                   "--rounds", "1", "--weights", "fp32,int8", "--data", tokens_,
                   "--loss-tokens", "600", "--json"}));
  EXPECT_EQ(json.at("loss_tokens"), 600);
  const double exact = json.at("rows")[0].at("mean_nll");
  const double int8 = json.at("rows")[1].at("mean_nll");
  EXPECT_NEAR(exact, int8, 0.01);
  EXPECT_NE(exact, int8);
  // What eval finds on the engine, in the windows that it has too.
  const auto eval = nlohmann::json::parse(expect_good(
      {"eval", "--model", model_, "--data", tokens_, "--seq", "512",
       "--max-tokens", "600", "--numerics", "reference", "--json"}));
  EXPECT_NEAR(exact, eval.at("mean_nll"), 1e-4);
}

TEST_F(Decode, GenerateTakesAStorage) {
  if (!has_data()) GTEST_SKIP() << "skipped: no shared data";
  const auto bytes = [&](const std::string& weights) {
    const auto json = nlohmann::json::parse(
        expect_good({"generate", "--model", model_, "--tokenizer", tokenizer_,
                     "--weights", weights, "--max-tokens", "3", "--json"}));
    return json.at("weight_bytes").get<int64_t>();
  };
  EXPECT_EQ(bytes("fp32"), 2 * bytes("fp16"));
  EXPECT_LT(bytes("int8"), bytes("fp16"));
}

TEST_F(Decode, RefusesWhatItCannotMeasure) {
  expect_refusal({"bench", "decode", "--weights", "int4"}, 2, "int4");
  expect_refusal(
      {"bench", "decode", "--model", "stories260k", "--tokens", "100000"}, 2,
      "512 positions");
  expect_refusal(
      {"bench", "decode", "--model", "stories260k", "--data", path("none.bin")},
      3, "none.bin");
}

}  // namespace
}  // namespace aneroid::cli_test
