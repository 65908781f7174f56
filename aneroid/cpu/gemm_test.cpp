#include "aneroid/cpu/gemm.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/gemm_blas.h"
#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

// Values in [-1, 1] that fp16 holds exactly, different for every index.
float value_at(int64_t index, uint32_t seed) {
  uint64_t x = static_cast<uint64_t>(index) * 0x9E3779B97F4A7C15ULL + seed;
  x ^= x >> 29;
  x *= 0xBF58476D1CE4E5B9ULL;
  x ^= x >> 32;
  return static_cast<float>(static_cast<int64_t>(x % 2049) - 1024) / 1024.0F;
}

// A matrix with its own memory, of `extent` elements, in either storage.
struct Operand {
  std::vector<Half> halves;
  std::vector<float> floats;
  Storage storage;

  Operand(Storage s, int64_t extent, uint32_t seed) : storage(s) {
    for (int64_t i = 0; i < extent; ++i) {
      const float value = value_at(i, seed);
      if (s == Storage::kHalf) {
        halves.push_back(to_half_even(static_cast<double>(value)));
      } else {
        floats.push_back(value);
      }
    }
  }
  void* data() {
    return storage == Storage::kHalf ? static_cast<void*>(halves.data())
                                     : static_cast<void*>(floats.data());
  }
  double at(size_t i) const {
    return static_cast<double>(storage == Storage::kHalf ? to_float(halves[i])
                                                         : floats[i]);
  }
  size_t size() const { return std::max(halves.size(), floats.size()); }
  bool same_bits(const Operand& other) const {
    return halves == other.halves &&
           std::equal(floats.begin(), floats.end(), other.floats.begin(),
                      [](float x, float y) {
                        return std::bit_cast<uint32_t>(x) ==
                               std::bit_cast<uint32_t>(y);
                      });
  }
};

enum class Layout { kRows, kColumns, kSpread, kBroadcast };

struct Strides {
  int64_t row;
  int64_t col;
  int64_t extent;
};
Strides strides_of(Layout layout, int64_t rows, int64_t cols) {
  switch (layout) {
    case Layout::kRows: {  // with a gap after each row
      return {cols + 3, 1, (rows - 1) * (cols + 3) + cols};
    }
    case Layout::kColumns:
      return {1, rows + 5, (cols - 1) * (rows + 5) + rows};
    case Layout::kSpread: {
      const int64_t row = cols * 2 + 1;
      return {row, 2, (rows - 1) * row + (cols - 1) * 2 + 1};
    }
    case Layout::kBroadcast:  // the same row again and again
      return {0, 1, cols};
  }
  return {};
}

struct Case {
  GemmShape shape;
  Layout a = Layout::kRows;
  Layout b = Layout::kRows;
  Layout c = Layout::kRows;
  Storage in = Storage::kHalf;
  Storage out = Storage::kHalf;
  GemmOptions options = {};
  int64_t products = 1;
  bool background = false;

  std::string describe() const {
    return "m " + std::to_string(shape.m) + " n " + std::to_string(shape.n) +
           " k " + std::to_string(shape.k) + " layouts " +
           std::to_string(static_cast<int>(a)) +
           std::to_string(static_cast<int>(b)) +
           std::to_string(static_cast<int>(c)) + " in " +
           std::to_string(static_cast<int>(in)) + " out " +
           std::to_string(static_cast<int>(out)) + " add " +
           std::to_string(options.add_to_c) + " double " +
           std::to_string(static_cast<int>(options.accumulate)) + " products " +
           std::to_string(products);
  }
};

Operand multiply(const Case& test, ThreadPool* pool) {
  const auto& [m, n, k] = test.shape;
  const Strides sa = strides_of(test.a, m, k);
  const Strides sb = strides_of(test.b, k, n);
  const Strides sc = strides_of(test.c, m, n);
  Operand a(test.in, sa.extent * test.products, 1);
  Operand b(test.in, sb.extent * test.products, 2);
  Operand c(test.out, sc.extent * test.products, 3);
  const ConstMatrix ma{a.data(), test.in, sa.row, sa.col};
  const ConstMatrix mb{b.data(), test.in, sb.row, sb.col};
  const Matrix mc{c.data(), test.out, sc.row, sc.col};
  const GemmBatch batch{test.products, sa.extent, sb.extent, sc.extent};
  if (pool == nullptr) {
    gemm_plain(test.shape, ma, mb, mc, test.options, batch);
    return c;
  }
  GemmScratch scratch;
  if (test.background) {
    pool->wait(
        gemm_background(*pool, scratch, test.shape, ma, mb, mc, test.options));
  } else {
    gemm(*pool, scratch, test.shape, ma, mb, mc, test.options, batch);
  }
  return c;
}

// Compares with the plain definition, every element of C's memory, so that
// gaps between rows must be untouched; and across numbers of threads.
void check_against(const Case& test, const Operand& expected) {
  ThreadPool one(1);
  ThreadPool three(3);
  const Operand got = multiply(test, &one);
  const double depth = static_cast<double>(std::max<int64_t>(1, test.shape.k));
  const bool fp64 = test.options.accumulate == Accumulate::kDouble;
  const double sum_error =
      fp64 ? 1e-15 : 6e-8 * (2 * std::sqrt(depth) + depth / 4);
  size_t bad = 0;
  for (size_t i = 0; i < got.size() && bad < 5; ++i) {
    const double want = expected.at(i);
    const double step =
        std::fabs(want) * (test.out == Storage::kHalf ? 1.0 / 1024 : 6e-8);
    if (!(std::fabs(got.at(i) - want) <= sum_error + step)) {
      ++bad;
      ADD_FAILURE() << "element " << i << ": " << got.at(i) << ", expected "
                    << want;
    }
  }
  EXPECT_TRUE(got.same_bits(multiply(test, &three)))
      << "3 threads give other bits than 1";
}

// A BLAS in three loops.
void plain_blas(const BlasCall& call) {
  for (int64_t i = 0; i < call.m; ++i) {
    for (int64_t j = 0; j < call.n; ++j) {
      float sum = 0.0F;
      for (int64_t k = 0; k < call.k; ++k) {
        sum += call.a[call.a_transposed ? k * call.lda + i : i * call.lda + k] *
               call.b[call.b_transposed ? j * call.ldb + k : k * call.ldb + j];
      }
      float& c = call.c[i * call.ldc + j];
      c = call.add ? c + sum : sum;
    }
  }
}

// Every target's kernels, and a BLAS in their place.
template <typename F>
void for_each_way(const F& f) {
  const BlasFunction before = blas();
  use_blas(nullptr);
  for_each_target(f);
  SCOPED_TRACE("BLAS");
  use_blas(plain_blas);
  f();
  use_blas(before);
}

void check(const Case& test) {
  SCOPED_TRACE(test.describe());
  const Operand expected = multiply(test, nullptr);
  for_each_way([&] { check_against(test, expected); });
}

TEST(Gemm, EveryLayoutAndStorage) {
  constexpr Layout kIn[] = {Layout::kRows, Layout::kColumns, Layout::kSpread,
                            Layout::kBroadcast};
  for (const Layout a : kIn) {
    for (const Layout b : kIn) {
      for (const Layout c :
           {Layout::kRows, Layout::kColumns, Layout::kSpread}) {
        for (const Storage in : {Storage::kHalf, Storage::kFloat}) {
          for (const Storage out : {Storage::kHalf, Storage::kFloat}) {
            check({.shape = {29, 53, 37},
                   .a = a,
                   .b = b,
                   .c = c,
                   .in = in,
                   .out = out});
          }
        }
      }
    }
  }
}

TEST(Gemm, EveryEdgeSize) {
  for (const int64_t m : {1, 2, 3, 4, 5, 11, 12, 13, 25, 97}) {
    for (const int64_t n : {1, 2, 7, 15, 16, 17, 31, 32, 33, 49, 70}) {
      for (const int64_t k : {0, 1, 3, 4, 65, 257}) {
        check({.shape = {m, n, k},
               .a = Layout::kColumns,
               .out = Storage::kFloat});
        check(
            {.shape = {m, n, k}, .b = Layout::kColumns, .out = Storage::kHalf});
      }
    }
  }
}

// Shapes that take several K blocks, row tiles, column tiles and rounds.
TEST(Gemm, BlocksAndTiles) {
  check({.shape = {130, 299, 520}, .a = Layout::kColumns});
  check({.shape = {101, 530, 260},
         .b = Layout::kColumns,
         .out = Storage::kFloat,
         .options = {.add_to_c = true}});
  check({.shape = {5, 80, 30000}, .out = Storage::kFloat});
  check({.shape = {200, 1, 900}, .a = Layout::kColumns});
  check({.shape = {1, 700, 900}});
}

TEST(Gemm, AddAndScale) {
  for (const Layout c : {Layout::kRows, Layout::kColumns, Layout::kSpread}) {
    for (const bool add : {false, true}) {
      check({.shape = {130, 70, 300},
             .c = c,
             .out = Storage::kFloat,
             .options = {.add_to_c = add, .scale = 0.3F}});
      check({.shape = {20, 70, 30},
             .c = c,
             .out = Storage::kHalf,
             .options = {.scale = 0.3F}});
    }
  }
}

TEST(Gemm, Batches) {
  for (const int64_t products : {2, 5, 40}) {
    check({.shape = {32, 32, 8}, .b = Layout::kColumns, .products = products});
    check({.shape = {130, 33, 64}, .products = products});
  }
}

TEST(Gemm, DoubleAccumulation) {
  for (const Layout layout :
       {Layout::kRows, Layout::kColumns, Layout::kSpread}) {
    check({.shape = {110, 45, 600},
           .a = layout,
           .b = layout,
           .out = Storage::kFloat,
           .options = {.accumulate = Accumulate::kDouble}});
    check({.shape = {13, 45, 60},
           .a = layout,
           .b = layout,
           .options = {.accumulate = Accumulate::kDouble}});
  }
}

TEST(Gemm, Background) {
  check({.shape = {301, 299, 300},
         .a = Layout::kRows,
         .b = Layout::kColumns,
         .out = Storage::kFloat,
         .options = {.add_to_c = true},
         .background = true});
  check({.shape = {24, 300, 300}, .background = true});
}

// Several background products on one scratch, foreground products meanwhile.
TEST(Gemm, BackgroundSharesScratch) {
  ThreadPool pool(3);
  GemmScratch background;
  GemmScratch foreground;
  const GemmShape shape{150, 150, 150};
  Operand a(Storage::kHalf, 150 * 150, 1);
  Operand b(Storage::kHalf, 150 * 150, 2);
  const ConstMatrix ma{a.data(), Storage::kHalf, 150, 1};
  const ConstMatrix mb{b.data(), Storage::kHalf, 150, 1};
  std::vector<float> sums(150 * 150);
  std::vector<Half> direct(150 * 150);
  const Matrix c{sums.data(), Storage::kFloat, 150, 1};
  ThreadPool::JobHandle last;
  for (int i = 0; i < 6; ++i) {
    last =
        gemm_background(pool, background, shape, ma, mb, c, {.add_to_c = true});
    gemm(pool, foreground, shape, ma, mb,
         {direct.data(), Storage::kHalf, 150, 1});
  }
  pool.wait(last);
  std::vector<float> once(150 * 150);
  gemm_plain(shape, ma, mb, {once.data(), Storage::kFloat, 150, 1});
  for (size_t i = 0; i < once.size(); ++i) {
    ASSERT_NEAR(sums[i], 6 * once[i], 1e-4) << i;
    ASSERT_NEAR(to_float(direct[i]), once[i], 1e-2) << i;
  }
}

// Sums that fall exactly between two fp16 values go away from zero.
TEST(Gemm, TilesGoToASink) {
  for_each_way([] {
    // One and several blocks of K, edges, several rounds of columns.
    for (const GemmShape shape : {GemmShape{200, 384, 256},
                                  {97, 700, 300},
                                  {5, 3, 7},
                                  {40, 2500, 1100}}) {
      const Operand a(Storage::kHalf, shape.m * shape.k, 1);
      const Operand b(Storage::kHalf, shape.n * shape.k, 2);
      const ConstMatrix ma{a.halves.data(), Storage::kHalf, shape.k, 1};
      const ConstMatrix mb{b.halves.data(), Storage::kHalf, 1, shape.k};
      std::vector<float> want(static_cast<size_t>(shape.m * shape.n));
      GemmOptions options;
      options.scale = 0.5F;
      ThreadPool pool(3);
      GemmScratch scratch;
      gemm(pool, scratch, shape, ma, mb,
           {want.data(), Storage::kFloat, shape.n, 1}, options);
      std::vector<float> got(want.size(), -9.0F);
      std::vector<std::atomic<int>> times(want.size());
      pool.wait(gemm_to_sink(
          pool, scratch, shape, ma, mb,
          [&](const GemmTile& tile) {
            for (int64_t r = 0; r < tile.rows; ++r) {
              for (int64_t c = 0; c < tile.columns; ++c) {
                const auto at = static_cast<size_t>((tile.row + r) * shape.n +
                                                    tile.column + c);
                got[at] = tile.values[r * tile.row_stride + c];
                ++times[at];
              }
            }
          },
          0.5F));
      EXPECT_EQ(got, want) << shape.m << "x" << shape.n << "x" << shape.k;
      EXPECT_TRUE(std::ranges::all_of(
          times, [](const auto& count) { return count == 1; }));
    }
  });
}

using Of = GemmTriangle::Of;

// Zeros above the diagonal of a matrix of `squares` squares on top of each
// other, and `far` far above it.
void make_lower(Operand& matrix, const Strides& strides, int64_t period,
                int64_t squares, float far) {
  for (int64_t row = 0; row < squares * period; ++row) {
    for (int64_t column = row % period + 1; column < period; ++column) {
      const auto at =
          static_cast<size_t>(row * strides.row + column * strides.col);
      const float value = column > row % period + 130 ? far : 0.0F;
      if (matrix.storage == Storage::kHalf) {
        matrix.halves[at] = to_half_even(static_cast<double>(value));
      } else {
        matrix.floats[at] = value;
      }
    }
  }
}

struct TriangleCase {
  Of of;
  int64_t period;
  int64_t squares;
  int64_t other;  // the size that is not the triangle's
  Layout layout;  // of the triangular matrix, and of C
  int64_t products = 1;
};

// A product that leaves out what a triangle allows is the whole one.
void check_triangle(const TriangleCase& test, Storage in, Storage out) {
  const auto& [of, period, squares, other, layout, products] = test;
  const int64_t rows = period * squares;
  const GemmShape shape = of == Of::kC   ? GemmShape{rows, period, other}
                          : of == Of::kA ? GemmShape{rows, other, period}
                                         : GemmShape{other, period, rows};
  const Strides sa =
      strides_of(of == Of::kA ? layout : Layout::kRows, shape.m, shape.k);
  const Strides sb =
      strides_of(of == Of::kB ? layout : Layout::kRows, shape.k, shape.n);
  const Strides sc = strides_of(layout, shape.m, shape.n);
  Operand a(in, sa.extent, 1);
  Operand b(in, sb.extent, 2);
  Operand c(out, sc.extent * products, 3);
  if (of == Of::kA) make_lower(a, sa, period, squares, 0.0F);
  if (of == Of::kB) make_lower(b, sb, period, squares, 0.0F);
  Operand whole = c;
  Operand wanted = c;
  const GemmBatch batch{products, 0, 0, sc.extent};
  ThreadPool pool(2);
  GemmScratch scratch;
  const auto run = [&](Operand& result, const GemmTriangle& triangle) {
    GemmOptions options;
    options.triangle = triangle;
    gemm(pool, scratch, shape, {a.data(), in, sa.row, sa.col},
         {b.data(), in, sb.row, sb.col}, {result.data(), out, sc.row, sc.col},
         options, batch);
  };
  run(whole, {});
  if (squares == 1) {  // what is far above the diagonal is not even read
    if (of == Of::kA) make_lower(a, sa, period, squares, NAN);
    if (of == Of::kB) make_lower(b, sb, period, squares, NAN);
  }
  run(wanted, {of, period});
  if (of != Of::kC) {
    EXPECT_TRUE(wanted.same_bits(whole));
    return;
  }
  int64_t kept = 0;
  int64_t bad = 0;
  for (int64_t p = 0; p < products; ++p) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < period; ++j) {
        const auto at =
            static_cast<size_t>(p * sc.extent + i * sc.row + j * sc.col);
        if (j < triangle_columns(i, period)) {
          bad += wanted.at(at) == whole.at(at) ? 0 : 1;
        } else {
          kept += wanted.at(at) == c.at(at) ? 1 : 0;
        }
      }
    }
  }
  EXPECT_EQ(bad, 0);
  if (period >= 256) {
    EXPECT_GT(kept, products * squares * period * period / 4);
  }
}

TEST(Gemm, TrianglesLeaveOutNothingThatCounts) {
  for_each_target([] {
    for (const Of of : {Of::kC, Of::kA, Of::kB}) {
      for (const Layout layout : {Layout::kRows, Layout::kColumns}) {
        for (const TriangleCase& test :
             std::initializer_list<TriangleCase>{{of, 32, 1, 8, layout},
                                                 {of, 33, 3, 20, layout, 5},
                                                 {of, 64, 2, 16, layout, 13},
                                                 {of, 300, 2, 9, layout},
                                                 {of, 400, 1, 30, layout},
                                                 {of, 520, 2, 5, layout}}) {
          SCOPED_TRACE(testing::Message()
                       << "of " << static_cast<int>(of) << " period "
                       << test.period << " squares " << test.squares
                       << " layout " << static_cast<int>(layout));
          check_triangle(test, Storage::kHalf, Storage::kHalf);
          if (test.period == 33) {
            check_triangle(test, Storage::kHalf, Storage::kFloat);
          }
        }
      }
    }
  });
}

// Sizes of which a triangle leaves nothing: C is written all the same.
TEST(Gemm, TrianglesThatLeaveNothingStoreZeros) {
  ThreadPool pool(1);
  GemmScratch scratch;
  const std::vector<float> ones(600 * 64, 1.0F);
  std::vector<float> c(64 * 64, 7.0F);
  GemmOptions options;
  options.triangle = {Of::kB, 1000};
  // Columns 32 to 63 begin below the last of the 20 rows of B.
  gemm(pool, scratch, {8, 64, 20}, {ones.data(), Storage::kFloat, 20, 1},
       {ones.data(), Storage::kFloat, 64, 1},
       {c.data(), Storage::kFloat, 64, 1}, options);
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(c[i * 64 + 63], 0.0F);
  for (const Of of : {Of::kC, Of::kA, Of::kB}) {
    options.triangle = {of, 64};
    std::ranges::fill(c, 7.0F);
    gemm(pool, scratch, {64, 64, 0}, {ones.data(), Storage::kFloat, 1, 1},
         {ones.data(), Storage::kFloat, 64, 1},
         {c.data(), Storage::kFloat, 64, 1}, options);
    for (size_t i = 0; i < 64; ++i) EXPECT_EQ(c[i * 64], 0.0F);
  }
}

TEST(Gemm, RoundsHalfAway) {
  ThreadPool pool(1);
  GemmScratch scratch;
  for (const int64_t n : {32, 5}) {  // vector stores and edge stores
    const std::vector<float> a = {1.0F, 1.0F};
    std::vector<float> b(static_cast<size_t>(2 * n));
    for (int64_t i = 0; i < n; ++i) {
      b[static_cast<size_t>(i)] = i % 2 == 0 ? 2048.0F : -2048.0F;
      b[static_cast<size_t>(n + i)] = i % 2 == 0 ? 1.0F : -1.0F;
    }
    std::vector<Half> c(static_cast<size_t>(n));
    gemm(pool, scratch, {1, n, 2}, {a.data(), Storage::kFloat, 2, 1},
         {b.data(), Storage::kFloat, n, 1}, {c.data(), Storage::kHalf, n, 1});
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(to_float(c[static_cast<size_t>(i)]),
                i % 2 == 0 ? 2050.0F : -2050.0F);
    }
  }
}

TEST(Gemm, EmptyShapesDoNothing) {
  ThreadPool pool(2);
  GemmScratch scratch;
  gemm(pool, scratch, {0, 5, 5}, {}, {}, {});
  gemm(pool, scratch, {5, 0, 5}, {}, {}, {});
  gemm(pool, scratch, {5, 5, 5}, {}, {}, {}, {}, {.count = 0});
  EXPECT_EQ(gemm_background(pool, scratch, {0, 5, 5}, {}, {}, {}), nullptr);
}

}  // namespace
}  // namespace aneroid::cpu
