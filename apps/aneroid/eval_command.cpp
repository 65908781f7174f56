// aneroid eval: how well a model predicts a text.
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/dynamic.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/loss.h"
#include "aneroid/train/vocabulary.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/text.h"
#include "apps/aneroid/token_source.h"

namespace aneroid::cli {
namespace {

struct EvalOptions {
  std::string model;
  std::string tokenizer;
  std::string data;
  int64_t sequence = 0;
  int64_t max_tokens = 0;
  bool json = false;
  DeviceFlags device;
};

// The ids that the model was trained on, when these are not all and the tokens
// are among them: other ids have logits that nothing ever corrected.
std::optional<train::VocabularyMap> trained_ids(
    const model::LoadedModel& model, const data::TokenShard& tokens) {
  if (model.used_ids.empty()) return {};
  const auto present = train::VocabularyMap::of(tokens);
  for (const int32_t id : present.to_whole()) {
    if (!model.used_ids[static_cast<size_t>(id)]) return {};
  }
  return train::VocabularyMap(model.used_ids);
}

Result<int> run_eval(const EvalOptions& options) {
  ANEROID_ASSIGN(auto loaded, load_weights(options.model));
  const model::ModelConfig& config = loaded.config;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  if (is_text(options.data)) {
    ANEROID_ASSIGN(tokenizer, find_tokenizer(options.tokenizer, options.model));
  }
  ANEROID_ASSIGN(const auto tokens,
                 open_tokens(options.data, tokenizer.get(), config.vocab_size));
  const auto used = trained_ids(loaded, *tokens);
  if (used) {
    loaded.config = used->compact(std::move(loaded.config));
    loaded.weights = used->compact(std::move(loaded.weights));
  }
  auto available = static_cast<int64_t>(tokens->size()) - 1;
  if (available < 1) {
    return input_error("eval", options.data,
                       "has 1 token; 2 are needed to predict one");
  }
  if (options.max_tokens > 0) {
    available = std::min(available, options.max_tokens);
  }
  const int64_t sequence =
      std::min(options.sequence > 0
                   ? options.sequence
                   : std::min<int64_t>(256, config.max_position_embeddings),
               available);
  ANEROID_ASSIGN(const OpenedDevice opened, open_device(options.device));
  ANEROID_ASSIGN(const auto pipeline,
                 pipeline::Dynamic::create(*opened.device, *opened.pool, config,
                                           {sequence, false}));
  pipeline->stage(loaded.weights);
  const auto table = model::parameter_table(config);
  const auto embedding =
      static_cast<size_t>(model::find_parameter(table, "embed_tokens"));

  catch_interrupts();
  train::LossEvaluator evaluator(*opened.pool, config.vocab_size);
  telemetry::TimeTable time;
  const telemetry::Timer timer;
  Progress progress({"evaluating", "tokens", static_cast<uint64_t>(available)});
  double sum = 0;
  int64_t done = 0;
  std::vector<int32_t> ids;
  while (done < available && !interrupted()) {
    // Each token but the first is predicted once; windows do not overlap.
    const int64_t length = std::min(sequence, available - done);
    ids.resize(static_cast<size_t>(length) + 1);
    tokens->read(static_cast<uint64_t>(done), ids);
    for (int32_t& id : ids) {
      if (used) id = used->to_compact()[static_cast<size_t>(id)];
    }
    const std::span<const int32_t> window(ids);
    ANEROID_ASSIGN(
        const double loss,
        evaluator.run(*pipeline, window.first(ids.size() - 1),
                      window.subspan(1), loaded.weights[embedding].data.data(),
                      0.0, time));
    sum += loss * static_cast<double>(length);
    done += length;
    progress.update(static_cast<uint64_t>(done));
  }
  progress.clear();
  if (interrupted()) return kInterrupted;
  const double mean = sum / static_cast<double>(done);
  const double rate = static_cast<double>(done) / (timer.milliseconds() / 1000);
  if (options.json) {
    print_json({{"mean_nll", mean},
                {"perplexity", std::exp(mean)},
                {"tokens", done},
                {"sequence", sequence},
                {"tokens_per_s", rate},
                {"device", opened.device->info().name},
                {"numerics", opened.device->info().numerics}});
  } else {
    print("mean NLL    {:.6f} nats per token\n", mean);
    print("perplexity  {:.4f}\n", std::exp(mean));
    print("tokens      {} in windows of {}, {} tokens/s on the {} ({})\n",
          grouped(done), sequence, human_count(rate),
          opened.device->info().name, opened.device->info().numerics);
  }
  return kGood;
}

}  // namespace

void setup_eval(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_eval);
  describe(command,
           "Mean negative log-likelihood of every token but the first, given "
           "those before it in its window.",
           "  aneroid eval --model runs/stories --data other.txt\n"
           "  aneroid eval --model stories15M.bin --data valid.bin --seq 256 "
           "--json\n");
  add_model_option(command, options->model)->required();
  add_tokenizer_option(command, options->tokenizer);
  add_data_option(command, options->data)->required();
  add_sequence_option(command, options->sequence);
  command
      .add_option("--max-tokens", options->max_tokens,
                  "stop after this many; 0 for all")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  add_json_option(command, options->json);
  add_device_options(command, options->device);
}

}  // namespace aneroid::cli
