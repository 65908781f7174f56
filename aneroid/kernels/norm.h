// RMSNorm in fp16 without overflow, and its gradient. Internal to this folder.
#pragma once

#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

// x r gain with r = (mean(x^2) + epsilon)^-1/2 per column.
mil::Var rms_norm(KernelWriter& writer, const mil::Var& x, const mil::Var& gain,
                  double epsilon);

// The gradient at x, given `dxn`, the gradient at the norm's output:
// (t - u mean(t u)) r with t = gain dxn, u = x r.
mil::Var rms_norm_backward(KernelWriter& writer, const mil::Var& dxn,
                           const mil::Var& x, const mil::Var& gain,
                           double epsilon);

}  // namespace aneroid::kernels
