// For tests: runs a piece of test code once per instruction set that is
// compiled in and supported by this CPU.
#pragma once

#include <cstdint>

#include <gtest/gtest.h>

// clang-format off
#include "aneroid/cpu/simd_targets.h"
#include <hwy/targets.h>
// clang-format on

namespace aneroid::cpu {

template <typename F>
void for_each_target(const F& f) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    f();
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace aneroid::cpu
