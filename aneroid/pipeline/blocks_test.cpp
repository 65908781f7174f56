#include "aneroid/pipeline/blocks.h"

#include <vector>

#include <gtest/gtest.h>

#include "aneroid/pipeline/surface_io.h"

namespace aneroid::pipeline {
namespace {

std::vector<float> numbers(int64_t count, float first) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = first++;
  return values;
}

void fill(const MatrixBlock& block, float first) {
  const auto values = numbers(block.rows * block.columns, first);
  write_rows(block.matrix, values.data(), block.columns, block.rows,
             block.columns);
}
std::vector<float> read(const MatrixBlock& block) {
  std::vector<float> values(static_cast<size_t>(block.rows * block.columns));
  read_rows(block.matrix, values.data(), block.columns, block.rows,
            block.columns);
  return values;
}

TEST(HostBlocks, AreApartAndZeroAtFirst) {
  for (const auto storage : {cpu::Storage::kHalf, cpu::Storage::kFloat}) {
    const auto blocks =
        HostBlocks::allocate(storage, 6, {{"a", 3}, {"b", 5}}, 4);
    ASSERT_TRUE(blocks);
    EXPECT_EQ(blocks->bytes(),
              4 * 8 * 6 * static_cast<int64_t>(element_bytes(storage)));
    float first = 0;
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(read(blocks->block(i, "a")), std::vector<float>(18, 0.0F));
      for (const char* name : {"a", "b"}) {
        fill(blocks->block(i, name), first);
        first += 100;
      }
    }
    first = 0;
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(read(blocks->block(i, "a")), numbers(18, first));
      EXPECT_EQ(read(blocks->block(i, "b")), numbers(30, first + 100));
      first += 200;
    }
  }
}

TEST(HostBlocks, NoMemoryIsAnError) {
  const auto blocks = HostBlocks::allocate(cpu::Storage::kFloat, 1 << 20,
                                           {{"a", 1 << 20}}, 1 << 20);
  ASSERT_FALSE(blocks);
  EXPECT_EQ(blocks.error().label, "memory");
}

// More than one piece, and not a whole number of them; strides differ.
TEST(BlockCopies, CopyEverythingAndNothingElse) {
  cpu::ThreadPool pool(2);
  constexpr int64_t kColumns = 96;
  const auto from = HostBlocks::allocate(cpu::Storage::kFloat, kColumns,
                                         {{"a", 1500}, {"b", 7}}, 1);
  const auto to = HostBlocks::allocate(cpu::Storage::kFloat, 2 * kColumns,
                                       {{"a", 1500}, {"b", 7}}, 1);
  ASSERT_TRUE(from && to);
  BlockCopies copies;
  for (const char* name : {"a", "b"}) {
    fill(from->block(0, name), 1);
    MatrixBlock left = to->block(0, name);
    left.columns = kColumns;
    copies.add(from->block(0, name), left);
  }
  copies.run(pool);
  for (const char* name : {"a", "b"}) {
    MatrixBlock half = to->block(0, name);
    half.columns = kColumns;
    EXPECT_EQ(read(half), read(from->block(0, name)));
    half.matrix.data = half.matrix.at(0, kColumns);
    EXPECT_EQ(read(half), std::vector<float>(read(half).size(), 0.0F));
  }
  // Done once: a second run has nothing left to do.
  fill(from->block(0, "b"), 500);
  copies.run(pool);
  EXPECT_EQ(read(to->block(0, "b"))[0], 1.0F);
}

}  // namespace
}  // namespace aneroid::pipeline
