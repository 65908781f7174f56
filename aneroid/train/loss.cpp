#include "aneroid/train/loss.h"

#include "aneroid/cpu/cross_entropy.h"

namespace aneroid::train {

Result<double> LossEvaluator::run(pipeline::Pipeline& pipeline,
                                  std::span<const int32_t> inputs,
                                  std::span<const int32_t> targets,
                                  const float* embedding, double gradient_scale,
                                  telemetry::TimeTable& time) {
  PartClock clock(time);
  ANEROID_TRY(pipeline.forward(inputs, embedding, clock.account()));
  clock.enter("loss");
  const auto tiles_of = [&](const std::vector<pipeline::LogitTile>& from) {
    std::vector<cpu::LogitTile> tiles;
    tiles.reserve(from.size());
    for (const auto& tile : from) {
      tiles.push_back({tile.data, tile.storage, tile.row_stride});
    }
    return tiles;
  };
  const std::vector<cpu::LogitTile> logits = tiles_of(pipeline.logits());
  std::vector<cpu::LogitTile> gradients;
  if (gradient_scale != 0) gradients = tiles_of(pipeline.logit_gradients());
  const auto count = static_cast<double>(targets.size());
  token_losses_.assign(targets.size(), 0.0);
  const cpu::ThreadPool::Label label(pool_, "cross entropy");
  cpu::cross_entropy(pool_,
                     {vocab_size_, pipeline.tile_size(), pipeline.columns()},
                     logits, targets, token_losses_, gradients,
                     static_cast<float>(gradient_scale / count) *
                         pipeline.logit_gradient_scale());
  double sum = 0;
  for (const double loss : token_losses_) sum += loss;
  return sum / count;
}

Result<double> LossEvaluator::mean(pipeline::Pipeline& pipeline,
                                   const data::Batch& batch,
                                   const float* embedding,
                                   telemetry::TimeTable& time) {
  const auto length = static_cast<size_t>(batch.sequence);
  double sum = 0;
  for (int64_t i = 0; i < batch.size; ++i) {
    const size_t at = static_cast<size_t>(i) * length;
    ANEROID_ASSIGN(const double loss,
                   run(pipeline, std::span(batch.inputs).subspan(at, length),
                       std::span(batch.targets).subspan(at, length), embedding,
                       0.0, time));
    sum += loss;
  }
  return sum / static_cast<double>(batch.size);
}

}  // namespace aneroid::train
