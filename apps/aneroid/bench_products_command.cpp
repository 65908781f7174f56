#include "apps/aneroid/bench_products_command.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/random.h"
#include "aneroid/numerics/product_count.h"
#include "aneroid/train/trainer.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using numerics::ProductCount;
using Json = nlohmann::ordered_json;

struct ProductsOptions {
  std::string model = "stories15m";
  int64_t sequence = 128;
  double loss_scale = train::TrainerOptions{}.loss_scale;
  uint64_t seed = 42;
  bool json = false;
  DeviceFlags device;
};

using Counts = std::vector<std::pair<std::string, ProductCount>>;

ProductCount& count_of(Counts& counts, std::string_view program) {
  for (auto& [name, count] : counts) {
    if (name == program) return count;
  }
  counts.emplace_back(program, ProductCount{});
  return counts.back().second;
}

// One micro-step on random tokens.
Result<Counts> measure(const ProductsOptions& options,
                       const model::LoadedModel& model, double loss_scale) {
  Counts counts;
  DeviceFlags flags = options.device;
  flags.options.numerics = "exact";
  flags.options.observe_products = [&counts](std::string_view program,
                                             const ProductCount& count) {
    count_of(counts, program) += count;
  };
  ANEROID_ASSIGN(const OpenedDevice opened, open_device(flags));
  train::TrainerOptions trainer_options;
  trainer_options.sequence = options.sequence;
  trainer_options.loss_scale = loss_scale;
  ANEROID_ASSIGN(auto trainer, train::Trainer::create(
                                   *opened.device, *opened.pool, model.config,
                                   model.weights, trainer_options));
  Random random(options.seed);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i <= options.sequence; ++i) {
    tokens.push_back(static_cast<int32_t>(
        random.below(static_cast<uint64_t>(model.config.vocab_size))));
  }
  const std::span<const int32_t> all(tokens);
  telemetry::TimeTable time;
  ANEROID_TRY(trainer->micro_step(all.first(tokens.size() - 1),
                                  all.last(tokens.size() - 1), true, time));
  return counts;
}

double share(int64_t part, const ProductCount& count) {
  return static_cast<double>(part) /
         static_cast<double>(std::max<int64_t>(1, count.total()));
}

Json to_json(const Counts& counts) {
  Json rows = Json::array();
  for (const auto& [program, count] : counts) {
    Json exponents = Json::object();
    for (int i = 0; i < ProductCount::kSums; ++i) {
      const int64_t products = count.by_exponent[static_cast<size_t>(i)];
      if (products == 0) continue;
      exponents[std::to_string(i - ProductCount::kOffset)] = products;
    }
    rows.push_back({{"program", program},
                    {"products", count.total()},
                    {"zero_factor", share(count.zero, count)},
                    {"dropped", share(count.dropped(), count)},
                    {"by_exponent_sum", exponents}});
  }
  return rows;
}

Result<int> run(const ProductsOptions& options) {
  model::LoadedModel model;
  if (is_preset(options.model)) {
    ANEROID_ASSIGN(model.config, fresh_config({options.model, ""}));
    model.weights = model::initialise(model.config, options.seed);
  } else {
    ANEROID_ASSIGN(model, load_weights(options.model));
  }
  ANEROID_ASSIGN(const Counts scaled,
                 measure(options, model, options.loss_scale));
  ANEROID_ASSIGN(Counts unscaled, measure(options, model, 1.0));
  if (options.json) {
    print_json({{"model", model.config.name},
                {"sequence", options.sequence},
                {"loss_scale", options.loss_scale},
                {"scaled", to_json(scaled)},
                {"unscaled", to_json(unscaled)}});
    return kGood;
  }
  print(
      "{}, sequence {}, one micro-step in exact numerics\n"
      "A product is dropped when the exponents of its factors sum to less than "
      "-16.\n\n",
      model.config.name, options.sequence);
  Table table({{"program"},
               {"products", Align::kRight},
               {"a factor is 0", Align::kRight},
               {fmt::format("dropped, loss scale {}", options.loss_scale),
                Align::kRight},
               {""},
               {"without", Align::kRight}});
  for (const auto& [program, count] : scaled) {
    const double dropped = share(count.dropped(), count);
    const ProductCount& other = count_of(unscaled, program);
    table.add({program, grouped(count.total()),
               fmt::format("{:.1f} %", 100 * share(count.zero, count)),
               fmt::format("{:.2f} %", 100 * dropped), bar(dropped, 16),
               fmt::format("{:.2f} %", 100 * share(other.dropped(), other))});
  }
  print("{}", table.to_string());
  return kGood;
}

}  // namespace

void setup_bench_products(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run);
  describe(command,
           "Counts, program by program, which products of one training step "
           "the engine's accumulator would drop, with loss scaling and "
           "without.",
           "  aneroid bench products\n"
           "  aneroid bench products --model runs/stories --json\n");
  add_model_option(command, options->model)
      ->description("a preset at its start, or trained weights")
      ->capture_default_str();
  add_sequence_option(command, options->sequence)->capture_default_str();
  command
      .add_option("--loss-scale", options->loss_scale,
                  "factor on the gradients")
      ->type_name("F")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  add_seed_option(command, options->seed);
  add_json_option(command, options->json);
  add_device_options(command, options->device);
}

}  // namespace aneroid::cli
