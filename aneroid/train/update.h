// AdamW over a part of a tensor, in whichever type its moments are.
#pragma once

#include <cstddef>

#include "aneroid/cpu/optimizer.h"
#include "aneroid/model/moments.h"

namespace aneroid::train {

// cpu::adamw_update() of n values from `place.first` on; `w` and `g` point at
// the first of them, the moments are row `row` of `m` and `v`.
void update_run(float* w, model::Moments& m, model::Moments& v, size_t row,
                const cpu::RunPlace& place, const float* g, size_t n,
                const cpu::AdamW& options);

}  // namespace aneroid::train
