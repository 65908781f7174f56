#include <cmath>
#include <cstring>

#include "aneroid/blob/blob.h"
#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::float_value;
using mil::int_value;
using mil::ints_value;
using mil::string_value;

HostTensor typed(DataType dtype, Shape shape, std::vector<double> data) {
  return {dtype, std::move(shape), std::move(data)};
}

TEST(Cast, TruncatesSaturatesAndKeepsFp32Precision) {
  const HostTensor x = fp32({5}, {1.9, -1.9, 300, -300, NAN});
  expect_op("cast", {{"x", x}}, {{"dtype", string_value("int8")}},
            typed(DataType::kInt8, {5}, {1, -1, 127, -128, 0}), 0);
  expect_op("cast", {{"x", x}}, {{"dtype", string_value("uint8")}},
            typed(DataType::kUint8, {5}, {1, 0, 255, 0, 0}), 0);
  expect_op("cast", {{"x", fp32({3}, {0, 0.5, -2})}},
            {{"dtype", string_value("bool")}}, boolean({3}, {0, 1, 1}), 0);
  // A fp32 constant made fp16 keeps its digits unless rounding is asked for.
  const double third = static_cast<float>(1.0 / 3.0);
  expect_op("cast", {{"x", fp32({1}, {third})}},
            {{"dtype", string_value("fp16")}}, fp16({1}, {third}), 0);
  Options rounded;
  rounded.rounding = Rounding::kFp16;
  expect_op("cast", {{"x", fp32({1}, {third})}},
            {{"dtype", string_value("fp16")}}, fp16({1}, {0.333251953125}), 0,
            rounded);
  expect_refusal("cast", {{"x", x}}, {{"dtype", string_value("fp17")}},
                 "\"fp17\" is not an element type");
  expect_refusal("cast", {{"x", x}}, {{"dtype", string_value("string")}},
                 "not an element type");
}

TEST(ConstexprCast, Widens) {
  expect_op("constexpr_cast", {{"source_val", fp16({1}, {0.5})}},
            {{"output_dtype", string_value("fp32")}}, fp32({1}, {0.5}));
}

TEST(Quantize, RoundsHalfAwayAndClamps) {
  expect_op("quantize", {{"input", fp32({5}, {1, -1, 3, 1000, -1000})}},
            {{"scale", float_value(DataType::kFp32, 2)},
             {"output_dtype", string_value("int8")}},
            typed(DataType::kInt8, {5}, {1, -1, 2, 127, -128}), 0);
  expect_op("quantize",
            {{"input", fp32({2, 2}, {1, 2, 3, 4})},
             {"scale", fp32({2}, {1, 0.5})},
             {"zero_point", typed(DataType::kUint8, {2}, {10, 0})}},
            {{"axis", int_value(1)}, {"output_dtype", string_value("uint8")}},
            typed(DataType::kUint8, {2, 2}, {11, 4, 13, 8}), 0);
}

TEST(Dequantize, ScalesPerTensorOrAxis) {
  const HostTensor q = typed(DataType::kInt8, {2, 2}, {-128, 1, 2, 127});
  expect_op("dequantize", {{"input", q}},
            {{"scale", float_value(DataType::kFp16, 0.5)}},
            fp16({2, 2}, {-64, 0.5, 1, 63.5}));
  expect_op("dequantize",
            {{"input", q},
             {"scale", fp16({2}, {1, 2})},
             {"zero_point", typed(DataType::kInt8, {2}, {1, 2})}},
            {{"axis", int_value(0)}}, fp16({2, 2}, {-129, 0, 0, 250}));
  expect_refusal("dequantize", {{"input", q}, {"scale", fp16({3}, {1, 2, 3})}},
                 {{"axis", int_value(0)}},
                 "scale has 3 elements for dimension 0");
  expect_refusal("dequantize", {{"input", q}, {"scale", fp16({2}, {1, 2})}}, {},
                 "'axis' is missing");
}

TEST(Quantize, RoundTripStaysWithinHalfAStep) {
  HostTensor x = fp32({101}, {});
  for (int i = -50; i <= 50; ++i) x.data.push_back(i * 0.0731);
  const Constants scale = {{"scale", float_value(DataType::kFp32, 0.03)},
                           {"output_dtype", string_value("int8")}};
  const auto q =
      run_one("quantize", {{"input", x}}, scale, DataType::kInt8, x.shape);
  ASSERT_TRUE(q);
  expect_op("dequantize", {{"input", *q}}, {scale[0]}, x, 0.01501);
}

TEST(ConstexprAffineDequantize, TakesAttributes) {
  mil::Operation operation;
  operation.op = "constexpr_affine_dequantize";
  mil::Value data = mil::ints_value({1, 2, 3, 4});
  data.type.shape = {2, 2};
  operation.attributes = {{"axis", int_value(0)},
                          {"name", string_value("w")},
                          {"quantized_data", data},
                          {"scale", float_value(DataType::kFp16, 0.5)},
                          {"zero_point", int_value(1)}};
  operation.outputs = {{"w", mil::tensor(DataType::kFp16, {2, 2})}};
  const mil::Function function;
  const auto result = evaluate_op(
      operation, mil::Symbols(function),
      [](std::string_view) { return static_cast<const HostTensor*>(nullptr); },
      {});
  ASSERT_TRUE(result) << to_string(result.error());
  expect_near(result->front(), fp16({2, 2}, {0, 0.5, 1, 1.5}));
}

TEST(ConstexprBlockwise, ScalesEachBlock) {
  expect_op("constexpr_blockwise_shift_scale",
            {{"data", typed(DataType::kInt4, {2, 4}, {1, 2, 3, 4, 5, 6, 7, 0})},
             {"scale", fp16({1, 2}, {1, 10})},
             {"offset", typed(DataType::kInt4, {1, 2}, {0, 1})}},
            {}, fp16({2, 4}, {1, 2, 20, 30, 5, 6, 60, -10}));
  expect_refusal("constexpr_blockwise_shift_scale",
                 {{"data", iota({2, 4})}, {"scale", iota({1, 3})}}, {},
                 "divide its dimensions");
}

TEST(Fill, MakesAConstantTensor) {
  expect_op("fill", {},
            {{"shape", ints_value({2, 2})},
             {"value", float_value(DataType::kFp16, 3)}},
            fp16({2, 2}, {3, 3, 3, 3}));
  expect_op("fill", {}, {{"shape", ints_value({1})}}, fp32({1}, {0}));
  expect_refusal("fill", {}, {{"shape", ints_value({2147483647, 2147483647})}},
                 "exceeds the limit");
  expect_refusal("fill", {}, {{"shape", ints_value({-1})}}, "shape [?]");
}

std::vector<std::byte> bytes_of(const void* data, size_t size) {
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), data, size);
  return bytes;
}

TEST(Decode, ReadsEveryType) {
  const uint16_t words[] = {0x3C00, 0xC000};
  EXPECT_EQ(decode(DataType::kFp16, bytes_of(words, 4)),
            (std::vector<double>{1, -2}));
  const uint16_t brain[] = {0x3FC0};
  EXPECT_EQ(decode(DataType::kBf16, bytes_of(brain, 2)),
            std::vector<double>{1.5});
  const uint8_t bytes[] = {0x38, 0xFE, 0x01};
  EXPECT_EQ(decode(DataType::kFp8E4m3fn, bytes_of(bytes, 3)),
            (std::vector<double>{1, -448, 0x1p-9}));
  EXPECT_TRUE(
      std::isnan(decode(DataType::kFp8E4m3fn, bytes_of("\x7F", 1)).front()));
  EXPECT_EQ(decode(DataType::kFp8E5m2, bytes_of("\x3C", 1)),
            std::vector<double>{1});
  EXPECT_EQ(decode(DataType::kInt8, bytes_of(bytes, 2)),
            (std::vector<double>{56, -2}));
  EXPECT_EQ(decode(DataType::kUint8, bytes_of(bytes, 2)),
            (std::vector<double>{56, 254}));
  const int64_t wide[] = {-(int64_t{1} << 40)};
  EXPECT_EQ(decode(DataType::kInt64, bytes_of(wide, 8)),
            std::vector<double>{-0x1p40});
  const double real[] = {0.1};
  EXPECT_EQ(decode(DataType::kFp64, bytes_of(real, 8)),
            std::vector<double>{0.1});
}

TEST(ConstantTensor, ReadsWeightFiles) {
  const uint16_t halves[] = {0x3C00, 0x4000, 0x4200};
  const auto file =
      blob::single_blob(DataType::kFp16, bytes_of(halves, sizeof(halves)));
  const WeightFiles weights = {{"@model_path/w.bin", file}};
  const mil::Type type = mil::tensor(DataType::kFp16, {3});
  const auto read = [&](const std::string& path, uint64_t offset,
                        const mil::Type& as) {
    return constant_tensor(mil::blob_value(as, path, offset), weights);
  };
  const auto good = read("@model_path/w.bin", 64, type);
  ASSERT_TRUE(good) << to_string(good.error());
  EXPECT_EQ(*good, fp16({3}, {1, 2, 3}));

  const auto missing = read("@model_path/v.bin", 64, type);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().label, "interp");
  EXPECT_NE(missing.error().message.find("no weight file"), std::string::npos);
  const auto misplaced = read("@model_path/w.bin", 0, type);
  ASSERT_FALSE(misplaced);
  EXPECT_EQ(misplaced.error().label, "blob");
  EXPECT_NE(misplaced.error().place.find("w.bin"), std::string::npos);
  const auto bomb =
      read("@model_path/w.bin", 64,
           mil::tensor(DataType::kFp16, {int64_t{1} << 31, 1 << 20}));
  ASSERT_FALSE(bomb);
  EXPECT_NE(bomb.error().message.find("exceeds the limit"), std::string::npos);
}

TEST(ConstantTensor, RefusesWhatIsNotNumbers) {
  EXPECT_FALSE(constant_tensor(string_value("text"), {}));
  mil::Value lying = ints_value({1, 2, 3});
  lying.type.shape = {4};
  const auto result = constant_tensor(lying, {});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("holds 12 bytes, not 16"),
            std::string::npos);
}

}  // namespace
}  // namespace aneroid::interp
