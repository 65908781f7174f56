#include "aneroid/infer/generator.h"

#include <fmt/format.h>

#include "aneroid/infer/decoder.h"
#include "aneroid/pipeline/dynamic.h"
#include "aneroid/pipeline/surface_io.h"

namespace aneroid::infer {
namespace {

// cache[t, c] = block[c, t]
void fill_cache(const pipeline::BlockView& block, int64_t positions,
                float* cache) {
  std::vector<float> rows(static_cast<size_t>(block.rows * positions));
  pipeline::read_rows(block.matrix, rows.data(), positions, block.rows,
                      positions);
  for (int64_t c = 0; c < block.rows; ++c) {
    for (int64_t t = 0; t < positions; ++t) {
      cache[t * block.rows + c] = rows[static_cast<size_t>(c * positions + t)];
    }
  }
}

}  // namespace

Generator::Generator(device::Device& device, cpu::ThreadPool& pool,
                     const model::ModelConfig& config,
                     const model::Weights& weights, int64_t context,
                     cpu::GemvStorage storage)
    : device_(device),
      pool_(pool),
      config_(config),
      weights_(weights),
      context_(context),
      decoder_(
          std::make_unique<Decoder>(pool, config, weights, storage, context)) {}

Generator::~Generator() = default;

Result<std::unique_ptr<Generator>> Generator::create(
    device::Device& device, cpu::ThreadPool& pool,
    const model::ModelConfig& config, const model::Weights& weights,
    int64_t context, std::optional<cpu::GemvStorage> storage) {
  if (context < 1 || context > config.max_position_embeddings) {
    return fail(ErrorKind::kUsage, "context", config.name,
                fmt::format("{} positions asked for; the model has 1 to {}",
                            context, config.max_position_embeddings));
  }
  const cpu::GemvStorage as_device = device.info().storage == DataType::kFp16
                                         ? cpu::GemvStorage::kHalf
                                         : cpu::GemvStorage::kFloat;
  return std::unique_ptr<Generator>(new Generator(
      device, pool, config, weights, context, storage.value_or(as_device)));
}

Result<std::span<const float>> Generator::prefill(
    std::span<const int32_t> prompt) {
  const auto length = static_cast<int64_t>(prompt.size());
  if (length < 1 || length > context_) {
    return fail(ErrorKind::kUsage, "prompt", "",
                fmt::format("has {} tokens; 1 to {} fit the context", length,
                            context_));
  }
  for (const int32_t id : prompt) {
    if (id < 0 || id >= config_.vocab_size) {
      return input_error("prompt", "",
                         fmt::format("token id {} is outside the model's "
                                     "vocabulary of {}: is this the model's "
                                     "tokenizer?",
                                     id, config_.vocab_size));
    }
  }
  ANEROID_ASSIGN(auto engine, pipeline::Dynamic::create(device_, pool_, config_,
                                                        {length, false}));
  engine->stage(weights_);
  const auto table = model::parameter_table(config_);
  const auto embedding =
      static_cast<size_t>(model::find_parameter(table, "embed_tokens"));
  ANEROID_TRY(engine->forward(prompt, weights_[embedding].data.data()));
  for (int64_t l = 0; l < config_.num_hidden_layers; ++l) {
    fill_cache(engine->keys(l), length, decoder_->keys(l));
    fill_cache(engine->values(l), length, decoder_->values(l));
  }
  decoder_->set_position(length);

  logits_.resize(static_cast<size_t>(config_.vocab_size));
  const auto tiles = engine->logits();
  for (int64_t v = 0; v < config_.vocab_size; ++v) {
    const auto& tile = tiles[static_cast<size_t>(v / engine->tile_size())];
    const pipeline::SurfaceMatrix matrix{tile.data, tile.storage,
                                         tile.row_stride};
    const int64_t row = v % engine->tile_size();
    pipeline::read_rows(
        {matrix.at(row, length - 1), tile.storage, tile.row_stride, 1},
        &logits_[static_cast<size_t>(v)], 1, 1, 1);
  }
  return logits_;
}

Result<std::span<const float>> Generator::decode(int32_t token) {
  if (decoder_->position() >= context_) {
    return fail(ErrorKind::kUsage, "context", "",
                fmt::format("all {} positions are used", context_));
  }
  if (token < 0 || token >= config_.vocab_size) {
    return input_error("decode", "",
                       fmt::format("token id {} is outside the vocabulary of "
                                   "{}",
                                   token, config_.vocab_size));
  }
  return decoder_->step(token);
}

int64_t Generator::position() const { return decoder_->position(); }
int64_t Generator::weight_bytes() const { return decoder_->weight_bytes(); }

}  // namespace aneroid::infer
