// Random tokens to measure with.
#pragma once

#include <cstdint>

#include "aneroid/base/random.h"
#include "aneroid/data/loader.h"
#include "aneroid/model/config.h"

namespace aneroid::cli {

inline data::Batch random_batch(const model::ModelConfig& config, int64_t size,
                                int64_t sequence, Random& random) {
  data::Batch batch{size, sequence, {}, {}};
  for (int64_t i = 0; i < size * sequence; ++i) {
    for (auto* ids : {&batch.inputs, &batch.targets}) {
      ids->push_back(static_cast<int32_t>(
          random.below(static_cast<uint64_t>(config.vocab_size))));
    }
  }
  return batch;
}

}  // namespace aneroid::cli
