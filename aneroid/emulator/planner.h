// Turns a verified program into a static plan.
//
//  1. placement: walking backwards, results that end in a concat or an output
//     port are given their place there, so that producers write it directly;
//  2. lowering: forwards, slices, reshapes and transposes become views,
//     constants are folded, matmul and conv become GEMM, the rest element-wise
//     nodes;
//  3. fusion: runs of element-wise nodes over one iteration space become one
//     step;
//  4. masks: what a causal mask makes zero is left out;
//  5. arena: buffers whose lives do not overlap share memory.
#pragma once

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

struct PlanOptions {
  Numerics numerics = Numerics::kFast;
  bool leave_out_masked = true;  // see causal.h; for fast numerics only
};

// `function` must have been verified. Ports are numbered as in `signature`.
// Errors: constants that cannot be read (blob), ops that interp cannot do.
Result<Plan> make_plan(const mil::Program& program,
                       const device::Signature& signature,
                       const device::WeightMap& weights,
                       const PlanOptions& options);

}  // namespace aneroid::emulator
