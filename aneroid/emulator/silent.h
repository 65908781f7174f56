// What the chip does wrong without a word, put into a program: under
// --faithful-silent the software engine computes the documented wrong result
// instead of refusing.
#pragma once

#include <span>
#include <string_view>

#include "aneroid/mil/ir.h"
#include "aneroid/target/target.h"

namespace aneroid::emulator {

// An operation of its own, in rewritten programs only: a copy that makes
// infinities of magnitudes above 65504 / 16 (rule N15).
inline constexpr std::string_view kCropTransfer = "crop_transfer";

// `program` with the effects of `findings`, which borrow it, in place: for
// lowering only, it need not pass a verifier any more. Effects that are a
// matter of time (stale weights) or of binding are none of this function's.
mil::Program with_silent_effects(
    const mil::Program& program,
    std::span<const target::SilentFinding> findings);

}  // namespace aneroid::emulator
