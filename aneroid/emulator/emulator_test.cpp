#include "aneroid/emulator/emulator.h"

#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/blob/blob.h"
#include "aneroid/emulator/test_support.h"
#include "aneroid/interp/interp.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"

namespace aneroid::emulator {
namespace {

using mil::Builder;
using mil::Var;

std::unique_ptr<device::Device> open(cpu::ThreadPool& pool, Numerics numerics,
                                     EmulatorOptions options = {}) {
  options.numerics = numerics;
  options.pool = &pool;
  return make_emulator(options).value();
}

void write(device::Surface& surface, const std::vector<double>& values) {
  std::byte* bytes = surface.bytes().data();
  for (size_t i = 0; i < values.size(); ++i) {
    if (surface.storage() == DataType::kFp16) {
      reinterpret_cast<Half*>(bytes)[i] = to_half_away(values[i]);
    } else {
      reinterpret_cast<float*>(bytes)[i] = static_cast<float>(values[i]);
    }
  }
}

std::vector<double> read(device::Surface& surface, size_t count) {
  std::vector<double> values(count);
  const std::byte* bytes = surface.bytes().data();
  for (size_t i = 0; i < count; ++i) {
    values[i] = surface.storage() == DataType::kFp16
                    ? to_float(reinterpret_cast<const Half*>(bytes)[i])
                    : reinterpret_cast<const float*>(bytes)[i];
  }
  return values;
}

std::vector<double> random_halves(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<double> values(static_cast<size_t>(count));
  for (double& v : values) v = to_float(to_half_away(random.normal()));
  return values;
}

// Runs the program on the emulator and on the interpreter with the same
// inputs, and compares every output.
void expect_matches_interp(const mil::Program& program, Numerics numerics,
                           double tolerance) {
  cpu::ThreadPool pool(2);
  auto device = open(pool, numerics);
  auto executable = device->compile({"test", mil::print(program), {}});
  ASSERT_TRUE(executable) << to_string(executable.error());
  interp::TensorMap inputs;
  std::vector<std::unique_ptr<device::Surface>> surfaces;
  std::vector<device::Surface*> in;
  std::vector<device::Surface*> out;
  // One size for all ports of a kind (rule C013).
  const auto allocate = [&](const std::vector<device::PortInfo>& ports,
                            std::vector<device::Surface*>& list) {
    int64_t largest = 0;
    for (const auto& port : ports) {
      largest = std::max(largest, *element_count(port.shape));
    }
    for (size_t i = 0; i < ports.size(); ++i) {
      surfaces.push_back(device->allocate(DataType::kFp16, largest).value());
      list.push_back(surfaces.back().get());
    }
  };
  const device::Signature& signature = (*executable)->signature();
  allocate(signature.inputs, in);
  allocate(signature.outputs, out);
  for (size_t i = 0; i < in.size(); ++i) {
    const device::PortInfo& port = signature.inputs[i];
    const auto values = random_halves(*element_count(port.shape), 7 + i);
    write(*in[i], values);
    inputs[port.name] = {port.dtype, port.shape, values};
  }
  interp::Options options;
  options.rounding = numerics == Numerics::kReference ? interp::Rounding::kFp32
                                                      : interp::Rounding::kFp16;
  const auto expected = interp::evaluate(program, inputs, {}, options);
  ASSERT_TRUE(expected) << to_string(expected.error());
  // Twice: a second run must not see anything of the first.
  for (int run = 0; run < 2; ++run) {
    const auto status = (*executable)->run(in, out);
    ASSERT_TRUE(status) << to_string(status.error());
    for (size_t i = 0; i < out.size(); ++i) {
      const interp::HostTensor& want = expected->at(signature.outputs[i].name);
      const auto got = read(*out[i], want.data.size());
      double largest = 1e-30;
      for (const double v : want.data) largest = std::max(largest, fabs(v));
      for (size_t k = 0; k < got.size(); ++k) {
        ASSERT_NEAR(got[k], want.data[k], tolerance * largest)
            << signature.outputs[i].name << "[" << k << "]\n"
            << mil::print(program);
      }
    }
  }
}

class ProgramTest : public testing::TestWithParam<Numerics> {
 protected:
  // fp16 results may differ by a rounding step where sums differ in order; the
  // engine's tables are off by up to a percent.
  double tolerance() const {
    switch (GetParam()) {
      case Numerics::kReference:
        return 2e-6;
      case Numerics::kFast:
        return 2e-3;
      case Numerics::kExact:
        return 1.5e-2;
    }
    return 0;
  }
  void check(Builder& b, const std::vector<mil::Named<Var>>& outputs) {
    const auto program = b.finish(outputs);
    ASSERT_TRUE(program) << to_string(program.error());
    expect_matches_interp(*program, GetParam(), tolerance());
  }
};

TEST_P(ProgramTest, ElementwiseChainWithBroadcasts) {
  Builder b;
  const Var in = b.input("in", fp16({1, 48, 1, 64}));
  const Var gain = b.slice(in, {0, 0, 0, 5}, {1, 48, 1, 1});
  const Var row = b.slice(in, {0, 3, 0, 0}, {1, 1, 1, 64});
  Var v = b.mul(b.add(in, row), gain);
  v = b.sub(b.sigmoid(v), b.fp16(0.25));
  check(b, {{"out", b.mul(v, v)}});
}

TEST_P(ProgramTest, RowSoftmaxWithScaleAndMask) {
  Builder b;
  const Var in = b.input("in", fp16({1, 4, 32, 32}));
  const Var mask = b.slice(in, {0, 1, 0, 0}, {1, 1, 32, 32});
  const Var scores = b.add(b.mul(in, b.fp16(0.5)), mask);
  check(b, {{"out", b.softmax(scores, -1)}});
}

TEST_P(ProgramTest, SoftmaxDownColumns) {
  Builder b;
  const Var in = b.input("in", fp16({1, 40, 1, 32}));
  check(b, {{"out", b.softmax(in, 1)}});
}

TEST_P(ProgramTest, SoftmaxGradientFusesAcrossARowSum) {
  Builder b;
  const Var in = b.input("in", fp16({1, 8, 32, 64}));
  const Var p = b.slice(in, {0, 0, 0, 0}, {1, 8, 32, 32});
  const Var dp = b.slice(in, {0, 0, 0, 32}, {1, 8, 32, 32});
  const Var sum = b.reduce_sum(b.mul(p, dp), {-1});
  const Var ds = b.mul(b.mul(p, b.sub(dp, sum)), b.fp16(0.125));
  check(b, {{"out", ds}});
}

TEST_P(ProgramTest, RmsNormReducesOverChannels) {
  Builder b;
  const Var in = b.input("in", fp16({1, 96, 1, 64}));
  const Var sum = b.reduce_sum(b.mul(in, in), {1});
  const Var mean = b.add(b.mul(sum, b.fp16(1.0 / 96)), b.fp16(1e-3));
  check(b, {{"out", b.mul(in, b.pow(mean, b.fp16(-0.5)))}});
}

TEST_P(ProgramTest, ReductionsOverSeveralAndDroppedAxes) {
  for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"}) {
    for (const std::vector<int64_t>& axes :
         std::vector<std::vector<int64_t>>{{1}, {2, 3}, {1, 3}, {0, 2}, {3}}) {
      for (const bool keep : {true, false}) {
        Builder b;
        const Var in = b.input("in", fp16({2, 3, 32, 32}));
        const Var r = b.op(op, {{"x", in},
                                {"axes", mil::ints_value(axes)},
                                {"keep_dims", mil::bool_value(keep)}});
        check(b, {{"out", b.mul(r, b.fp16(0.5))}});
      }
    }
  }
}

TEST_P(ProgramTest, MatmulWithTransposesAndPackedWeights) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 160}));
  const Var act =
      b.reshape(b.slice(in, {0, 0, 0, 0}, {1, 64, 1, 64}), {1, 1, 64, 64});
  const Var w =
      b.reshape(b.slice(in, {0, 0, 0, 64}, {1, 64, 1, 96}), {1, 1, 64, 96});
  const Var y = b.matmul(w, act, true, false);  // [1, 1, 96, 64]
  const Var z = b.matmul(act, w, true, false);  // [1, 1, 64, 96]
  check(b, {{"out_a", b.reshape(y, {1, 96, 1, 64})},
            {"out_b", b.transpose(z, {0, 1, 3, 2})}});
}

TEST_P(ProgramTest, GroupedAttentionThroughReshapes) {
  // Two key/value heads, four query heads, head size 16, 32 positions.
  Builder b;
  const Var in = b.input("in", fp16({1, 128, 1, 32}));
  const Var q = b.slice(in, {0, 0, 0, 0}, {1, 64, 1, 32});
  const Var k = b.slice(in, {0, 64, 0, 0}, {1, 32, 1, 32});
  const Var v = b.slice(in, {0, 96, 0, 0}, {1, 32, 1, 32});
  const Var qh = b.reshape(
      b.transpose(b.reshape(q, {1, 4, 16, 32}), {0, 1, 3, 2}), {1, 2, 64, 16});
  const Var kh = b.reshape(k, {1, 2, 16, 32});
  const Var vh = b.reshape(v, {1, 2, 16, 32});
  const Var scores = b.reshape(b.matmul(qh, kh), {1, 4, 32, 32});
  const Var p = b.softmax(b.mul(scores, b.fp16(0.25)), -1);
  const Var a = b.matmul(b.reshape(p, {1, 2, 64, 32}), vh, false, true);
  const Var heads = b.transpose(b.reshape(a, {1, 4, 32, 16}), {0, 1, 3, 2});
  check(b, {{"out", b.concat({b.reshape(heads, {1, 64, 1, 32}), q}, 1)}});
}

TEST_P(ProgramTest, RotationThroughInterleavedConcat) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 32}));
  const Var pairs = b.reshape(in, {1, 32, 2, 32});
  const Var even = b.slice(pairs, {0, 0, 0, 0}, {1, 32, 1, 32});
  const Var odd = b.slice(pairs, {0, 0, 1, 0}, {1, 32, 1, 32});
  const Var first = b.sub(b.mul(even, b.fp16(0.6)), b.mul(odd, b.fp16(0.8)));
  const Var second = b.add(b.mul(even, b.fp16(0.8)), b.mul(odd, b.fp16(0.6)));
  const Var turned = b.reshape(b.concat({first, second}, 2), {1, 64, 1, 32});
  check(b, {{"out", b.concat({turned, b.mul(turned, turned), in}, 1)}});
}

TEST_P(ProgramTest, OneValueInTwoPlaces) {
  Builder b;
  const Var in = b.input("in", fp16({1, 32, 1, 32}));
  const Var v = b.add(in, in);
  const Var twice = b.concat({v, v}, 1);
  check(b, {{"out_a", twice},
            {"out_b", b.mul(v, b.fp16(2))},
            {"out_c", b.slice(twice, {0, 16, 0, 0}, {1, 32, 1, 32})}});
}

TEST_P(ProgramTest, SplitAndInterpretedOps) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 32}));
  const auto parts = b.op_n("split", {{"x", in},
                                      {"num_splits", mil::int_value(2)},
                                      {"axis", mil::int_value(1)}});
  const Var tiled =
      b.op("tile", {{"x", parts[1]}, {"reps", mil::ints_value({1, 2, 1, 1})}});
  const Var sum = b.add(tiled, in);
  check(b, {{"out", b.op("exp", {{"x", b.mul(sum, b.fp16(0.1))}})}});
}

TEST_P(ProgramTest, ConvolutionsOfSeveralKinds) {
  struct Case {
    int64_t groups, kernel, stride;
    bool bias;
  };
  for (const Case& c :
       {Case{1, 1, 1, false}, Case{1, 3, 1, false}, Case{2, 3, 2, true},
        Case{1, 1, 1, true}, Case{4, 1, 1, false}}) {
    Builder b;
    const Var in = b.input("in", fp16({1, 8, 16, 32}));
    const int64_t depth = 8 / c.groups;
    const auto weights = random_halves(12 * depth * c.kernel * c.kernel, 3);
    mil::Value w{fp16({12, depth, c.kernel, c.kernel}), mil::Value::Bytes{}};
    auto& bytes = std::get<mil::Value::Bytes>(w.data);
    for (const double v : weights) {
      const Half half = to_half_away(v);
      const auto* p = reinterpret_cast<const std::byte*>(&half);
      bytes.insert(bytes.end(), p, p + 2);
    }
    std::vector<mil::Named<Builder::Input>> inputs = {
        {"x", in},
        {"weight", b.constant(w, "w")},
        {"pad_type", mil::string_value("custom")},
        {"pad", mil::ints_value(
                    {c.kernel / 2, c.kernel / 2, c.kernel / 2, c.kernel / 2})},
        {"strides", mil::ints_value({c.stride, c.stride})},
        {"dilations", mil::ints_value({1, 1})},
        {"groups", mil::int_value(static_cast<int32_t>(c.groups))}};
    if (c.bias) {
      mil::Value bias{fp16({12}), mil::Value::Bytes{}};
      auto& bias_bytes = std::get<mil::Value::Bytes>(bias.data);
      bias_bytes.assign(bytes.begin(), bytes.begin() + 24);
      inputs.push_back({"bias", b.constant(bias, "bias")});
    }
    check(b, {{"out", b.op("conv", inputs)}});
  }
}

INSTANTIATE_TEST_SUITE_P(AllNumerics, ProgramTest,
                         testing::Values(Numerics::kReference, Numerics::kFast,
                                         Numerics::kExact),
                         [](const auto& tested) {
                           return std::string(name(tested.param));
                         });

mil::Program small_program() {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  return b.finish({{"out", b.mul(in, in)}}).value();
}

TEST(EmulatorTest, CompileBudgetC090) {
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast, {.compile_budget = 2});
  const std::string text = mil::print(small_program());
  EXPECT_TRUE(device->compile({"a", text, {}}));
  EXPECT_TRUE(device->compile({"b", text, {}}));
  const auto third = device->compile({"c", text, {}});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().label, "C090");
  EXPECT_EQ(third.error().kind, ErrorKind::kDevice);
  EXPECT_EQ(device->compiled(), 2);
}

TEST(EmulatorTest, PortsAreAlphabeticalC002) {
  Builder b;
  const Var second = b.input("b_in", fp16({1, 64, 1, 64}));
  const Var first = b.input("a_in", fp16({1, 64, 1, 64}));
  const auto program = b.finish(
      {{"z_out", b.add(first, second)}, {"a_out", b.sub(first, second)}});
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  const auto executable = device->compile({"ports", mil::print(*program), {}});
  ASSERT_TRUE(executable) << to_string(executable.error());
  EXPECT_EQ((*executable)->signature().inputs[0].name, "a_in");
  EXPECT_EQ((*executable)->signature().outputs[0].name, "a_out");
}

TEST(EmulatorTest, UnequalInputSurfacesC013) {
  Builder b;
  const Var first = b.input("a_in", fp16({1, 64, 1, 64}));
  const Var second = b.input("b_in", fp16({1, 64, 1, 32}));
  const Var cut = b.slice(first, {0, 0, 0, 0}, {1, 64, 1, 32});
  const auto program = b.finish({{"out", b.add(cut, second)}});
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  auto executable = device->compile({"sizes", mil::print(*program), {}});
  ASSERT_TRUE(executable);
  auto big = device->allocate(DataType::kFp16, 64 * 64).value();
  auto small = device->allocate(DataType::kFp16, 64 * 32).value();
  auto other = device->allocate(DataType::kFp16, 64 * 64).value();
  auto out = device->allocate(DataType::kFp16, 64 * 32).value();
  device::Surface* outputs[] = {out.get()};
  device::Surface* unequal[] = {big.get(), small.get()};
  const auto status = (*executable)->run(unequal, outputs);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().label, "C013");
  device::Surface* equal[] = {big.get(), other.get()};
  EXPECT_TRUE((*executable)->run(equal, outputs));
}

TEST(EmulatorTest, SurfacesTooSmallOrTooFewAreRefused) {
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  auto executable = device->compile({"small", mil::print(small_program()), {}});
  ASSERT_TRUE(executable);
  auto small = device->allocate(DataType::kFp16, 64).value();
  auto good = device->allocate(DataType::kFp16, 64 * 64).value();
  device::Surface* in[] = {small.get()};
  device::Surface* out[] = {good.get()};
  const auto status = (*executable)->run(in, out);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().label, "emulator.ports");
  EXPECT_FALSE((*executable)->run({}, out));
  EXPECT_FALSE(device->allocate(DataType::kFp16, int64_t{1} << 60));
  EXPECT_FALSE(device->allocate(DataType::kFp16, -1));
  EXPECT_FALSE(device->allocate(DataType::kString, 4));
}

TEST(EmulatorTest, BadTextAndMissingWeightsAreValues) {
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  EXPECT_FALSE(device->compile({"bad", "program(1.3) {", {}}));
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var w = b.weight("w", fp16({1, 64, 1, 1}), "@model_path/w.bin");
  const auto program = b.finish({{"out", b.mul(in, w)}});
  EXPECT_FALSE(device->compile({"none", mil::print(*program), {}}));
  const std::vector<std::byte> short_file(100);
  EXPECT_FALSE(device->compile(
      {"short", mil::print(*program), {{"@model_path/w.bin", short_file}}}));
}

// Weights are those of the moment of compilation: a changed file has no effect.
TEST(EmulatorTest, WeightsAreFrozenAtCompileC082) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var w = b.weight("w", fp16({1, 64, 1, 1}), "@model_path/w.bin");
  const std::string text =
      mil::print(b.finish({{"out", b.mul(in, w)}}).value());
  blob::Writer weights;
  const std::vector<Half> twos(64, to_half_even(2.0));
  ASSERT_TRUE(weights.append(DataType::kFp16, std::as_bytes(std::span(twos))));
  std::vector<std::byte> file = weights.finish();
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  EXPECT_FALSE(device->info().can_reload_weights);
  auto executable =
      device->compile({"frozen", text, {{"@model_path/w.bin", file}}});
  ASSERT_TRUE(executable) << to_string(executable.error());
  std::fill(file.end() - 128, file.end(), std::byte{0});
  auto x = device->allocate(DataType::kFp16, 64 * 64).value();
  auto y = device->allocate(DataType::kFp16, 64 * 64).value();
  write(*x, std::vector<double>(64 * 64, 3.0));
  device::Surface* inputs[] = {x.get()};
  device::Surface* outputs[] = {y.get()};
  ASSERT_TRUE((*executable)->run(inputs, outputs));
  EXPECT_EQ(read(*y, 1)[0], 6.0);
}

// A record that lies about its data is read as garbage by the chip; here it is
// refused, with the numbers.
TEST(EmulatorTest, RecordsMustDescribeTheirDataC011) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var w = b.weight("w", fp16({1, 64, 1, 1}), "@model_path/w.bin");
  const std::string text =
      mil::print(b.finish({{"out", b.mul(in, w)}}).value());
  const auto file_with = [](int64_t values) {
    blob::Writer weights;
    const std::vector<Half> ones(static_cast<size_t>(values), to_half_even(1));
    EXPECT_TRUE(
        weights.append(DataType::kFp16, std::as_bytes(std::span(ones))));
    return weights.finish();
  };
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  const std::vector<std::byte> good = file_with(64);
  EXPECT_TRUE(device->compile({"good", text, {{"@model_path/w.bin", good}}}));
  const std::vector<std::byte> small = file_with(32);
  const auto refused =
      device->compile({"small", text, {{"@model_path/w.bin", small}}});
  ASSERT_FALSE(refused);
  EXPECT_NE(to_string(refused.error()).find("holds 64 bytes"),
            std::string::npos)
      << to_string(refused.error());
  std::vector<std::byte> lying = good;
  lying[64 + 16] = std::byte{0xFF};  // where the data are said to begin
  const auto elsewhere =
      device->compile({"lying", text, {{"@model_path/w.bin", lying}}});
  ASSERT_FALSE(elsewhere);
  EXPECT_NE(to_string(elsewhere.error()).find("255"), std::string::npos)
      << to_string(elsewhere.error());
}

TEST(EmulatorTest, ConcatOfComputedPartsNeedsNoCopy) {
  Builder b;
  const Var in = b.input("in", fp16({1, 64, 1, 64}));
  const Var s = b.sigmoid(in);
  const Var m = b.mul(s, in);
  const auto program = b.finish({{"out", b.concat({s, m}, 1)}});
  cpu::ThreadPool pool(1);
  auto device = open(pool, Numerics::kFast);
  const auto executable = device->compile({"concat", mil::print(*program), {}});
  ASSERT_TRUE(executable);
  const Plan* plan = plan_of(**executable);
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plan->steps.size(), 1U);  // both parts in one pass
  EXPECT_EQ(plan->arena_bytes, 0U);
}

}  // namespace
}  // namespace aneroid::emulator
