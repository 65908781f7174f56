// Programs in exact numerics: each op in the engine's arithmetic, whatever
// road the plan takes. numerics/ proves the arithmetic itself.
#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/emulator/test_support.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"
#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/activation.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::emulator {
namespace {

using mil::Builder;
using mil::Var;

// Runs a program of one input and one output.
std::vector<Half> run(const mil::Program& program,
                      const std::vector<Half>& input, int64_t results,
                      const device::WeightMap& weights = {}) {
  cpu::ThreadPool pool(2);
  EmulatorOptions options;
  options.numerics = Numerics::kExact;
  options.pool = &pool;
  auto device = make_emulator(options).value();
  const auto executable =
      device->compile({"test", mil::print(program), weights});
  if (!executable) {
    ADD_FAILURE() << to_string(executable.error());
    return {};
  }
  auto in =
      device->allocate(DataType::kFp16, static_cast<int64_t>(input.size()));
  auto out = device->allocate(DataType::kFp16, results);
  std::copy(input.begin(), input.end(),
            reinterpret_cast<Half*>((*in)->bytes().data()));
  device::Surface* inputs[] = {in->get()};
  device::Surface* outputs[] = {out->get()};
  const auto status = (*executable)->run(inputs, outputs);
  EXPECT_TRUE(status) << to_string(status.error());
  const Half* values = reinterpret_cast<const Half*>((*out)->bytes().data());
  return {values, values + results};
}

std::vector<Half> every_pattern() {
  std::vector<Half> all(65536);
  for (size_t i = 0; i < all.size(); ++i)
    all[i].bits = static_cast<uint16_t>(i);
  return all;
}

std::vector<Half> random_halves(size_t count, double size, uint64_t seed) {
  Random random(seed);
  std::vector<Half> values(count);
  for (Half& value : values) value = to_half_even(size * random.normal());
  return values;
}

TEST(ExactProgram, ReduceSumIsNarrowAndAProductWithOnesIsNot) {
  // 2049 ones: 2050 in fp16, 2049 in the accumulator, which rounds to 2050 as
  // well; so 2049 and then minus 2048, to tell them apart.
  std::vector<Half> values(64 * 2050, to_half_even(1.0));
  for (size_t row = 0; row < 64; ++row) {
    values[row * 2050 + 2049] = to_half_even(-2048.0);
  }
  Builder sums;
  const Var x = sums.input("in", fp16({1, 64, 1, 2050}));
  const auto narrow =
      run(sums.finish({{"out", sums.reduce_sum(x, {-1})}}).value(), values, 64);
  EXPECT_EQ(to_float(narrow[0]), 2.0F);

  Builder products;
  const Var y = products.input("in", fp16({1, 64, 1, 2050}));
  const Var ones = products.constant(
      [] {
        mil::Value value{fp16({1, 1, 2050, 32}), mil::Value::Bytes(2050 * 64)};
        auto& bytes = std::get<mil::Value::Bytes>(value.data);
        for (size_t i = 1; i < bytes.size(); i += 2) bytes[i] = std::byte{0x3C};
        return value;
      }(),
      "ones");
  const auto wide =
      run(products.finish({{"out", products.matmul(y, ones)}}).value(), values,
          64 * 32);
  EXPECT_EQ(to_float(wide[0]), 1.0F);
}

TEST(ExactProgram, MatmulIsTheAccumulators) {
  Builder b;
  const Var in = b.input("in", fp16({1, 1, 96, 64}));
  const Var x = b.slice(in, {0, 0, 0, 0}, {1, 1, 48, 64});
  const Var y = b.slice(in, {0, 0, 48, 0}, {1, 1, 48, 64});
  const auto values = random_halves(96 * 64, 60.0, 3);
  const auto got = run(b.finish({{"out", b.matmul(x, y, false, true)}}).value(),
                       values, 48 * 48);
  size_t infinities = 0;
  for (size_t m = 0; m < 48; ++m) {
    for (size_t n = 0; n < 48; ++n) {
      numerics::Accumulator sum;
      for (size_t k = 0; k < 64; ++k) {
        sum.add(values[m * 64 + k], values[(48 + n) * 64 + k]);
      }
      ASSERT_EQ(got[m * 48 + n], sum.result()) << m << ' ' << n;
      infinities += sum.overflowed() ? 1 : 0;
    }
  }
  EXPECT_GT(infinities, 0U) << "some should overflow";
  EXPECT_LT(infinities, 48U * 48U);
}

TEST(ExactProgram, ConvStartsFromItsBias) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  // Every weight 1, biases that a sum of 64 x 255 can and cannot take.
  mil::Value weight{fp16({32, 64, 1, 1}), mil::Value::Bytes(32 * 64 * 2)};
  auto& ones = std::get<mil::Value::Bytes>(weight.data);
  for (size_t i = 1; i < ones.size(); i += 2) ones[i] = std::byte{0x3C};
  mil::Value bias{fp16({32}), mil::Value::Bytes(64)};
  auto& biases = std::get<mil::Value::Bytes>(bias.data);
  for (size_t i = 0; i < 32; ++i) {
    const uint16_t bits = to_half_even(i % 2 == 0 ? 16384.0 : -16384.0).bits;
    biases[2 * i] = static_cast<std::byte>(bits & 0xFF);
    biases[2 * i + 1] = static_cast<std::byte>(bits >> 8);
  }
  const Var out = b.op("conv", {{"x", in},
                                {"weight", weight},
                                {"bias", bias},
                                {"strides", mil::ints_value({1, 1})},
                                {"pad_type", mil::string_value("valid")},
                                {"pad", mil::ints_value({0, 0, 0, 0})},
                                {"dilations", mil::ints_value({1, 1})},
                                {"groups", mil::int_value(1)}});
  const auto program = b.finish({{"out", out}});
  ASSERT_TRUE(program) << to_string(program.error());
  const std::vector<Half> values(64 * 64, to_half_even(256.0));
  const auto got = run(*program, values, 32 * 64);
  EXPECT_EQ(got[0], (Half{0x7C00})) << "16384 + 64 x 256 is 2^15: too large";
  EXPECT_EQ(to_float(got[64]), 0.0F) << "-16384 + 64 x 256";
}

// 64 products 100 x 100 at a scale of 1/16 are 40,000: more than the
// fixed-point accumulator holds, and nothing to a sum of integers that is
// scaled afterwards.
TEST(ExactProgram, QuantisedConvolutionsSumIntegers) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const auto scale = mil::float_value(DataType::kFp16, 0.25);
  const Var q = b.op("quantize", {{"input", in},
                                  {"scale", scale},
                                  {"output_dtype", mil::string_value("int8")}});
  const Var x = b.op("dequantize", {{"input", q}, {"scale", scale}});
  mil::Value numbers{mil::tensor(DataType::kInt8, {32, 64, 1, 1}),
                     mil::Value::Bytes(32 * 64, std::byte{100})};
  const Var weight =
      b.op("constexpr_affine_dequantize",
           {{"quantized_data", numbers},
            {"scale", scale},
            {"zero_point",
             mil::Value{mil::scalar(DataType::kInt8), mil::Value::Bytes(1)}},
            {"axis", mil::int_value(0)}});
  const Var out = b.op("conv", {{"x", x},
                                {"weight", weight},
                                {"strides", mil::ints_value({1, 1})},
                                {"pad_type", mil::string_value("valid")},
                                {"pad", mil::ints_value({0, 0, 0, 0})},
                                {"dilations", mil::ints_value({1, 1})},
                                {"groups", mil::int_value(1)}});
  const auto program = b.finish({{"out", out}});
  ASSERT_TRUE(program) << to_string(program.error());
  // 24.875 / 0.25 is 99.5, which rounds away from zero.
  std::vector<Half> values(64 * 64, to_half_even(25.0));
  values[1] = to_half_even(24.875);
  values[2] = to_half_even(-300.0);  // limited to -128
  const auto got = run(*program, values, 32 * 64);
  EXPECT_EQ(to_float(got[0]), 40000.0F);
  EXPECT_EQ(to_float(got[1]), 40000.0F);
  EXPECT_EQ(got[2], numerics::encode((630000.0 - 12800.0) / 16));
}

struct UnaryCase {
  const char* op;
  numerics::Function function;
};

TEST(ExactProgram, FunctionsAreTheirTables) {
  for (const UnaryCase& tested :
       {UnaryCase{"sigmoid", numerics::Function::kSigmoid},
        UnaryCase{"tanh", numerics::Function::kTanh},
        UnaryCase{"exp", numerics::Function::kExp},
        UnaryCase{"silu", numerics::Function::kSilu},
        UnaryCase{"sqrt", numerics::Function::kSqrt},
        UnaryCase{"erf", numerics::Function::kErf}}) {
    Builder b;
    const Var in = b.input("in", fp16({1, 256, 1, 256}));
    const auto got =
        run(b.finish({{"out", b.op(tested.op, {{"x", in}})}}).value(),
            every_pattern(), 65536);
    for (size_t i = 0; i < got.size(); ++i) {
      const Half want =
          numerics::activate(tested.function, Half{static_cast<uint16_t>(i)});
      // What infinity stands for is written as infinity again.
      ASSERT_EQ(got[i],
                numerics::encode(static_cast<double>(numerics::decode(want))))
          << tested.op << std::hex << " 0x" << i;
    }
  }
}

TEST(ExactProgram, OpsWithoutAPlanOfTheirOwnUseTablesToo) {
  Builder b;
  const Var in = b.input("in", fp16({1, 256, 1, 256}));
  const Var y = b.op(
      "rsqrt", {{"x", in}, {"epsilon", mil::float_value(DataType::kFp16, 0)}});
  const auto program = b.finish({{"out", y}});
  ASSERT_TRUE(program) << to_string(program.error());
  const auto got = run(*program, every_pattern(), 65536);
  for (size_t i = 1; i < 0x7C00; ++i) {
    ASSERT_EQ(got[i], numerics::activate(numerics::Function::kRsqrt,
                                         Half{static_cast<uint16_t>(i)}));
  }
}

TEST(ExactProgram, ChainsRoundAfterEveryOp) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var y = b.sub(b.add(in, b.fp16(2048.0)), b.fp16(2048.0));
  const auto values = random_halves(64 * 64, 3.0, 4);
  const auto got = run(b.finish({{"out", y}}).value(), values, 64 * 64);
  for (size_t i = 0; i < got.size(); ++i) {
    const Half sum =
        numerics::encode(static_cast<double>(to_float(values[i])) + 2048.0);
    ASSERT_EQ(got[i],
              numerics::encode(static_cast<double>(to_float(sum)) - 2048.0));
  }
}

}  // namespace
}  // namespace aneroid::emulator
