#include "aneroid/emulator/working_memory.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/emulator/test_support.h"
#include "aneroid/mil/builder.h"
#include "aneroid/mil/text.h"

namespace aneroid::emulator {
namespace {

std::span<Half> halves(device::Surface& surface) {
  return {reinterpret_cast<Half*>(surface.bytes().data()),
          surface.bytes().size() / sizeof(Half)};
}

TEST(WorkingMemoryTest, OneServesRunsThatDoNotOverlap) {
  MemoryPool pool;
  const WorkingMemory* first = nullptr;
  for (int run = 0; run < 3; ++run) {
    const MemoryPool::Lease lease(pool);
    if (first == nullptr) first = &*lease;
    EXPECT_EQ(&*lease, first);
  }
  EXPECT_EQ(pool.count(), 1);
  std::optional<MemoryPool::Lease> a(pool);
  std::optional<MemoryPool::Lease> b(pool);
  EXPECT_NE(&**a, &**b);
  a.reset();
  b.reset();
  const MemoryPool::Lease again(pool);
  EXPECT_EQ(pool.count(), 2);
}

TEST(WorkingMemoryTest, GrowsToTheLargestAndStays) {
  Plan large;
  large.arena_bytes = 4096;
  large.fused_scratch_floats = 10;
  Plan small;
  small.arena_bytes = 64;
  small.fused_scratch_floats = 1;
  WorkingMemory memory;
  memory.fit(large, 3);
  EXPECT_EQ(memory.arena_bytes, 4096U);
  EXPECT_EQ(memory.fused_scratch.size(), 30U);
  const std::byte* const arena = memory.arena.get();
  memory.fit(small, 3);
  EXPECT_EQ(memory.arena_bytes, 4096U);
  EXPECT_EQ(memory.arena.get(), arena);
  EXPECT_EQ(memory.fused_scratch.size(), 30U);
}

// Programs of different sizes run in turn in the same memory, and may outlive
// their device.
TEST(WorkingMemoryTest, ExecutablesOutliveTheDevice) {
  cpu::ThreadPool threads(2);
  EmulatorOptions options;
  options.pool = &threads;
  auto device = make_emulator(options).value();
  struct Program {
    std::unique_ptr<device::Executable> executable;
    std::unique_ptr<device::Surface> in, out;
    double expected = 0;
  };
  std::vector<Program> programs;
  for (const int64_t columns : {128, 64, 256}) {
    mil::Builder b;
    const mil::Var x =
        b.reshape(b.input("x", fp16({1, 64, 1, columns})), {1, 1, 64, columns});
    // The operands are computed, so they are in the arena.
    const mil::Var square =
        b.matmul(b.mul(x, b.fp16(0.5)), b.mul(x, b.fp16(2.0)), false, true);
    const auto text = mil::print(
        b.finish({{"y", b.reshape(square, {1, 64, 1, 64})}}).value());
    Program program;
    program.executable = device->compile({"square", text, {}}).value();
    EXPECT_GT(plan_of(*program.executable)->arena_bytes, 0U);
    program.in = device->allocate(DataType::kFp16, 64 * columns).value();
    program.out = device->allocate(DataType::kFp16, int64_t{64} * 64).value();
    std::ranges::fill(halves(*program.in), to_half_even(1.0));
    program.expected = static_cast<double>(columns);
    programs.push_back(std::move(program));
  }
  device.reset();
  for (int round = 0; round < 2; ++round) {
    for (Program& program : programs) {
      device::Surface* in[] = {program.in.get()};
      device::Surface* out[] = {program.out.get()};
      const auto status = program.executable->run(in, out);
      ASSERT_TRUE(status) << to_string(status.error());
      for (const Half value : halves(*program.out)) {
        ASSERT_EQ(value, to_half_even(program.expected));
      }
    }
  }
}

}  // namespace
}  // namespace aneroid::emulator
