#include "aneroid/numerics/elementwise.h"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/test_targets.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

constexpr BinaryOp kAllOps[] = {BinaryOp::kAdd, BinaryOp::kSub, BinaryOp::kMul,
                                BinaryOp::kMax, BinaryOp::kMin};

TEST(Elementwise, RoundsHalfAwayWithoutTheAccumulatorsLimit) {
  EXPECT_EQ(apply(BinaryOp::kAdd, 2048, 1), 2050.0F);
  EXPECT_EQ(apply(BinaryOp::kAdd, -2048, -1), -2050.0F);
  EXPECT_EQ(apply(BinaryOp::kAdd, 4096, 2), 4100.0F);
  EXPECT_EQ(apply(BinaryOp::kAdd, 16384, 16384), 32768.0F);
  EXPECT_EQ(apply(BinaryOp::kMul, 200, 200), 40000.0F);
  EXPECT_EQ(apply(BinaryOp::kMul, 256, 256), kInfinityValue);
  const float tiny = std::ldexp(1.0F, -12);
  EXPECT_EQ(apply(BinaryOp::kMul, tiny, tiny), std::ldexp(1.0F, -24))
      << "subnormal numbers are kept";
  // Near a tie by less than fp32 can tell: 2048 + 1 -+ 2^-24.
  const float least = std::ldexp(1.0F, -24);
  EXPECT_EQ(apply(BinaryOp::kSub, 2049 - 1, -1), 2050.0F);
  EXPECT_EQ(apply(BinaryOp::kSub, apply(BinaryOp::kAdd, 2048, 0), least),
            2048.0F);
}

TEST(Elementwise, InfinityAndNanAreNumbers) {
  EXPECT_EQ(apply(BinaryOp::kAdd, decode({0x7E00}), 1), kInfinityValue);
  EXPECT_EQ(apply(BinaryOp::kMul, decode({0x7C00}), 0.5F), 32768.0F);
  EXPECT_EQ(apply(BinaryOp::kSub, decode({0x7C00}), decode({0x7C00})), 0.0F);
}

TEST(Elementwise, VectorsEqualTheDefinition) {
  cpu::for_each_target([] {
    Random random(1);
    std::vector<float> a(1'000'003);
    std::vector<float> b(a.size());
    for (size_t i = 0; i < a.size(); ++i) {
      a[i] = decode(Half{static_cast<uint16_t>(random.next())});
      // Often of a near size, where sums round in interesting ways.
      const auto near = static_cast<uint16_t>(
          encode(static_cast<double>(a[i])).bits ^ (random.next() & 0x87FF));
      b[i] = random.below(2) == 0
                 ? decode(Half{near})
                 : decode(Half{static_cast<uint16_t>(random.next())});
    }
    std::vector<float> got(a.size());
    for (const BinaryOp op : kAllOps) {
      apply(op, {a.data(), false}, {b.data(), false}, got.data(), got.size());
      for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(got[i], apply(op, a[i], b[i]))
            << "op " << static_cast<int>(op) << ' ' << a[i] << ' ' << b[i];
        ASSERT_FALSE(std::signbit(got[i]) && got[i] == 0);
      }
      apply(op, {a.data(), true}, {b.data(), false}, got.data(), 1000);
      for (size_t i = 0; i < 1000; ++i) {
        ASSERT_EQ(got[i], apply(op, a[0], b[i]));
      }
      // The one value lies where the first result goes.
      got[0] = a[7];
      apply(op, {b.data(), false}, {got.data(), true}, got.data(), 1000);
      for (size_t i = 0; i < 1000; ++i) {
        ASSERT_EQ(got[i], apply(op, b[i], a[7]));
      }
    }
  });
}

TEST(Elementwise, ConversionsEqualTheDefinition) {
  cpu::for_each_target([] {
    std::vector<Half> all(65536);
    for (size_t i = 0; i < all.size(); ++i) {
      all[i].bits = static_cast<uint16_t>(i);
    }
    std::vector<float> values(all.size());
    std::vector<Half> back(all.size());
    decode(all.data(), values.data(), all.size());
    encode(values.data(), back.data(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(values[i], decode(all[i])) << std::hex << i;
      ASSERT_EQ(back[i], encode(static_cast<double>(values[i])))
          << std::hex << i;
    }
    Random random(2);
    for (float& value : values) {
      value = static_cast<float>(random.normal() *
                                 std::exp(12.0 * random.normal()));
      if (std::abs(value) > 1e6F) value = 1e6F;
    }
    std::vector<float> rounded(values.size());
    round_to_written(values.data(), rounded.data(), values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(rounded[i], written(static_cast<double>(values[i])));
    }
  });
}

TEST(NarrowSum, CountsOnlyTo2048) {
  std::vector<float> ones(2048, 1.0F);
  EXPECT_EQ(narrow_sum(ones.data(), ones.size()), 2048.0F);
  ones.push_back(1.0F);
  EXPECT_EQ(narrow_sum(ones.data(), ones.size()), 2050.0F);
}

}  // namespace
}  // namespace aneroid::numerics
