// How well a decoder predicts: what its storage of the weights costs.
#pragma once

#include <cstdint>
#include <span>

#include "aneroid/infer/decoder.h"

namespace aneroid::infer {

// Mean of -ln p(token | those before it) over all tokens but the first, in
// nats, in windows of the decoder's context that do not overlap, as `aneroid
// eval` has them. At least two valid ids. Clears the decoder.
double mean_nll(Decoder& decoder, std::span<const int32_t> tokens);

}  // namespace aneroid::infer
