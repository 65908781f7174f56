// `--as-published`: what the first published trainers did, so that their curves
// can be drawn again, and their failures be shown. Defaults stay right.
#pragma once

#include <CLI/CLI.hpp>

#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/create.h"
#include "apps/aneroid/train_options.h"

namespace aneroid::cli {

// Sets what the published trainer of options.pipeline had otherwise, but for
// flags that were given:
//
//                   static, static-extras, delta   dynamic
//   positions       none                           RoPE
//   residual factor 1                              1 / sqrt(2 layers)
//   loss scale      1                              256
//   schedule        3e-4                           3e-4, 10 updates of warm-up,
//                                                  cosine to a tenth
//   betas           0.9, 0.999                     0.9, 0.95
//   decay, clip     none                           0.1, 1
//   accumulation    10                             10
//   vocabulary      whole                          of ids that occur
//   validation      none                           none
void apply_published(TrainOptions& options, const CLI::App& command);

// Uniform in [-s, s), gains 1; s by tensor and pipeline. Drawn from the 48-bit
// generator of POSIX in the order of the layers' Wq, Wk, Wv, Wo, W1, W2, W3,
// then the embedding: the dynamic trainer's order.
model::Weights published_weights(const model::ModelConfig& config,
                                 pipeline::Kind kind, uint64_t seed);

}  // namespace aneroid::cli
