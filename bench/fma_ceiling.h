// The ceiling of this CPU, measured now: machines shared with others change
// speed from second to second, so compare only with a probe of the same run.
#pragma once

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::bench {

// fp32 fused multiply-adds on registers, on all threads of the pool, with the
// widest vectors the library uses: GFLOP/s over about 2 ms.
double fma_ceiling(cpu::ThreadPool& pool);

}  // namespace aneroid::bench
