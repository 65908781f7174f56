// The ceiling of this CPU, measured now: machines shared with others change
// speed from second to second, so compare only with a probe of the same run.
#pragma once

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

// A clock for comparing with the ceiling. For one thread it is the CPU time of
// the process, which stands still while others use our core; for several it is
// wall time, as a thread that sleeps gets nothing done.
double own_seconds(int threads);

// fp32 fused multiply-adds on registers, on all threads of the pool, with the
// widest vectors the library uses: GFLOP/s by the CPU time of each thread, over
// about 2 ms.
double fma_ceiling(ThreadPool& pool);

}  // namespace aneroid::cpu
