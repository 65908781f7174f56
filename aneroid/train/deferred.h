// Weight gradients that are never stored: noted during the backward pass,
// computed tile by tile afterwards, each handed to the optimizer while it is in
// the cache. Saves the memory of all gradients.
//
// Afterwards, because an overflow must be known before the first weight
// changes. Only where one micro-step is an update: sums over micro-steps need
// the memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/train/gradients.h"

namespace aneroid::train {

// Thread-compatible. The pipeline's surfaces must stay untouched from the
// backward pass until update() returns.
class DeferredGradients {
 public:
  DeferredGradients(cpu::ThreadPool& pool, const model::ModelConfig& config);

  // For Pipeline::backward(), once per update; forgets what was noted before.
  pipeline::GradientSink begin();
  // After the backward pass: dx is [tokens, D], see Gradients::finish().
  void finish(std::span<const int32_t> tokens, const std::vector<float>& dx);

  // False after an overflow: some factor of a gradient is NaN or infinite.
  bool finite() const;
  // Euclidean norm over everything, without computing the gradients: with
  // G = dY X^T, |G|^2 is the sum over (dY^T dY) * (X^T X), two small matrices.
  // Costs a tenth of a micro-step.
  double norm();

  // Computes every gradient, each element once, and returns when all pieces
  // were consumed. `consume` is called from several threads.
  void update(const std::function<void(const GradientPiece&)>& consume);

 private:
  // Gradients at the embedding's output, summed per token id.
  struct EmbeddingRow {
    int32_t token = 0;
    std::vector<float> values;
  };
  double weight_squares(const pipeline::WeightGradient& gradient);
  double embedding_squares() const;
  // block^T block, [S, S].
  void gram(const pipeline::BlockView& block, std::vector<float>& result);
  void add_embedding_rows(const GradientPiece& piece) const;
  void scatter_untied(const std::function<void(const GradientPiece&)>& consume);

  cpu::ThreadPool& pool_;
  const model::ModelConfig config_;
  std::vector<model::ParameterSpec> table_;
  size_t embedding_;  // row of the table
  std::vector<pipeline::WeightGradient> weights_;
  struct Gain {
    size_t parameter;
    std::vector<float> values;
  };
  std::vector<pipeline::GainGradient> gain_operands_;
  std::vector<Gain> gains_;
  std::vector<EmbeddingRow> embedding_rows_;  // by token
  std::vector<float> dy_gram_;
  // Several gradients share an x, one after the other.
  std::vector<float> x_gram_;
  const void* x_of_gram_ = nullptr;
  cpu::GemmScratch gram_scratch_;
  std::vector<cpu::GemmScratch> scratch_;
};

}  // namespace aneroid::train
