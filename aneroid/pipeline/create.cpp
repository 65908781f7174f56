#include "aneroid/pipeline/create.h"

#include <cassert>

#include "aneroid/pipeline/dynamic.h"

namespace aneroid::pipeline {

Result<std::unique_ptr<Pipeline>> create(Kind kind, device::Device& device,
                                         cpu::ThreadPool& pool,
                                         const model::ModelConfig& config,
                                         int64_t sequence) {
  switch (kind) {
    case Kind::kDynamic: {
      ANEROID_ASSIGN(auto dynamic,
                     Dynamic::create(device, pool, config, {sequence, true}));
      return dynamic;
    }
  }
  assert(false);
  return nullptr;
}

}  // namespace aneroid::pipeline
