#include "aneroid/cpu/bandwidth.h"

#include <gtest/gtest.h>

#include "aneroid/cpu/test_targets.h"

namespace aneroid::cpu {
namespace {

TEST(ReadProbe, ReadsEveryWordOnce) {
  // Whole pieces, and an odd rest of one.
  for (const size_t words : {size_t{1}, size_t{131072}, size_t{300003}}) {
    uint64_t parity = 0;
    for (size_t i = 1; i <= words; ++i) parity ^= i;
    for_each_target([&] {
      for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        ReadProbe probe(pool, words * sizeof(uint64_t));
        EXPECT_EQ(probe.bytes(), words * sizeof(uint64_t));
        EXPECT_GT(probe.measure(), 0);
        EXPECT_EQ(probe.parity(), parity);
      }
    });
  }
}

}  // namespace
}  // namespace aneroid::cpu
