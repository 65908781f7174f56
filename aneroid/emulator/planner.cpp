#include "aneroid/emulator/planner.h"

#include <algorithm>

#include "aneroid/emulator/arena.h"
#include "aneroid/emulator/causal.h"
#include "aneroid/emulator/fused.h"
#include "aneroid/emulator/lower.h"
#include "aneroid/emulator/nodes.h"

namespace aneroid::emulator {

size_t Buffer::bytes() const {
  return static_cast<size_t>(elements) *
         (storage == cpu::Storage::kHalf ? 2 : 4);
}

Result<Plan> make_plan(const mil::Program& program,
                       const device::Signature& signature,
                       const device::WeightMap& weights,
                       const PlanOptions& options) {
  Plan plan;
  plan.numerics = options.numerics;
  Lowering lowering(program, signature, weights, plan);
  ANEROID_ASSIGN(const std::vector<Node> nodes, lowering.run());
  plan.steps = fuse(nodes);
  if (options.numerics == Numerics::kFast && options.leave_out_masked) {
    leave_out_masked(plan);
  }
  allocate_arena(plan);
  for (const Step& step : plan.steps) {
    if (const auto* fused = std::get_if<FusedStep>(&step.work)) {
      plan.fused_scratch_floats =
          std::max(plan.fused_scratch_floats, scratch_floats(*fused));
    }
  }
  return plan;
}

}  // namespace aneroid::emulator
