// RMSNorm and its gradient in fp32 on the CPU, for pipelines that keep the
// residual stream there. Arrays are [channels, columns], a column per position.
#pragma once

#include <cstdint>

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::pipeline {

struct NormShape {
  int64_t channels = 0;
  int64_t columns = 0;
  double epsilon = 0;
};

// y[c, t] = x[c, t] r[t] gain[c], r[t] = (mean_c x^2 + epsilon)^-1/2.
void rms_norm(cpu::ThreadPool& pool, const NormShape& shape, const float* x,
              const float* gain, float* y);

// Adds the gradient at x to dx, given dy, the gradient at y: with
// u = gain dy, it is r (u - x r^2 mean_c(u x)). The gain belongs to u alone and
// not to the second term.
void add_rms_norm_gradient(cpu::ThreadPool& pool, const NormShape& shape,
                           const float* dy, const float* x, const float* gain,
                           float* dx);

}  // namespace aneroid::pipeline
