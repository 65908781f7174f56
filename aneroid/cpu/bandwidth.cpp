#include "aneroid/cpu/bandwidth.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/bandwidth.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <chrono>
#include <numeric>

#include <hwy/cache_control.h>

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

uint64_t read_words(const uint64_t* words, size_t n) {
  // Measured: asking this far ahead reads faster than the CPU's own foresight.
  constexpr size_t kAhead = 512;
  constexpr size_t kLine = 64 / sizeof(uint64_t);
  const hn::ScalableTag<uint64_t> d;
  const size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d);
  auto odd = hn::Zero(d);
  size_t i = 0;
  for (; i + 2 * kLine <= n; i += 2 * kLine) {
    hwy::Prefetch(words + i + kAhead);
    hwy::Prefetch(words + i + kAhead + kLine);
    for (size_t j = 0; j < kLine; j += lanes) {
      even = hn::Xor(even, hn::LoadU(d, words + i + j));
      odd = hn::Xor(odd, hn::LoadU(d, words + i + kLine + j));
    }
  }
  HWY_ALIGN uint64_t parities[hn::MaxLanes(hn::ScalableTag<uint64_t>())];
  hn::Store(hn::Xor(even, odd), d, parities);
  uint64_t parity = 0;
  for (size_t j = 0; j < lanes; ++j) parity ^= parities[j];
  for (; i < n; ++i) parity ^= words[i];
  return parity;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(read_words);

namespace {
constexpr size_t kPieceWords = (size_t{1} << 20) / sizeof(uint64_t);
}

ReadProbe::ReadProbe(ThreadPool& pool, size_t bytes)
    : pool_(pool), words_(bytes / sizeof(uint64_t)) {
  // Pages of zeros might be one page.
  std::iota(words_.begin(), words_.end(), uint64_t{1});
  parities_.resize((words_.size() + kPieceWords - 1) / kPieceWords);
}

double ReadProbe::measure() {
  const auto start = std::chrono::steady_clock::now();
  pool_.run(static_cast<int64_t>(parities_.size()), [this](int64_t piece, int) {
    const auto index = static_cast<size_t>(piece);
    const size_t first = index * kPieceWords;
    parities_[index] = HWY_DYNAMIC_DISPATCH(read_words)(
        words_.data() + first, std::min(kPieceWords, words_.size() - first));
  });
  const std::chrono::duration<double> elapsed =
      std::chrono::steady_clock::now() - start;
  parity_ = 0;
  for (const uint64_t parity : parities_) parity_ ^= parity;
  return elapsed.count();
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
