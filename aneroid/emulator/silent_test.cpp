// Documented silent faults: refused by default, computed on request.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/emulator/test_support.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"

namespace aneroid::emulator {
namespace {

using mil::Builder;
using mil::Var;

class SilentTest : public testing::Test {
 protected:
  std::unique_ptr<device::Device> open(const std::string& chip, bool faithful,
                                       Numerics numerics = Numerics::kFast) {
    EmulatorOptions options;
    options.chip = chip;
    options.numerics = numerics;
    options.strict = strict_;
    options.faithful_silent = faithful;
    options.pool = &pool_;
    return make_emulator(options).value();
  }

  // The refusal, which must say what the chip would do.
  void expect_refused(const std::string& chip, const mil::Program& program,
                      const std::string& rule) {
    const auto refused =
        open(chip, false)->compile({"test", mil::print(program), {}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().label, rule) << to_string(refused.error());
    EXPECT_NE(to_string(refused.error()).find("the chip would silently"),
              std::string::npos)
        << to_string(refused.error());
  }

  // One input, one output.
  std::vector<float> run(const std::string& chip, const mil::Program& program,
                         const std::vector<float>& input, int64_t results,
                         Numerics numerics = Numerics::kFast) {
    auto device = open(chip, true, numerics);
    const auto executable = device->compile({"test", mil::print(program), {}});
    if (!executable) {
      ADD_FAILURE() << to_string(executable.error());
      return std::vector<float>(static_cast<size_t>(results));
    }
    auto in =
        device->allocate(DataType::kFp16, static_cast<int64_t>(input.size()));
    auto out = device->allocate(DataType::kFp16, results);
    auto* to = reinterpret_cast<Half*>((*in)->bytes().data());
    for (const float value : input) {
      *to++ = to_half_even(static_cast<double>(value));
    }
    device::Surface* inputs[] = {in->get()};
    device::Surface* outputs[] = {out->get()};
    const auto status = (*executable)->run(inputs, outputs);
    EXPECT_TRUE(status) << to_string(status.error());
    const auto* from = reinterpret_cast<const Half*>((*out)->bytes().data());
    std::vector<float> values;
    for (int64_t i = 0; i < results; ++i) values.push_back(to_float(from[i]));
    return values;
  }

  static std::vector<float> random_values(size_t count) {
    Random random(9);
    std::vector<float> values(count);
    for (float& value : values) {
      value = static_cast<float>(0.5 + random.uniform());
    }
    return values;
  }

  bool strict_ = false;  // for contested rules
  cpu::ThreadPool pool_{2};
};

TEST_F(SilentTest, AttentionForgetsItsMaskC060) {
  const auto program = [](bool masked) {
    Builder b;
    const Var in = b.input("in", fp16({1, 4, 64, 32}));
    const Var mask = b.slice(in, {0, 0, 0, 0}, {1, 1, 64, 32});
    const Var scores = b.matmul(mask, mask, false, true);  // [1, 1, 64, 64]
    std::vector<mil::Named<Builder::Input>> inputs = {
        {"query", in}, {"key", in}, {"value", in}};
    if (masked) inputs.emplace_back("attn_mask", scores);
    const Var y = b.op("scaled_dot_product_attention", inputs);
    return b.finish({{"out", y}}).value();
  };
  expect_refused("m4", program(true), "C060");
  const auto values = random_values(4 * 64 * 32);
  EXPECT_EQ(run("m4", program(true), values, 4 * 64 * 32),
            run("m4", program(false), values, 4 * 64 * 32));
}

TEST_F(SilentTest, OddContractionsGiveZerosC020) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 48}));
  const Var product = b.matmul(in, in, false, true);
  const auto program = b.finish({{"out", b.add(product, b.fp16(3.0))}}).value();
  expect_refused("m1", program, "C020");
  for (const Numerics numerics : {Numerics::kFast, Numerics::kExact}) {
    const auto got =
        run("m1", program, random_values(64 * 48), 64 * 64, numerics);
    EXPECT_EQ(got, std::vector<float>(64 * 64, 3.0F))
        << "zeros, and what comes after them";
  }
}

TEST_F(SilentTest, AFusedSquareRootTurnsTheRatioOverC053) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var root = b.op("sqrt", {{"x", in}});
  const Var ratio = b.op("real_div", {{"x", in}, {"y", root}});
  const auto program = b.finish({{"out", ratio}}).value();
  expect_refused("m1", program, "C053");
  const auto values = random_values(64 * 64);
  const auto got = run("m1", program, values, 64 * 64);
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], 1.0F / std::sqrt(values[i]), 3e-3F);
  }
}

TEST_F(SilentTest, ABroadcastSquareRootKeepsOneChannelC053) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var column = b.slice(in, {0, 0, 0, 0}, {1, 64, 1, 1});
  const Var root = b.op("sqrt", {{"x", column}});
  const auto program = b.finish({{"out", b.mul(in, root)}}).value();
  expect_refused("m1", program, "C053");
  const auto values = random_values(64 * 64);
  const auto got = run("m1", program, values, 64 * 64);
  for (size_t i = 0; i < got.size(); ++i) {
    const float want = i < 64 ? values[i] * std::sqrt(values[0]) : 0.0F;
    ASSERT_NEAR(got[i], want, 3e-3F) << i;
  }
}

TEST_F(SilentTest, SlicesInsideTheWidthOverflowAtASixteenthN15) {
  strict_ = true;
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var part = b.slice(in, {0, 0, 0, 32}, {1, 64, 1, 32});
  const auto program = b.finish({{"out", b.mul(part, b.fp16(0.5))}}).value();
  expect_refused("m2", program, "N15");
  std::vector<float> values(64 * 64, 4094.0F);
  values[33] = 4096.0F;
  values[34] = -5000.0F;
  const auto got = run("m2", program, values, 64 * 32);
  EXPECT_EQ(got[0], 2047.0F);
  EXPECT_EQ(got[1], std::numeric_limits<float>::infinity());
  EXPECT_EQ(got[2], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(run("m2", program, values, 64 * 32, Numerics::kExact)[1], 32768.0F)
      << "infinity reads as 65536";
}

// Inputs must ascend in size on M1, or the outputs are zero.
TEST_F(SilentTest, DescendingInputSurfacesGiveZerosC014) {
  strict_ = true;
  Builder b;
  const Var large = b.input("a_in", fp16({1, 64, 64}));
  const Var small = b.input("b_in", fp16({1, 64, 32}));
  const std::string text = mil::print(
      b.finish({{"a_out", b.sigmoid(large)}, {"b_out", b.sigmoid(small)}})
          .value());
  const auto run_with = [&](bool faithful, int64_t first_size) {
    auto device = open("m1", faithful);
    const auto executable = device->compile({"test", text, {}});
    EXPECT_TRUE(executable) << to_string(executable.error());
    auto first = device->allocate(DataType::kFp16, first_size).value();
    auto second = device->allocate(DataType::kFp16, 64 * 64).value();
    auto out = device->allocate(DataType::kFp16, 64 * 64).value();
    auto other = device->allocate(DataType::kFp16, 64 * 64).value();
    device::Surface* inputs[] = {first.get(), second.get()};
    device::Surface* outputs[] = {out.get(), other.get()};
    const Status status = (*executable)->run(inputs, outputs);
    if (!status) return to_string(status.error());
    const Half value = reinterpret_cast<const Half*>(out->bytes().data())[0];
    return std::to_string(to_float(value));
  };
  EXPECT_EQ(run_with(true, 64 * 64), "0.500000");
  EXPECT_EQ(run_with(true, 64 * 128), "0.000000");
  EXPECT_NE(run_with(false, 64 * 128).find("C014"), std::string::npos);
}

}  // namespace
}  // namespace aneroid::emulator
