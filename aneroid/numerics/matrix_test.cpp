#include "aneroid/numerics/matrix.h"

#include <array>
#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/test_targets.h"
#include "aneroid/numerics/decode.h"

namespace aneroid::numerics {
namespace {

using cpu::GemmBatch;
using cpu::GemmShape;
using cpu::Storage;

// fp16 numbers of every kind: ordinary ones around a size, and the edges.
class Source {
 public:
  explicit Source(uint64_t seed) : random_(seed) {}
  Half ordinary(double size) { return to_half_even(size * random_.normal()); }
  // Any pattern at all.
  Half any() { return {static_cast<uint16_t>(random_.next())}; }
  // Patterns at which rules change.
  Half edge() {
    static constexpr std::array<uint16_t, 20> kEdges = {
        0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x0080,
        0x1C00, 0x1BFF, 0x1800, 0x9800, 0x2000, 0x3C00, 0xBC00,
        0x77FF, 0x7BFF, 0x7C00, 0xFC00, 0x7C01, 0x7E00};
    return {kEdges[random_.below(kEdges.size())]};
  }

 private:
  Random random_;
};

struct Problem {
  GemmShape shape;
  GemmBatch batch;
  std::vector<Half> a;
  std::vector<Half> b;
  std::vector<Half> bias;
};

template <typename Next>
Problem problem(const GemmShape& shape, int64_t products, const Next& next) {
  Problem p{shape, {}, {}, {}, {}};
  p.batch = {products, shape.m * shape.k, shape.k * shape.n, shape.m * shape.n};
  for (int64_t i = 0; i < products * shape.m * shape.k; ++i) {
    p.a.push_back(next());
  }
  for (int64_t i = 0; i < products * shape.k * shape.n; ++i) {
    p.b.push_back(next());
  }
  return p;
}

struct Layout {
  bool a_transposed = false;
  bool b_transposed = false;
  bool c_transposed = false;
};

MatrixStatistics expect_equal(const Problem& p, const Layout& layout = {}) {
  const int64_t m = p.shape.m;
  const int64_t n = p.shape.n;
  const int64_t k = p.shape.k;
  const cpu::ConstMatrix a{p.a.data(), Storage::kHalf,
                           layout.a_transposed ? 1 : k,
                           layout.a_transposed ? m : 1};
  const cpu::ConstMatrix b{p.b.data(), Storage::kHalf,
                           layout.b_transposed ? 1 : n,
                           layout.b_transposed ? k : 1};
  const auto count = static_cast<size_t>(p.batch.count * m * n);
  std::vector<Half> want(count);
  std::vector<Half> got(count, Half{0x1234});
  const auto c = [&](std::vector<Half>& to) {
    return cpu::Matrix{to.data(), Storage::kHalf, layout.c_transposed ? 1 : n,
                       layout.c_transposed ? m : 1};
  };
  const Bias bias{p.bias.empty() ? nullptr : p.bias.data(), 1, 0};
  matrix_product_plain(p.shape, a, b, c(want), p.batch, bias);
  cpu::ThreadPool pool(2);
  MatrixScratch scratch;
  const MatrixStatistics statistics =
      matrix_product(pool, scratch, p.shape, a, b, c(got), p.batch, bias);
  size_t wrong = 0;
  for (size_t i = 0; i < count; ++i) {
    if (got[i] == want[i]) continue;
    if (wrong++ < 5) {
      ADD_FAILURE() << "element " << i << " of " << m << "x" << n << "x" << k
                    << ": " << std::hex << got[i].bits << ", plain "
                    << want[i].bits;
    }
  }
  EXPECT_EQ(wrong, 0U);
  return statistics;
}

TEST(MatrixProduct, EqualsThePlainOneForRandomNumbersOfAllSizes) {
  cpu::for_each_target([] {
    Source source(1);
    // Sizes whose sums are small, middling, and overflow now and then.
    int64_t products = 0;
    MatrixStatistics used;
    for (const double size : {1e-6, 1e-4, 4e-3, 0.06, 1.0, 4.0, 12.0, 40.0}) {
      const GemmShape shape{37, 83, 300};
      products += shape.m * shape.n * shape.k;
      const MatrixStatistics one = expect_equal(
          problem(shape, 1, [&] { return source.ordinary(size); }));
      used.narrow += one.narrow;
      used.wide += one.wide;
      used.watched += one.watched;
    }
    EXPECT_GT(products, 7'000'000);
    EXPECT_GT(used.narrow, 0);
    EXPECT_GT(used.wide, 0);
    EXPECT_GT(used.watched, 0);
  });
}

TEST(MatrixProduct, EqualsThePlainOneForAnyPatterns) {
  cpu::for_each_target([] {
    Source source(2);
    expect_equal(problem({29, 70, 600}, 1, [&] { return source.any(); }));
    expect_equal(problem({64, 101, 400}, 1, [&] { return source.edge(); }));
    // Few terms, so that not every sum overflows.
    for (int64_t k : {1, 2, 3}) {
      expect_equal(problem({257, 251, k}, 1, [&] { return source.any(); }));
      expect_equal(problem({97, 51, k}, 3, [&] { return source.edge(); }));
    }
  });
}

// Products that are ties, and products next to a tie.
TEST(MatrixProduct, RoundsTiesAsThePlainOne) {
  cpu::for_each_target([] {
    Random random(3);
    const auto near_tie = [&] {
      const auto mantissa = static_cast<double>(1 + random.below(2047));
      const double sign = random.below(2) == 0 ? 1.0 : -1.0;
      const int exponent = -18 + static_cast<int>(random.below(12));
      return to_half_even(sign * std::ldexp(mantissa, exponent));
    };
    expect_equal(problem({200, 200, 2}, 4, near_tie));
    expect_equal(problem({64, 96, 257}, 2, near_tie));
  });
}

TEST(MatrixProduct, TakesAnyLayoutAndSize) {
  cpu::for_each_target([] {
    Source source(4);
    const auto next = [&] { return source.ordinary(0.5); };
    for (const GemmShape shape :
         {GemmShape{1, 1, 1}, GemmShape{1, 130, 64}, GemmShape{130, 1, 64},
          GemmShape{8, 48, 256}, GemmShape{49, 385, 17}, GemmShape{13, 50, 257},
          GemmShape{3, 5, 0}}) {
      for (int bits = 0; bits < 8; ++bits) {
        expect_equal(problem(shape, 2, next),
                     {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0});
      }
    }
  });
}

TEST(MatrixProduct, StartsFromTheBias) {
  cpu::for_each_target([] {
    Source source(5);
    for (const bool edges : {false, true}) {
      for (const bool c_transposed : {false, true}) {
        Problem p =
            problem({40, 70, 30}, 1, [&] { return source.ordinary(1.0); });
        for (int64_t m = 0; m < p.shape.m; ++m) {
          p.bias.push_back(edges ? source.any() : source.ordinary(1.0));
        }
        expect_equal(p, {false, false, c_transposed});
      }
    }
  });
}

TEST(MatrixProduct, ReadsFp32AsFp16) {
  Random random(6);
  std::vector<float> a(20 * 30);
  std::vector<float> b(30 * 40);
  for (auto* values : {&a, &b}) {
    for (float& value : *values) value = static_cast<float>(random.normal());
  }
  std::vector<float> want(20 * 40);
  std::vector<float> got(20 * 40);
  const cpu::ConstMatrix ma{a.data(), Storage::kFloat, 30, 1};
  const cpu::ConstMatrix mb{b.data(), Storage::kFloat, 40, 1};
  matrix_product_plain({20, 40, 30}, ma, mb,
                       {want.data(), Storage::kFloat, 40, 1});
  cpu::ThreadPool pool(1);
  MatrixScratch scratch;
  matrix_product(pool, scratch, {20, 40, 30}, ma, mb,
                 {got.data(), Storage::kFloat, 40, 1});
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace aneroid::numerics
