#include "aneroid/mil/ir.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/mil/element.h"
#include "aneroid/mil/text.h"

namespace aneroid::mil {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The value that a text has in a type; NaN when it is refused.
double read(DataType dtype, std::string_view text) {
  Value::Bytes data;
  if (append_number(dtype, text, data)) return std::nan("");
  return element_as_double(dtype, data.data());
}

TEST(Value, HoldsWhatItWasGiven) {
  EXPECT_EQ(as_ints(int_value(-7)), std::vector<int64_t>{-7});
  EXPECT_EQ(as_ints(bool_value(true)), std::vector<int64_t>{1});
  EXPECT_EQ(as_ints(ints_value({1, -2, 3})), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(as_ints(bools_value({true, false})), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(ints_value({}).type, tensor(DataType::kInt32, {0}));
  EXPECT_EQ(as_doubles(float_value(DataType::kFp16, 0.1)).at(0),
            to_float(to_half_even(0.1)));
  EXPECT_TRUE(as_ints(string_value("a")).empty());
  EXPECT_TRUE(
      as_doubles(blob_value(tensor(DataType::kFp16, {4}), "w", 64)).empty());
  EXPECT_TRUE(is_scalar(string_value("a").type));
  EXPECT_FALSE(is_scalar(ints_value({1}).type));
}

TEST(Value, IsLittleEndian) {
  EXPECT_EQ(
      std::get<Value::Bytes>(int_value(0x01020304).data),
      (Value::Bytes{std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}}));
}

TEST(Value, DecodesEveryNumericType) {
  for (int i = 0; i <= static_cast<int>(DataType::kUint64); ++i) {
    const auto dtype = static_cast<DataType>(i);
    if (dtype == DataType::kString) continue;
    const Value one = float_value(dtype, 1);
    EXPECT_EQ(as_ints(one), std::vector<int64_t>{1}) << name(dtype);
    EXPECT_EQ(as_doubles(one), std::vector<double>{1}) << name(dtype);
  }
  EXPECT_EQ(as_ints(float_value(DataType::kFp64, 1e300)).at(0),
            std::numeric_limits<int64_t>::max());
  EXPECT_EQ(as_ints(float_value(DataType::kFp32, std::nan(""))).at(0), 0);
}

TEST(Element, RoundsDecimalsOnceToEven) {
  // The midpoint of 1 and the next fp16 is 1 + 2^-11.
  EXPECT_EQ(read(DataType::kFp16, "1.00048828125"), 1.0);
  EXPECT_EQ(read(DataType::kFp16, "1.00048828124999999999999999999999"), 1.0);
  // As a double this is the midpoint, and would round down to even.
  EXPECT_EQ(read(DataType::kFp16, "1.00048828125000000000000000000001"),
            1.0009765625);
  EXPECT_EQ(read(DataType::kFp16, "0x1.002p0"), 1.0);
  EXPECT_EQ(read(DataType::kFp16, "0x1.00200000000000000000001p0"),
            1.0009765625);
  EXPECT_EQ(read(DataType::kFp16, "0x1.006p0"), 1.001953125);
  // Between 1 and the next fp32.
  EXPECT_EQ(read(DataType::kFp32, "1.000000059604644775390625"), 1.0);
  EXPECT_EQ(read(DataType::kFp32, "1.0000000596046447753906250000001"),
            0x1.000002p0);
}

TEST(Element, ReadsSubnormalsAndLimits) {
  EXPECT_EQ(read(DataType::kFp16, "0x1p-24"), 0x1p-24);
  EXPECT_EQ(read(DataType::kFp16, "0x1p-25"), 0.0);
  EXPECT_EQ(read(DataType::kFp16, "0x1.00001p-25"), 0x1p-24);
  EXPECT_EQ(read(DataType::kFp16, "65504"), 65504.0);
  EXPECT_EQ(read(DataType::kFp16, "65519.9"), 65504.0);
  EXPECT_TRUE(std::isnan(read(DataType::kFp16, "65520")));
  EXPECT_EQ(read(DataType::kFp64, "0x1p-1074"), 0x1p-1074);
  EXPECT_EQ(read(DataType::kFp64, "0x1p-1075"), 0.0);
  EXPECT_EQ(read(DataType::kFp64, "0x1.8p-1075"), 0x1p-1074);
  EXPECT_EQ(read(DataType::kFp64, "0x3p-1075"), 0x1p-1073);
  EXPECT_EQ(read(DataType::kFp64, "0x1.fffffffffffffp1023"),
            std::numeric_limits<double>::max());
  EXPECT_TRUE(std::isnan(read(DataType::kFp64, "0x1p1024")));
  EXPECT_TRUE(std::isnan(read(DataType::kFp64, "1e400")));
  EXPECT_EQ(read(DataType::kFp64, "1e-400"), 0.0);
  EXPECT_EQ(read(DataType::kFp32, "1e-999999999999999999999"), 0.0);
  EXPECT_TRUE(std::isnan(read(DataType::kFp32, "1e999999999999999999999")));
  EXPECT_EQ(read(DataType::kBf16, "3.3895313892515355e38"),
            3.3895313892515355e38);
  EXPECT_EQ(read(DataType::kFp8E4m3fn, "448"), 448.0);
  EXPECT_TRUE(std::isnan(read(DataType::kFp8E4m3fn, "480")));
  EXPECT_EQ(read(DataType::kFp8E5m2, "57344"), 57344.0);
}

TEST(Element, ReadsEverySpelling) {
  for (const char* text : {"+1.5", "0x1.8p0", "0X1.8P+0", "0x18p-4", "1.5e0",
                           "15e-1", "0.15E+1", "0x1.8", "1.50"}) {
    EXPECT_EQ(read(DataType::kFp16, text), 1.5) << text;
  }
  EXPECT_EQ(read(DataType::kFp16, "-inf"), -kInfinity);
  EXPECT_EQ(read(DataType::kFp32, "INFINITY"), kInfinity);
  Value::Bytes data;
  EXPECT_FALSE(append_number(DataType::kFp16, "nan", data));
  EXPECT_TRUE(std::isnan(element_as_double(DataType::kFp16, data.data())));
}

TEST(Element, RefusesWhatIsNoNumber) {
  for (const char* text : {"", "-", "+", "abc", "1.2.3", "1e", "1e+", "0x",
                           "0xp1", "0x1p", "1p3", "--1", "0x1g", "1e5x"}) {
    Value::Bytes data;
    EXPECT_EQ(append_number(DataType::kFp16, text, data),
              NumberError::kMalformed)
        << text;
    EXPECT_TRUE(data.empty());
  }
  for (const char* text : {"1.5", "1e3", "inf", "", "-", "0x"}) {
    Value::Bytes data;
    EXPECT_EQ(append_number(DataType::kInt32, text, data),
              NumberError::kMalformed)
        << text;
  }
}

TEST(Element, ChecksIntegerRanges) {
  struct Range {
    DataType dtype;
    const char* lowest;
    const char* below;
    const char* highest;
    const char* above;
  };
  for (const Range& range : {
           Range{DataType::kInt4, "-8", "-9", "7", "8"},
           Range{DataType::kInt8, "-128", "-129", "127", "128"},
           Range{DataType::kUint1, "0", "-1", "1", "2"},
           Range{DataType::kUint6, "0", "-1", "63", "64"},
           Range{DataType::kInt32, "-2147483648", "-2147483649", "2147483647",
                 "2147483648"},
           Range{DataType::kInt64, "-9223372036854775808",
                 "-9223372036854775809", "9223372036854775807",
                 "9223372036854775808"},
           Range{DataType::kUint64, "0", "-1", "18446744073709551615",
                 "18446744073709551616"},
       }) {
    for (const char* good : {range.lowest, range.highest}) {
      Value::Bytes data;
      EXPECT_FALSE(append_number(range.dtype, good, data)) << good;
      std::string text;
      print_element(range.dtype, data.data(), FloatStyle::kHex, text);
      EXPECT_EQ(text, good);
    }
    for (const char* bad : {range.below, range.above}) {
      Value::Bytes data;
      EXPECT_EQ(append_number(range.dtype, bad, data), NumberError::kOutOfRange)
          << name(range.dtype) << " " << bad;
    }
  }
}

TEST(Element, PrintsWhatItReadsForEveryHalf) {
  for (const FloatStyle style : {FloatStyle::kHex, FloatStyle::kDecimal}) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
      Value::Bytes data{static_cast<std::byte>(bits & 0xFF),
                        static_cast<std::byte>(bits >> 8)};
      std::string text;
      print_element(DataType::kFp16, data.data(), style, text);
      Value::Bytes again;
      ASSERT_FALSE(append_number(DataType::kFp16, text, again)) << text;
      ASSERT_TRUE(again == data || text == "nan") << text;
    }
  }
}

TEST(Element, PrintsWhatItReadsForSmallFloats) {
  for (const DataType dtype :
       {DataType::kBf16, DataType::kFp8E4m3fn, DataType::kFp8E5m2}) {
    for (uint32_t bits = 0; bits < (bytes(dtype) == 1 ? 0x100U : 0x10000U);
         ++bits) {
      Value::Bytes data{static_cast<std::byte>(bits & 0xFF)};
      if (bytes(dtype) == 2) data.push_back(static_cast<std::byte>(bits >> 8));
      std::string text;
      print_element(dtype, data.data(), FloatStyle::kHex, text);
      Value::Bytes again;
      ASSERT_FALSE(append_number(dtype, text, again)) << text;
      ASSERT_TRUE(again == data || text == "nan") << name(dtype) << " " << text;
    }
  }
}

TEST(Symbols, FindsTypesDefinitionsAndConstants) {
  const auto program = parse(R"(program(1.3) {
    func main<ios18>(tensor<fp16, [2, 4]> x) {
      tensor<int32, [1]> axes = const()[name = string("a"),
                                        val = tensor<int32, [1]>([1])];
      tensor<fp16, [2, 1]> s = reduce_sum(axes = axes, keep_dims = bool(true),
                                          x = x);
      tensor<fp16, [2]> w = constexpr_affine_dequantize()[axis = int32(0),
          quantized_data = tensor<int8, [2]>([1, 2]), scale = fp16(0.5),
          zero_point = int8(0)];
    } -> (s);
  })");
  ASSERT_TRUE(program) << to_string(program.error());
  const Function* function = program->function();
  ASSERT_NE(function, nullptr);
  EXPECT_EQ(program->function("other"), nullptr);
  const Symbols symbols(*function);
  const Operation& sum = function->body.operations[1];
  const Operation& weight = function->body.operations[2];
  ASSERT_NE(symbols.type("x"), nullptr);
  EXPECT_EQ(*symbols.type("x"), tensor(DataType::kFp16, {2, 4}));
  EXPECT_EQ(symbols.type("nothing"), nullptr);
  EXPECT_EQ(symbols.definition("x"), nullptr);
  EXPECT_EQ(symbols.definition("s"), &sum);
  EXPECT_EQ(symbols.ints_or(sum, "axes", {}), std::vector<int64_t>{1});
  EXPECT_EQ(symbols.int_or(sum, "axes", 9), 1);
  EXPECT_TRUE(symbols.bool_or(sum, "keep_dims", false));
  EXPECT_EQ(symbols.constant(sum, "x"), nullptr);
  EXPECT_EQ(symbols.int_or(sum, "absent", 9), 9);
  EXPECT_EQ(symbols.double_or(weight, "scale", 0), 0.5);
  EXPECT_EQ(symbols.string_or(sum, "mode", "none"), "none");
  EXPECT_EQ(sum.location.line, 5);
  EXPECT_EQ(sum.location.column, 7);
}

}  // namespace
}  // namespace aneroid::mil
