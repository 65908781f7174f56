#include "aneroid/interp/test_support.h"

namespace aneroid::interp {
namespace {

using mil::int_value;
using mil::ints_value;

constexpr const char* kOp = "constexpr_lut_to_dense";

HostTensor typed(DataType dtype, Shape shape, std::vector<double> data) {
  return {dtype, std::move(shape), std::move(data)};
}
HostTensor bytes(std::vector<double> data) {
  const auto size = static_cast<int64_t>(data.size());
  return typed(DataType::kUint8, {size}, std::move(data));
}
// A table whose entry i is 10 i.
HostTensor tens(int64_t entries) {
  HostTensor lut = iota({entries});
  lut.dtype = DataType::kFp16;
  for (double& value : lut.data) value *= 10;
  return lut;
}

TEST(PackedPalette, ReadsIndicesLowestBitsFirst) {
  // 0b01101100 holds 0, 3, 2, 1.
  expect_op(kOp, {{"indices", bytes({0b01101100})}, {"lut", tens(4)}},
            {{"shape", ints_value({2, 2})}}, fp16({2, 2}, {0, 30, 20, 10}));
  expect_op(kOp, {{"indices", bytes({0b101})}, {"lut", tens(2)}},
            {{"shape", ints_value({3})}}, fp16({3}, {10, 0, 10}));
  expect_op(kOp, {{"indices", bytes({0xF1, 0x02})}, {"lut", tens(16)}},
            {{"shape", ints_value({3})}}, fp16({3}, {10, 150, 20}));
  expect_op(kOp, {{"indices", bytes({7, 255})}, {"lut", tens(256)}},
            {{"shape", ints_value({2})}}, fp16({2}, {70, 2550}));
}

TEST(PackedPalette, LetsIndicesOfSixBitsCrossBytes) {
  // 1, 62, 33, 44, 5 from bit 0 on.
  const std::vector<int> wanted = {1, 62, 33, 44, 5};
  std::vector<double> stream(4, 0);
  for (size_t i = 0; i < 6 * wanted.size(); ++i) {
    const int bit = wanted[i / 6] >> i % 6 & 1;
    stream[i / 8] += bit << i % 8;
  }
  expect_op(kOp, {{"indices", bytes(stream)}, {"lut", tens(64)}},
            {{"shape", ints_value({5})}}, fp16({5}, {10, 620, 330, 440, 50}));
}

TEST(PackedPalette, RefusesWhatDoesNotFit) {
  const Constants four = {{"shape", ints_value({4})}};
  expect_refusal(kOp, {{"indices", bytes({0})}, {"lut", tens(3)}}, four,
                 "must be a vector of 2, 4, 16, 64 or 256");
  expect_refusal(kOp, {{"indices", bytes({0, 0})}, {"lut", tens(4)}}, four,
                 "indices has 2 bytes; 4 of 2 bits take 1");
  expect_refusal(kOp, {{"indices", bytes({256})}, {"lut", tens(4)}}, four,
                 "256 is no byte");
  expect_refusal(kOp, {{"indices", fp32({1}, {0.5})}, {"lut", tens(4)}}, four,
                 "0.5 is no byte");
}

TEST(Palette, HasOneTableOrOneForEachGroup) {
  const HostTensor indices =
      typed(DataType::kUint4, {2, 4}, {0, 1, 2, 3, 3, 2, 1, 0});
  HostTensor one = tens(4);
  one.shape = {1, 1, 4, 1};
  expect_op(kOp, {{"indices", indices}, {"lut", one}}, {},
            fp16({2, 4}, {0, 10, 20, 30, 30, 20, 10, 0}));
  // Rows 0 and 1, columns 0-1 and 2-3: tables from 0, 40, 80 and 120 on.
  HostTensor four = tens(16);
  four.shape = {2, 2, 4, 1};
  expect_op(kOp, {{"indices", indices}, {"lut", four}}, {},
            fp16({2, 4}, {0, 10, 60, 70, 110, 100, 130, 120}));
}

TEST(Palette, SpreadsVectorsAlongAnAxis) {
  const HostTensor indices = typed(DataType::kUint1, {2, 2}, {0, 1, 1, 0});
  const HostTensor lut = fp16({1, 1, 2, 2}, {1, 2, 3, 4});
  expect_op(kOp, {{"indices", indices}, {"lut", lut}},
            {{"vector_axis", int_value(0)}},
            fp16({4, 2}, {1, 3, 2, 4, 3, 1, 4, 2}));
  expect_op(kOp, {{"indices", indices}, {"lut", lut}},
            {{"vector_axis", int_value(-1)}},
            fp16({2, 4}, {1, 2, 3, 4, 3, 4, 1, 2}));
  expect_refusal(kOp, {{"indices", indices}, {"lut", lut}}, {},
                 "'vector_axis' is missing");
  expect_refusal(kOp, {{"indices", indices}, {"lut", lut}},
                 {{"vector_axis", int_value(2)}}, "axis");
}

TEST(Palette, RefusesWhatDoesNotFit) {
  const HostTensor indices = typed(DataType::kUint4, {4}, {0, 1, 2, 3});
  expect_refusal(kOp, {{"indices", indices}, {"lut", tens(4)}}, {},
                 "must have two dimensions more");
  HostTensor thirds = tens(12);
  thirds.shape = {3, 4, 1};
  expect_refusal(kOp, {{"indices", indices}, {"lut", thirds}}, {},
                 "divide its dimensions");
  HostTensor two = tens(2);
  two.shape = {1, 2, 1};
  expect_refusal(kOp, {{"indices", indices}, {"lut", two}}, {},
                 "index 3 in a table of 2 entries");
}

}  // namespace
}  // namespace aneroid::interp
