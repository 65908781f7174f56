#include "aneroid/cpu/fma_ceiling.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/fma_ceiling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <cstdint>
#include <ctime>
#include <vector>

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Ten independent chains hide the latency; the factor keeps them finite.
constexpr int kChains = 10;

// Returns the operations done.
double multiply_add(int64_t rounds, float* result) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.999F);
  const auto term = hn::Set(d, 0.001F);
  hn::Vec<decltype(d)> chain[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) {
    chain[i] = hn::Set(d, static_cast<float>(i));
  }
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      chain[i] = hn::MulAdd(chain[i], factor, term);
    }
  }
  auto sum = hn::Zero(d);
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) sum = hn::Add(sum, chain[i]);
  *result = hn::GetLane(hn::SumOfLanes(d, sum));
  return static_cast<double>(rounds) * kChains * 2 *
         static_cast<double>(hn::Lanes(d));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(multiply_add);

namespace {
double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}
}  // namespace

double own_seconds(int threads) {
  return seconds_of(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC);
}

double fma_ceiling(ThreadPool& pool) {
  constexpr int64_t kRounds = 100'000;
  constexpr int kTasksPerThread = 4;
  const int64_t tasks = kTasksPerThread * pool.threads();
  std::vector<double> rates(static_cast<size_t>(tasks));
  volatile float keep = 0;
  pool.run(tasks, [&](int64_t task, int) {
    float result = 0;
    const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    const double operations =
        HWY_DYNAMIC_DISPATCH(multiply_add)(kRounds, &result);
    rates[static_cast<size_t>(task)] =
        operations / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start);
    if (task == 0) keep = result;
  });
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum / kTasksPerThread * 1e-9;
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
