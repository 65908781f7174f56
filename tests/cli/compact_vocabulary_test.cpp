// aneroid train --compact-vocabulary: what it decides, and that its checkpoints
// are like any other's.
#include <cmath>
#include <cstring>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Words = std::vector<std::string>;

class CompactVocabulary : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    // Forty ids of three hundred.
    std::string tokens;
    for (int i = 0; i < 4000; ++i) {
      const auto id = static_cast<uint16_t>(7 * (i * i % 40) + 5);
      tokens.append(reinterpret_cast<const char*>(&id), sizeof id);
    }
    data_ = write("few.bin", tokens);
    config_ = write("tiny.json", R"({
      "name": "tiny", "hidden_size": 32, "intermediate_size": 64,
      "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 300,
      "max_position_embeddings": 64})");
  }

  std::string train(const std::string& run, const std::string& when) const {
    return expect_good({"train", "--config", config_, "--data", data_, "--seq",
                        "16", "--accum", "1", "--steps", "4", "--threads", "1",
                        "--lr", "1e-3", "--out", path(run),
                        "--compact-vocabulary", when});
  }
  std::string resume(const std::string& run, const Words& more) const {
    Words words = {"train", "--out", path(run), "--resume", "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return expect_good(words);
  }
  std::vector<double> losses(const std::string& run) const {
    std::istringstream lines(read(path(run + "/events.jsonl")));
    std::vector<double> found;
    for (std::string line; std::getline(lines, line);) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("event") == "step") found.push_back(event.at("loss"));
    }
    return found;
  }
  double eval(const std::string& run) const {
    return nlohmann::json::parse(
               expect_good({"eval", "--model", path(run), "--data", data_,
                            "--max-tokens", "200", "--json"}))
        .at("mean_nll");
  }

  std::string data_;
  std::string config_;
};

constexpr const char* kSaid = "occur and are trained";

TEST_F(CompactVocabulary, BeginsAtTheLogarithmOfTheUsedIds) {
  EXPECT_NE(train("on", "on").find(kSaid), std::string::npos);
  EXPECT_EQ(train("off", "off").find(kSaid), std::string::npos);
  const double compact = losses("on").at(0);
  EXPECT_GT(compact, 2.0);
  EXPECT_LT(compact, std::log(40.0) + 0.2);
  EXPECT_NEAR(losses("off").at(0), std::log(300.0), 0.2);
}

TEST_F(CompactVocabulary, AutoIsOnWhereTheDataUsesFewIds) {
  // 260 rows are not worth it.
  EXPECT_EQ(train("few", "auto").find(kSaid), std::string::npos);
  std::string config = read(config_);
  write("tiny.json", config.replace(config.find("300"), 3, "5000"));
  EXPECT_NE(train("auto", "auto").find(kSaid), std::string::npos);
  train("on", "on");
  EXPECT_EQ(losses("auto"), losses("on"));
}

TEST_F(CompactVocabulary, CheckpointsHaveTheWholeVocabulary) {
  train("on", "on");
  const std::string said =
      expect_good({"convert", path("on"), path("on.safetensors")});
  EXPECT_NE(said.find("vocabulary 300"), std::string::npos) << said;
}

TEST_F(CompactVocabulary, EvaluatesWhatWasTrained) {
  train("on", "on");
  train("off", "off");
  // As in training, among the used ids; with another id among all of them.
  EXPECT_LT(eval("on"), std::log(40.0) + 0.2);
  EXPECT_NEAR(eval("off"), std::log(300.0), 0.3);
  std::string tokens = read(data_);
  tokens[0] = 6;
  write("few.bin", tokens);
  EXPECT_NEAR(eval("on"), std::log(300.0), 0.5);
}

TEST_F(CompactVocabulary, ResumesBitForBitAndWithTheOtherSetting) {
  train("run", "on");
  resume("run", {"--steps", "8"});
  train("whole", "on");
  EXPECT_NE(resume("whole", {"--steps", "6"}).find(kSaid), std::string::npos);
  resume("whole", {"--steps", "8"});
  EXPECT_EQ(losses("run"), losses("whole"));

  EXPECT_EQ(resume("run", {"--steps", "10", "--compact-vocabulary", "off"})
                .find(kSaid),
            std::string::npos);
  // The setting is kept.
  EXPECT_EQ(resume("run", {"--steps", "11"}).find(kSaid), std::string::npos);
  EXPECT_NE(resume("run", {"--steps", "12", "--compact-vocabulary", "on"})
                .find(kSaid),
            std::string::npos);
  EXPECT_EQ(losses("run").size(), 12U);
}

TEST_F(CompactVocabulary, RefusesOtherWords) {
  expect_refusal({"train", "--out", path("x"), "--compact-vocabulary", "some"},
                 2, "auto, on or off");
}

}  // namespace
}  // namespace aneroid::cli_test
