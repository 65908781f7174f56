// Floating point operations of a micro-step, by the formulas that the published
// efficiency reports use: forward attention is not counted, its backward is.
#pragma once

#include <cstdint>

#include "aneroid/model/config.h"
#include "aneroid/pipeline/create.h"

namespace aneroid::cli {

struct PublishedFlops {
  double engine = 0;  // of programs
  double total = 0;   // and of the CPU
};

inline PublishedFlops published_flops(const model::ModelConfig& c,
                                      int64_t sequence, pipeline::Kind kind) {
  const auto times = [](auto... factors) {
    return (static_cast<double>(factors) * ...);
  };
  const double matrices = 2 * times(c.hidden_size, c.query_dim()) +
                          2 * times(c.hidden_size, c.key_value_dim()) +
                          3 * times(c.hidden_size, c.intermediate_size);
  const double forward = times(2, sequence, c.num_hidden_layers) * matrices;
  const double attention = times(c.num_hidden_layers, 2, 5, sequence, sequence,
                                 c.num_attention_heads, c.head_dim);
  const double classifier = times(2, c.vocab_size, c.hidden_size, sequence);
  // How often the classifier's product runs on the engine.
  const double on_engine = kind == pipeline::Kind::kDynamic        ? 2
                           : kind == pipeline::Kind::kStaticExtras ? 1
                                                                   : 0;
  return {2 * forward + attention + on_engine * classifier,
          3 * forward + attention + 3 * classifier};
}

}  // namespace aneroid::cli
