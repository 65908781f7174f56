#include "aneroid/target/timing.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "aneroid/mil/text.h"
#include "aneroid/target/chips_file.h"

namespace aneroid::target {
namespace {

Chip chip(std::string_view id) { return find_chip(id).value(); }

Work conv(int64_t in, int64_t out, int64_t pixels, int64_t kernel = 1) {
  Work work;
  work.op = "conv";
  work.in_channels = in;
  work.out_channels = out;
  work.in_pixels = work.out_pixels = pixels;
  work.kernel_height = work.kernel_width = kernel;
  return work;
}

Work element(double elements, int operands) {
  Work work;
  work.op = "add";
  work.unit = Unit::kElementwise;
  work.elements = elements;
  work.operands = operands;
  return work;
}

OpTime time(const Work& work, std::string_view id, int engines = 1) {
  return op_time(work, timing_parameters(chip(id)).value(), engines);
}

// ---- The figures published for whole programs -------------------------------

TEST(Timing, PredictsThePublishedPeakOfM4) {
  // 128 layers of 512 channels over 64x64 take 14.8 ms: 18.6 TFLOPS.
  std::vector<Work> chain(128, conv(512, 512, 4096));
  for (Work& work : chain) work.weights = Weights::kShared;
  const auto fp16 = predict(chain, chip("m4"));
  ASSERT_TRUE(fp16);
  EXPECT_NEAR(fp16->microseconds, 14800, 600);
  for (Work& work : chain) {
    work.weight_bits = 8;
    work.int8_activations = true;
  }
  EXPECT_NEAR(predict(chain, chip("m4"))->microseconds, 7800, 500);
}

TEST(Timing, PredictsAStreamedProductOfM5Pro) {
  // 4096 x 4096 times a vector through e5rt takes 293 us at best.
  const std::vector<Work> product = {conv(4096, 4096, 1)};
  TimingOptions options;
  options.path = Path::kE5;
  options.typical = false;
  options.io_bytes = 16384;
  EXPECT_NEAR(predict(product, chip("m5-pro"), options)->microseconds, 293, 15);
}

// ---- What bounds an op -----------------------------------------------------

TEST(Timing, NamesWhatBoundsAnOp) {
  EXPECT_EQ(time(conv(512, 512, 4096), "m4").bound, "compute");
  EXPECT_EQ(time(conv(2048, 2048, 32), "m4").bound, "weights");
  EXPECT_EQ(time(conv(16, 16, 65536), "m4").bound, "activations");
  EXPECT_EQ(time(element(1e6, 2), "m4").bound, "elementwise");
}

TEST(Timing, KeepsSharedWeightsThatFit) {
  Work small = conv(512, 512, 32);
  Work large = conv(2048, 2048, 32);
  const double streamed = time(small, "m6").microseconds;
  const double large_streamed = time(large, "m6").microseconds;
  small.weights = large.weights = Weights::kShared;
  EXPECT_LT(time(small, "m6").microseconds, streamed / 2);
  EXPECT_DOUBLE_EQ(time(large, "m6").microseconds, large_streamed);
}

TEST(Timing, ReadsLargeWeightsAgainForEachPassOfActivations) {
  // The same product both ways round: 2048 input channels take more passes.
  const double wide = time(conv(2048, 768, 4096), "m3-pro").microseconds;
  const double narrow = time(conv(768, 2048, 4096), "m3-pro").microseconds;
  EXPECT_GT(wide, 1.3 * narrow);
}

TEST(Timing, StreamsCompressedWeightsFaster) {
  Work work = conv(2048, 2048, 32);
  const double dense = time(work, "m6").microseconds;
  work.weight_bits = 4;
  work.palette = true;
  EXPECT_NEAR(time(work, "m6").microseconds, 16.8, 2);
  EXPECT_LT(time(work, "m6").microseconds, dense / 2);
  Work sparse = conv(2048, 2048, 32);
  sparse.density = 0.5;
  EXPECT_NEAR(stored_weight_bytes(sparse), 4.72e6, 2e4);  // values and mask
  EXPECT_NEAR(time(sparse, "m6").microseconds, 31.3, 2);
}

TEST(Timing, KnowsWinogradAndWhatRulesItOut) {
  const double direct = time(conv(512, 512, 4096, 5), "m4").microseconds / 25;
  Work work = conv(512, 512, 4096, 3);
  EXPECT_NEAR(time(work, "m4").microseconds / 9, direct / 1.5, direct / 20);
  for (auto change :
       {+[](Work& w) { w.dilation = 2; }, +[](Work& w) { w.stride = 2; },
        +[](Work& w) { w.density = 0.99; }}) {
    Work other = work;
    change(other);
    EXPECT_GT(time(other, "m4").microseconds, time(work, "m4").microseconds);
  }
}

TEST(Timing, ReadsWideKernelsTwice) {
  Work eight = conv(256, 256, 128);
  eight.kernel_width = 8;
  Work nine = eight;
  nine.kernel_width = 9;
  EXPECT_GT(time(nine, "m6").microseconds,
            1.9 * time(eight, "m6").microseconds);
}

TEST(Timing, SharesRowsBetweenTwoEngines) {
  const Work large = conv(512, 512, 4096);
  EXPECT_NEAR(
      time(large, "m6", 1).microseconds / time(large, "m6", 2).microseconds,
      1.9, 0.15);
  EXPECT_EQ(engines_for(large, chip("m6")), 2);
  EXPECT_EQ(engines_for(conv(512, 512, 128), chip("m6")), 1);
  EXPECT_EQ(engines_for(large, chip("m4")), 1);
}

TEST(Timing, NeverGoesDownWithMoreWork) {
  for (const Chip& one : chips()) {
    if (!timing_parameters(one)) continue;
    double last = 0;
    for (int64_t pixels = 1; pixels < 1 << 16; pixels *= 4) {
      const std::vector<Work> works = {conv(256, 256, pixels)};
      const double now = predict(works, one)->microseconds;
      // A second engine may help.
      EXPECT_GE(now, one.engines > 1 ? 0.5 * last : last) << one.id;
      EXPECT_TRUE(std::isfinite(now));
      last = now;
    }
  }
}

// ---- Calls -----------------------------------------------------------------

TEST(Timing, AddsUpToTheCall) {
  const std::vector<Work> works = {conv(512, 512, 256), element(131072, 2)};
  TimingOptions options;
  options.io_bytes = 524288;
  const Prediction call = predict(works, chip("m4"), options).value();
  EXPECT_DOUBLE_EQ(
      call.microseconds,
      call.task_microseconds + call.host_microseconds + call.io_microseconds);
  ASSERT_EQ(call.ops.size(), 2U);
  EXPECT_GT(call.task_microseconds,
            call.ops[0].microseconds + call.ops[1].microseconds);
  options.caller_copies = true;
  EXPECT_GT(predict(works, chip("m4"), options)->microseconds,
            call.microseconds);
  options.typical = false;
  EXPECT_LT(predict(works, chip("m4"), options)->host_microseconds,
            call.host_microseconds);
}

TEST(Timing, GivesEnergyWherePowerIsKnown) {
  const std::vector<Work> works(64, conv(512, 512, 4096));
  const Prediction m4 = predict(works, chip("m4")).value();
  ASSERT_TRUE(m4.energy_mj);
  double busy = 0;
  for (const OpTime& op : m4.ops) busy += op.microseconds;
  EXPECT_NEAR(*m4.energy_mj, 4.57 * busy / 1e3, 1e-6);
  EXPECT_FALSE(predict(works, chip("m2"))->energy_mj);
}

TEST(Timing, SaysHowGoodItIs) {
  const std::vector<Work> works = {conv(512, 512, 4096)};
  const Basis basis = predict(works, chip("m4"))->basis;
  EXPECT_EQ(basis.timing_class, "m4");
  EXPECT_EQ(basis.kind, "conv");
  EXPECT_NE(to_string(basis).find("model error: median"), std::string::npos);
  EXPECT_EQ(to_string(predict(works, chip("m2"))->basis), "no basis");
  const auto closed = predict(works, chip("a11"));
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().kind, ErrorKind::kAnswerNo);
}

TEST(Timing, MeetsItsPromises) {
  for (const Basis& basis : scores()) {
    if (basis.kind != "all") continue;
    if (basis.timing_class == "m6" || basis.timing_class == "m5") {
      EXPECT_LE(basis.median, std::log(1.08)) << basis.timing_class;
      EXPECT_LE(basis.p90, std::log(1.30)) << basis.timing_class;
    } else if (basis.timing_class == "m4") {
      EXPECT_LE(basis.median, std::log(1.15));
    }
  }
}

// ---- Programs --------------------------------------------------------------

mil::Program parsed(std::string_view body, std::string_view inputs,
                    std::string_view output) {
  const std::string text = "program(1.3)\n{\n    func main<ios18>(" +
                           std::string(inputs) + ") {\n" + std::string(body) +
                           "    } -> (" + std::string(output) + ");\n}\n";
  auto program = mil::parse(text);
  EXPECT_TRUE(program) << to_string(program.error());
  return program ? *program : mil::Program{};
}

TEST(ProgramWork, ReadsConvolutionsAndTheirWeights) {
  const mil::Program program = parsed(
      "string p = const()[name = string(\"p\"), val = string(\"same\")];\n"
      "tensor<int32, [2]> s = const()[name = string(\"s\"), val = "
      "tensor<int32, [2]>([2, 2])];\n"
      "tensor<int32, [4]> d = const()[name = string(\"d\"), val = "
      "tensor<int32, [4]>([0, 0, 0, 0])];\n"
      "tensor<int32, [2]> l = const()[name = string(\"l\"), val = "
      "tensor<int32, [2]>([1, 1])];\n"
      "int32 g = const()[name = string(\"g\"), val = int32(2)];\n"
      "tensor<fp16, [64, 16, 3, 3]> w = const()[name = string(\"w\"), val = "
      "tensor<fp16, [64, 16, 3, 3]>(BLOBFILE(path = "
      "string(\"w.bin\"), offset = uint64(64)))];\n"
      "tensor<fp16, [1, 64, 8, 16]> y = conv(dilations = l, groups = g, pad = "
      "d, pad_type = p, strides = s, weight = w, x = x)[name = "
      "string(\"y\")];\n"
      "tensor<fp16, [1, 64, 8, 16]> z = relu(x = y)[name = string(\"z\")];\n",
      "tensor<fp16, [1, 32, 16, 32]> x", "z");
  const ProgramWork work = program_work(program);
  ASSERT_EQ(work.works.size(), 2U);
  const Work& conv = work.works[0];
  EXPECT_EQ(conv.unit, Unit::kArray);
  EXPECT_EQ(conv.in_channels, 32);
  EXPECT_EQ(conv.out_channels, 64);
  EXPECT_EQ(conv.out_pixels, 128);
  EXPECT_EQ(conv.kernel_height, 3);
  EXPECT_EQ(conv.kernel_width, 3);
  EXPECT_EQ(conv.groups, 2);
  EXPECT_EQ(conv.stride, 2);
  EXPECT_EQ(conv.weights, Weights::kStreamed);
  EXPECT_DOUBLE_EQ(multiplications(conv), 16.0 * 64 * 9 * 128);
  EXPECT_EQ(work.works[1].unit, Unit::kNone) << "fused into the convolution";
  EXPECT_DOUBLE_EQ(work.io_bytes, 2.0 * (32 * 512 + 64 * 128));
  const auto prediction = predict(program, chip("m4"));
  ASSERT_TRUE(prediction);
  EXPECT_EQ(prediction->ops[0].op, "y");
}

TEST(ProgramWork, ReadsRuntimeProductsAndElementwiseOps) {
  const mil::Program program = parsed(
      "bool f = const()[name = string(\"f\"), val = bool(false)];\n"
      "tensor<fp16, [4, 32, 16]> m = matmul(transpose_x = f, transpose_y = f, "
      "x = a, y = b)[name = string(\"m\")];\n"
      "int32 ax = const()[name = string(\"ax\"), val = int32(-1)];\n"
      "tensor<fp16, [4, 32, 16]> s = softmax(axis = ax, x = m)[name = "
      "string(\"s\")];\n"
      "tensor<fp16, [4, 32, 16]> t = add(x = s, y = m)[name = "
      "string(\"t\")];\n",
      "tensor<fp16, [4, 32, 64]> a, tensor<fp16, [4, 64, 16]> b", "t");
  const ProgramWork work = program_work(program);
  ASSERT_EQ(work.works.size(), 3U);
  EXPECT_EQ(work.works[0].weights, Weights::kRuntime);
  EXPECT_EQ(work.works[0].batch, 4);
  EXPECT_DOUBLE_EQ(multiplications(work.works[0]), 4.0 * 32 * 64 * 16);
  EXPECT_EQ(work.works[1].operands, 4);
  EXPECT_EQ(work.works[2].operands, 2);
  EXPECT_EQ(work.works[2].unit, Unit::kElementwise);
}

TEST(ProgramWork, ReductionsCostWhatTheyRead) {
  const mil::Program program = parsed(
      "tensor<int32, [1]> ax = const()[name = string(\"ax\"), val = "
      "tensor<int32, [1]>([1])];\n"
      "bool k = const()[name = string(\"k\"), val = bool(true)];\n"
      "tensor<fp16, [1, 1, 1, 64]> s = reduce_sum(axes = ax, keep_dims = k, x "
      "= x)[name = string(\"s\")];\n"
      "tensor<fp16, [1, 1, 64, 1]> r = reshape(shape = sh, x = s)[name = "
      "string(\"r\")];\n",
      "tensor<fp16, [1, 128, 1, 64]> x, tensor<int32, [4]> sh", "r");
  const ProgramWork work = program_work(program);
  ASSERT_EQ(work.works.size(), 2U);
  EXPECT_DOUBLE_EQ(work.works[0].elements, 128.0 * 64);
  EXPECT_EQ(work.works[1].unit, Unit::kNone);
}

// A constant weight of 256 x 256, and a 1x1 convolution of `x` by it.
std::string weight(const std::string& name) {
  const std::string type = "tensor<fp16, [256, 256, 1, 1]>";
  return type + " " + name + " = const()[name = string(\"" + name +
         "\"), val = " + type + "(BLOBFILE(path = string(\"" + name +
         ".bin\"), offset = uint64(64)))];\n";
}
std::string op(const std::string& name, const std::string& call) {
  return "tensor<fp16, [1, 256, 1, 32]> " + name + " = " + call +
         "[name = string(\"" + name + "\")];\n";
}
std::string conv_of(const std::string& name, const std::string& x,
                    const std::string& weight) {
  return op(name, "conv(weight = " + weight + ", x = " + x + ")");
}

TEST(ProgramWork, SharesWeightsOfArrayOpsInARow) {
  const std::string input = "tensor<fp16, [1, 256, 1, 32]> x";
  const std::string constants = weight("w") + weight("v");
  const auto weights_of = [&](const std::string& body) {
    std::vector<Weights> weights;
    for (const Work& work :
         program_work(parsed(constants + body, input, "c")).works) {
      if (work.unit == Unit::kArray) weights.push_back(work.weights);
    }
    return weights;
  };
  using List = std::vector<Weights>;
  constexpr Weights kStreamed = Weights::kStreamed;
  constexpr Weights kShared = Weights::kShared;
  const std::string first = conv_of("a", "x", "w");
  EXPECT_EQ(weights_of(first + conv_of("b", "a", "w") + conv_of("c", "b", "w")),
            (List{kStreamed, kShared, kShared}));
  // Other work in between leaves them where they are, ...
  EXPECT_EQ(weights_of(first + op("b", "exp(x = a)") + conv_of("c", "b", "w")),
            (List{kStreamed, kShared}));
  // ... other weights take their place, computed ones too.
  EXPECT_EQ(weights_of(first + conv_of("b", "a", "v") + conv_of("c", "b", "w")),
            (List{kStreamed, kStreamed, kStreamed}));
  EXPECT_EQ(weights_of(first +
                       "tensor<fp16, [1, 256, 1, 1]> b = matmul(transpose_y = "
                       "bool(true), x = a, y = x)[name = string(\"b\")];\n" +
                       conv_of("c", "a", "w")),
            (List{kStreamed, Weights::kRuntime, kStreamed}));
}

TEST(ProgramWork, SharedWeightsAreReadOnceInAPrediction) {
  const auto predicted = [](const std::string& body) {
    return predict(parsed(body, "tensor<fp16, [1, 256, 1, 32]> x", "b"),
                   chip("m4"))
        .value();
  };
  const std::string first = weight("w") + conv_of("a", "x", "w");
  const Prediction shared = predicted(first + conv_of("b", "a", "w"));
  const Prediction own =
      predicted(first + weight("v") + conv_of("b", "a", "v"));
  ASSERT_EQ(shared.ops.size(), 2U);
  EXPECT_EQ(own.ops[1].bound, "weights");
  EXPECT_NE(shared.ops[1].bound, "weights");
  EXPECT_DOUBLE_EQ(shared.ops[0].microseconds, own.ops[0].microseconds);
  EXPECT_LT(shared.ops[1].microseconds, own.ops[1].microseconds);
  EXPECT_LT(shared.microseconds, own.microseconds);
}

TEST(ProgramWork, OfNothingIsNothing) {
  const ProgramWork work = program_work(mil::Program{});
  EXPECT_TRUE(work.works.empty());
  EXPECT_DOUBLE_EQ(work.io_bytes, 0);
  const auto prediction = predict(mil::Program{}, chip("m4"));
  ASSERT_TRUE(prediction);
  EXPECT_FALSE(prediction->energy_mj);
}

}  // namespace
}  // namespace aneroid::target
