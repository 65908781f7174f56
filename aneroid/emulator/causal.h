// What a causal mask makes zero is left out, in fast numerics.
//
// In attention, softmax(scores + mask) is 0 above the diagonal when the mask is
// very low there. So nearly half of the scores need not be computed, nor of the
// softmax, nor of the products with its result P, nor of P's gradient. The
// results are the same, bit for bit.
//
// That a mask of -30000 makes an exact 0 is no fact of the program, though:
// a score of 60000 would survive it, and 0 times an infinity is NaN. The pass
// derives from the arithmetic of a step how large its product may get, and a
// run proves from the norms of the operands that it stays below that before it
// leaves anything out: a "claim" of the plan. Where there is no proof, that run
// computes everything.
#pragma once

#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

// Marks the steps of a plan in fast numerics, in their order.
void leave_out_masked(Plan& plan);

}  // namespace aneroid::emulator
