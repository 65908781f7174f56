#include "apps/aneroid/bench_decode_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/random.h"
#include "aneroid/base/samples.h"
#include "aneroid/cpu/bandwidth.h"
#include "aneroid/infer/decode_loss.h"
#include "aneroid/infer/decoder.h"
#include "aneroid/telemetry/time_table.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/text.h"
#include "apps/aneroid/token_source.h"

namespace aneroid::cli {
namespace {

using cpu::GemvStorage;

// Passes over the probe's buffer per round, to take about as long as decoding.
constexpr int kProbePasses = 3;

struct DecodeBenchOptions {
  std::string model = "stories110m";
  std::string tokenizer;
  std::string data;
  std::vector<std::string> weights{"fp32", "fp16", "int8"};
  int64_t tokens = 16;
  int64_t rounds = 15;
  int64_t loss_tokens = 1024;
  int threads = 0;
  uint64_t seed = 42;
  bool json = false;
};

struct Row {
  GemvStorage storage;
  std::unique_ptr<infer::Decoder> decoder;
  std::vector<double> tokens_per_s;
  double nll = 0;

  double gigabytes(double rate) const {
    return rate * static_cast<double>(decoder->weight_bytes()) / 1e9;
  }
};

Result<model::LoadedModel> find_model(const DecodeBenchOptions& options) {
  if (!is_preset(options.model)) return load_weights(options.model);
  model::LoadedModel model;
  ANEROID_ASSIGN(model.config, fresh_config({options.model, ""}));
  model.weights = model::initialise(model.config, options.seed);
  return model;
}

// One measurement of each, in turn, so that all see the same machine.
void measure_round(cpu::ReadProbe& probe, std::span<const int32_t> ids,
                   std::vector<double>& bandwidth, std::vector<Row>& rows) {
  for (int pass = 0; pass < kProbePasses; ++pass) {
    const double seconds = probe.measure();
    bandwidth.push_back(static_cast<double>(probe.bytes()) / seconds / 1e9);
  }
  for (Row& row : rows) {
    row.decoder->clear();
    const telemetry::Timer timer;
    for (const int32_t id : ids) row.decoder->step(id);
    row.tokens_per_s.push_back(static_cast<double>(ids.size()) /
                               (timer.milliseconds() / 1000));
  }
}

// Of the first tokens of the data.
Result<int64_t> measure_loss(const DecodeBenchOptions& options,
                             const model::ModelConfig& config,
                             std::vector<Row>& rows) {
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;
  if (is_text(options.data)) {
    ANEROID_ASSIGN(tokenizer, find_tokenizer(options.tokenizer, options.model));
  }
  ANEROID_ASSIGN(const auto shard,
                 open_tokens(options.data, tokenizer.get(), config.vocab_size));
  if (shard->size() < 2) {
    return input_error("bench decode", options.data,
                       "has 1 token; 2 are needed to predict one");
  }
  std::vector<int32_t> ids(std::min<uint64_t>(
      shard->size(), static_cast<uint64_t>(options.loss_tokens) + 1));
  shard->read(0, ids);
  for (Row& row : rows) row.nll = infer::mean_nll(*row.decoder, ids);
  return static_cast<int64_t>(ids.size()) - 1;
}

void print_report(const DecodeBenchOptions& options,
                  const model::ModelConfig& config, int threads,
                  const std::vector<double>& bandwidth,
                  const std::vector<Row>& rows, int64_t loss_tokens) {
  print(
      "{}: {} tokens from position 0, {} rounds, {} threads\n"
      "memory reads at {:.1f} GB/s median, {:.1f} best, measured between the "
      "rounds\n\n",
      config.name, options.tokens, options.rounds, threads, median(bandwidth),
      greatest(bandwidth));
  std::vector<Column> columns = {{"weights"},
                                 {"read per token", Align::kRight},
                                 {"tokens/s median", Align::kRight},
                                 {"best", Align::kRight},
                                 {"GB/s median", Align::kRight},
                                 {"best", Align::kRight},
                                 {"of memory median", Align::kRight},
                                 {"best", Align::kRight}};
  if (loss_tokens > 0) columns.push_back({"loss", Align::kRight});
  Table table(columns);
  for (const Row& row : rows) {
    const double usual = median(row.tokens_per_s);
    const double best = greatest(row.tokens_per_s);
    const auto share = [&](double rate, double most) {
      return fmt::format("{:.0f} %", 100 * row.gigabytes(rate) / most);
    };
    std::vector<std::string> cells = {
        std::string(to_string(row.storage)),
        human_bytes(static_cast<double>(row.decoder->weight_bytes())),
        fmt::format("{:.1f}", usual),
        fmt::format("{:.1f}", best),
        fmt::format("{:.1f}", row.gigabytes(usual)),
        fmt::format("{:.1f}", row.gigabytes(best)),
        share(usual, median(bandwidth)),
        share(best, greatest(bandwidth))};
    if (loss_tokens > 0) cells.push_back(fmt::format("{:.6f}", row.nll));
    table.add(std::move(cells));
  }
  print("{}", table.to_string());
  if (loss_tokens > 0) {
    print("\nloss: mean NLL of {} tokens of {}, in nats\n",
          grouped(loss_tokens), visible(options.data));
  }
}

void print_report_json(const DecodeBenchOptions& options,
                       const model::ModelConfig& config, int threads,
                       const std::vector<double>& bandwidth,
                       const std::vector<Row>& rows, int64_t loss_tokens) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    const double usual = median(row.tokens_per_s);
    const double best = greatest(row.tokens_per_s);
    list.push_back(
        {{"weights", to_string(row.storage)},
         {"weight_bytes", row.decoder->weight_bytes()},
         {"tokens_per_s", usual},
         {"tokens_per_s_best", best},
         {"gb_per_s", row.gigabytes(usual)},
         {"gb_per_s_best", row.gigabytes(best)},
         {"of_bandwidth", row.gigabytes(usual) / median(bandwidth)},
         {"of_bandwidth_best", row.gigabytes(best) / greatest(bandwidth)}});
    if (loss_tokens > 0) list.back()["mean_nll"] = row.nll;
  }
  nlohmann::ordered_json json = {
      {"model", config.name},
      {"parameters", model::parameter_count(config)},
      {"threads", threads},
      {"tokens", options.tokens},
      {"rounds", options.rounds},
      {"bandwidth_gb_per_s", median(bandwidth)},
      {"bandwidth_gb_per_s_best", greatest(bandwidth)},
      {"rows", list}};
  if (loss_tokens > 0) json["loss_tokens"] = loss_tokens;
  print_json(json);
}

Result<int> run(const DecodeBenchOptions& options) {
  ANEROID_ASSIGN(model::LoadedModel model, find_model(options));
  const model::ModelConfig& config = model.config;
  if (options.tokens > config.max_position_embeddings) {
    return usage_error(fmt::format(
        "--tokens {} is more than the {} positions "
        "of {}",
        options.tokens, config.max_position_embeddings, config.name));
  }
  cpu::ThreadPool pool(options.threads);
  std::vector<Row> rows;
  for (const std::string& name : options.weights) {
    const GemvStorage storage = *cpu::gemv_storage(name);
    rows.push_back(
        {storage,
         std::make_unique<infer::Decoder>(pool, config, model.weights, storage,
                                          config.max_position_embeddings),
         {},
         0});
  }
  model.weights.clear();
  int64_t loss_tokens = 0;
  if (!options.data.empty()) {
    ANEROID_ASSIGN(loss_tokens, measure_loss(options, config, rows));
  }

  Random random(options.seed);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < options.tokens; ++i) {
    ids.push_back(static_cast<int32_t>(
        random.below(static_cast<uint64_t>(config.vocab_size))));
  }
  cpu::ReadProbe probe(pool);
  std::vector<double> bandwidth;
  // Warms caches, and the threads' own memory.
  for (Row& row : rows) row.decoder->step(ids.front());
  catch_interrupts();
  Progress progress(
      {"measuring", "rounds", static_cast<uint64_t>(options.rounds)});
  for (int64_t round = 0; round < options.rounds; ++round) {
    if (interrupted()) return kInterrupted;
    measure_round(probe, ids, bandwidth, rows);
    progress.update(static_cast<uint64_t>(round) + 1);
  }
  progress.clear();
  const auto report = options.json ? print_report_json : print_report;
  report(options, config, pool.threads(), bandwidth, rows, loss_tokens);
  return kGood;
}

}  // namespace

void setup_bench_decode(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run);
  describe(command,
           "Decodes tokens with the weights kept in fp32, fp16 and int8, and "
           "reads a large buffer with the same threads in between: decoding "
           "can be no faster than memory. With --data, the loss of each as "
           "well.",
           "  aneroid bench decode --model stories110m --weights fp16\n"
           "  aneroid bench decode --model stories260K.bin --data shard.bin\n");
  add_model_option(command, options->model)
      ->description("a preset at its start, or trained weights")
      ->capture_default_str();
  command
      .add_option("--weights", options->weights,
                  "fp32, fp16, int8, or several: --weights fp16,int8")
      ->type_name("NAME")
      ->delimiter(',')
      ->check(CLI::IsMember({"fp32", "fp16", "int8"}))
      ->capture_default_str();
  command
      .add_option("--tokens", options->tokens, "tokens to decode in a round")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--rounds", options->rounds, "measurements of each")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  add_data_option(command, options->data);
  add_tokenizer_option(command, options->tokenizer);
  command
      .add_option("--loss-tokens", options->loss_tokens,
                  "tokens of --data to predict")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 30))
      ->capture_default_str();
  command
      .add_option("--threads", options->threads,
                  "threads to compute with; 0 for all cores")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  add_seed_option(command, options->seed);
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
