// Pipelines by name.
#pragma once

#include <cstdint>
#include <memory>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::pipeline {

enum class Kind : uint8_t {
  kDynamic,  // weights travel in the input surfaces; compiled once
};

// For training on `sequence` tokens: compiles what needs no weights, allocates.
// Errors: the kernels', the device's.
Result<std::unique_ptr<Pipeline>> create(Kind kind, device::Device& device,
                                         cpu::ThreadPool& pool,
                                         const model::ModelConfig& config,
                                         int64_t sequence);

}  // namespace aneroid::pipeline
