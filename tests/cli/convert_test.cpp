// aneroid convert: there and back, and files that are no models.
#include <cmath>
#include <cstring>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

class Convert : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    model_ = (shared_data() / "models/stories260K.bin").string();
  }
  bool has_model() const { return std::filesystem::exists(model_); }
  std::string model_;
};

TEST_F(Convert, RoundTripsThroughEveryFormat) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  const std::string said =
      expect_good({"convert", model_, path("a.safetensors")});
  EXPECT_NE(said.find("260,032 parameters"), std::string::npos) << said;
  expect_good({"convert", path("a.safetensors"), path("hf")});
  EXPECT_TRUE(std::filesystem::exists(path("hf/config.json")));
  expect_good({"convert", path("hf"), path("b.safetensors")});
  EXPECT_EQ(read(path("a.safetensors")).size(),
            read(path("b.safetensors")).size());
  expect_good({"convert", path("b.safetensors"), path("back.bin")});
  // All but the rotary tables, which follow from the config, is the same.
  const std::string before = read(model_);
  const std::string after = read(path("back.bin"));
  ASSERT_EQ(before.size(), after.size());
  const size_t rotary_tables = size_t{512} * 4 * 2 * 4;
  const size_t weights = before.size() - rotary_tables;
  EXPECT_EQ(before.substr(0, weights), after.substr(0, weights));
}

TEST_F(Convert, TakesTheFormatFromTheFlag) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  expect_good({"convert", model_, path("odd.name"), "--to", "safetensors"});
  expect_good({"convert", model_, path("x.safetensors")});
  EXPECT_EQ(read(path("odd.name")), read(path("x.safetensors")));
  expect_good({"convert", model_, path("x.bin"), "--to", "hf"});
  EXPECT_TRUE(std::filesystem::is_directory(path("x.bin")));
}

TEST_F(Convert, CarriesMomentsBetweenCheckpointFormats) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  const std::string said =
      expect_good({"convert", model_, path("a.bin"), "--to", "blzt"});
  EXPECT_NE(said.find("moments of zero"), std::string::npos) << said;
  expect_good({"convert", path("a.bin"), path("ours.safetensors"), "--to",
               "checkpoint"});
  expect_good(
      {"convert", path("ours.safetensors"), path("b.bin"), "--to", "blzt"});
  EXPECT_EQ(read(path("a.bin")), read(path("b.bin")));
  // Told by its first bytes, wherever a model may be given.
  expect_good({"convert", path("b.bin"), path("back.bin")});
  expect_good({"convert", model_, path("direct.bin")});
  EXPECT_EQ(read(path("back.bin")), read(path("direct.bin")));
}

TEST_F(Convert, FoldsTheScaleOfResiduals) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  expect_good({"convert", model_, path("plain.bin")});
  expect_good({"convert", model_, path("folded.bin"), "--fold-residual-scale"});
  const std::string plain = read(path("plain.bin"));
  const std::string folded = read(path("folded.bin"));
  // Header, embedding, gains, wq, wk and wv of five layers come before wo.
  const size_t before = 28 + 4 * (512 * 64 + 5 * (64 + 64 * 64 + 2 * 32 * 64));
  float was = 0;
  float is = 0;
  std::memcpy(&was, plain.data() + before, sizeof was);
  std::memcpy(&is, folded.data() + before, sizeof is);
  EXPECT_EQ(plain.substr(28, before - 28), folded.substr(28, before - 28));
  EXPECT_FLOAT_EQ(is, was / std::sqrt(10.0F));
}

TEST_F(Convert, RefusesMomentsThatAreNotThere) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  expect_refusal(
      {"convert", model_, path("x.safetensors"), "--to", "checkpoint"}, 3,
      "weights alone");
  expect_refusal(
      {"convert", model_, path("x"), "--to", "blzt", "--fold-residual-scale"},
      2, "formats of weights");
}

TEST_F(Convert, RefusesUnknownFormats) {
  expect_refusal({"convert", "a.bin", "b.onnx"}, 2, "--to safetensors");
  expect_refusal({"convert", "a.bin", "b", "--to", "onnx"}, 2, "onnx");
}

TEST_F(Convert, RefusesFilesThatAreNoModels) {
  const std::string out = path("out.safetensors");
  expect_refusal({"convert", path("missing.bin"), out}, 3, "[file]");
  expect_refusal({"convert", write("empty.bin", ""), out}, 3, "empty.bin");
  expect_refusal({"convert", write("text.bin", std::string(200, 'x')), out}, 3,
                 "text.bin");
  expect_refusal({"convert", write("a.safetensors", ""), out}, 3,
                 "[safetensors]");
  expect_refusal(
      {"convert", write("b.safetensors", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F{}"),
       out},
      3, "[safetensors]");
  expect_refusal({"convert", folder_.string(), out}, 3, "aneroid_cli_");
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(Convert, RefusesTruncatedModels) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  const std::string whole = read(model_);
  for (const size_t size :
       {size_t{3}, size_t{28}, whole.size() / 2, whole.size() - 1}) {
    expect_refusal({"convert", write("cut.bin", whole.substr(0, size)),
                    path("out.safetensors")},
                   3, "[llama2c]");
  }
}

TEST_F(Convert, RefusesATargetThatCannotBeWritten) {
  if (!has_model()) GTEST_SKIP() << "skipped: no shared data";
  expect_refusal({"convert", model_, path("no/such/x.safetensors")}, 3,
                 "cannot write");
  expect_refusal({"convert", model_, write("file", "x") + "/hf", "--to", "hf"},
                 3, "[file]");
}

}  // namespace
}  // namespace aneroid::cli_test
