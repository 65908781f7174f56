// Text generation: the prompt runs through the engine's programs, then one
// token at a time on the CPU with a key/value cache.
//
// A single position is below what the engine evaluates reliably (rule C098)
// and wastes the 31 other columns of its smallest surface, so decoding stays
// on the CPU, which is then limited by how fast it can read the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/gemv.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid::infer {

class Decoder;

// Thread-compatible.
class Generator {
 public:
  // `context` positions at most, prompt included. The weights that decode()
  // reads are copied into `storage`; by default fp16 when the device stores
  // fp16, fp32 otherwise. Errors: usage ("context" beyond the model's
  // max_position_embeddings).
  static Result<std::unique_ptr<Generator>> create(
      device::Device& device, cpu::ThreadPool& pool,
      const model::ModelConfig& config, const model::Weights& weights,
      int64_t context, std::optional<cpu::GemvStorage> storage = {});
  ~Generator();

  // Runs a whole prompt on the device and fills the cache; returns the logits
  // after its last token. Starts afresh. Errors: the device's; an empty or
  // too long prompt (usage), an id outside the vocabulary (input).
  Result<std::span<const float>> prefill(std::span<const int32_t> prompt);
  // The logits after one more token. Error (usage): the context is full.
  Result<std::span<const float>> decode(int32_t token);

  int64_t position() const;  // tokens so far
  int64_t context() const { return context_; }
  // Bytes of weights one decoded token reads.
  int64_t weight_bytes() const;

 private:
  Generator(device::Device& device, cpu::ThreadPool& pool,
            const model::ModelConfig& config, const model::Weights& weights,
            int64_t context, cpu::GemvStorage storage);

  device::Device& device_;
  cpu::ThreadPool& pool_;
  model::ModelConfig config_;
  const model::Weights& weights_;
  int64_t context_;
  std::unique_ptr<Decoder> decoder_;
  std::vector<float> logits_;
};

}  // namespace aneroid::infer
