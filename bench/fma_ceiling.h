// The ceiling of this CPU, measured now: machines shared with others change
// speed from second to second, so compare only with a probe of the same run.
#pragma once

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::bench {

// Seconds of a clock that stands still while others use our cores: the CPU time
// of this process, per thread. Waiting in a spin counts, sleeping does not.
double own_seconds(int threads);

// fp32 fused multiply-adds on registers, on all threads of the pool, with the
// widest vectors the library uses: GFLOP/s by that clock, over about 2 ms.
double fma_ceiling(cpu::ThreadPool& pool);

}  // namespace aneroid::bench
