// Pipelines by name.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::pipeline {

enum class Kind : uint8_t {
  kDynamic,  // weights travel in the input surfaces; compiled once
  kStatic,   // weights are constants; every update compiles all layers again
  kStaticExtras,  // static; classifier, softmax and norms on the engine too
  kDelta,         // static, but an update replaces weight files and reloads
};
// "dynamic", "static", "static-extras", "delta".
std::string_view name(Kind kind);
// Error (usage): lists the names.
Result<Kind> kind_from_name(std::string_view name);
std::span<const Kind> all_kinds();

struct Options {
  Kind kind = Kind::kDynamic;
  // Turn queries and keys by position. Off reproduces the published static
  // programs, which forget to; the dynamic ones cannot.
  bool rope = true;
  // Factor of what attention and FFN add to the residual stream.
  double residual_scale = 1;
  // Programs one process compiles before it prefers a new process, when the
  // device has a budget (rule C090): as published, some way under it.
  int compile_limit = 100;
  // Leave the operands of all gradients in place until the next forward().
  bool keep_operands = false;
};

// For training on `sequence` tokens: compiles what needs no weights, allocates.
// Errors: the kernels', the device's; "C082" (device) for kDelta where weights
// are frozen when compiled; "C090" (device) when not even one update's programs
// fit the budget; usage for rope off in kDynamic.
Result<std::unique_ptr<Pipeline>> create(const Options& options,
                                         device::Device& device,
                                         cpu::ThreadPool& pool,
                                         const model::ModelConfig& config,
                                         int64_t sequence);

}  // namespace aneroid::pipeline
