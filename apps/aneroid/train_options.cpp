#include "apps/aneroid/train_options.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "apps/aneroid/common.h"
#include "apps/aneroid/options.h"

namespace aneroid::cli {
namespace {

// Calls visit(name, field) for everything a run keeps.
template <typename Options, typename Visit>
void for_each_kept(Options& options, Visit visit) {
  visit("model", options.model);
  visit("config", options.config);
  visit("data", options.data);
  visit("tokenizer", options.tokenizer);
  visit("seq", options.sequence);
  visit("steps", options.steps);
  visit("accum", options.accumulation);
  visit("lr", options.lr);
  visit("min_lr", options.min_lr);
  visit("warmup", options.warmup);
  visit("beta1", options.beta1);
  visit("beta2", options.beta2);
  visit("eps", options.epsilon);
  visit("weight_decay", options.weight_decay);
  visit("clip", options.clip);
  visit("loss_scale", options.loss_scale);
  visit("loss_scale_growth", options.loss_scale_growth);
  visit("validation", options.validation);
  visit("validate_every", options.validate_every);
  visit("checkpoint_every", options.checkpoint_every);
  visit("seed", options.seed);
  visit("chip", options.device.options.chip);
  visit("numerics", options.device.options.numerics);
}

}  // namespace

nlohmann::json to_json(const TrainOptions& options) {
  nlohmann::json json;
  for_each_kept(options, [&](const char* name, const auto& field) {
    json[name] = field;
  });
  return json;
}

Status restore(TrainOptions& options, const nlohmann::json& json,
               const std::string& place) {
  Status status;
  for_each_kept(options, [&](const char* name, auto& field) {
    if (!status) return;
    using Field = std::decay_t<decltype(field)>;
    const auto found = json.find(name);
    bool good = found != json.end();
    if constexpr (std::is_same_v<Field, std::string>) {
      good = good && found->is_string();
    } else if constexpr (std::is_integral_v<Field>) {
      good = good && found->is_number_integer() &&
             (found->is_number_unsigned() ||
              (std::is_signed_v<Field> && *found < 0)) &&
             *found <= std::numeric_limits<Field>::max();
    } else {
      good = good && found->is_number();
    }
    if (good) {
      found->get_to(field);
    } else {
      status = input_error("run.config", place,
                           fmt::format("flag '{}' is missing, of the wrong "
                                       "kind or out of range; the run cannot "
                                       "be resumed",
                                       name));
    }
  });
  if (!status) return status;
  if (Status sound = check(options); !sound) {
    return input_error("run.config", place, sound.error().message);
  }
  return status;
}

Status check(const TrainOptions& options) {
  struct Row {
    const char* flag;
    double value;
    double low;
    double high;
  };
  const Row rows[] = {
      {"--lr", options.lr, 1e-12, 1e3},
      {"--min-lr", options.min_lr, 0, 1},
      {"--beta1", options.beta1, 0, 0.999999},
      {"--beta2", options.beta2, 0, 0.999999},
      {"--eps", options.epsilon, 1e-30, 1},
      {"--weight-decay", options.weight_decay, 0, 100},
      {"--clip", options.clip, 0, 1e6},
      {"--loss-scale", options.loss_scale, 1.0 / 256, 1 << 24},
      {"--validation", options.validation, 0, 0.9},
      {"--steps", static_cast<double>(options.steps), 1, 1e9},
      {"--accum", static_cast<double>(options.accumulation), 1, 1e5},
      {"--warmup", static_cast<double>(options.warmup), 0, 1e9},
      {"--loss-scale-growth", static_cast<double>(options.loss_scale_growth), 0,
       1e9},
      {"--validate-every", static_cast<double>(options.validate_every), 0, 1e9},
      {"--checkpoint-every", static_cast<double>(options.checkpoint_every), 0,
       1e9},
  };
  for (const Row& row : rows) {
    if (!(row.value >= row.low && row.value <= row.high)) {
      return usage_error(fmt::format("{} is {}; {} to {} makes sense", row.flag,
                                     row.value, row.low, row.high));
    }
  }
  return {};
}

void add_train_options(CLI::App& command, TrainOptions& o) {
  const auto number = [&](const char* flag, auto& field, const char* text,
                          const char* unit) {
    command.add_option(flag, field, text)
        ->type_name(unit)
        ->capture_default_str();
  };
  command.add_option("--out", o.out, "the run's folder")
      ->type_name("RUN")
      ->capture_default_str();
  command.add_flag("--resume", o.resume,
                   "continue the run in --out, with the flags it began with; "
                   "only --steps may change");
  command.add_flag("--overwrite", o.overwrite,
                   "replace the run in --out, if there is one");
  add_model_option(command, o.model)
      ->description(
          "a preset to start from scratch (storybook, stories260k, stories15m, "
          "stories42m, stories110m), or weights to go on with: a run folder, "
          ".safetensors, llama2.c .bin, Hugging Face folder")
      ->capture_default_str();
  command
      .add_option("--config", o.config,
                  "start from scratch with this config.json instead")
      ->type_name("FILE");
  add_data_option(command, o.data)
      ->description(
          "text (.txt) or a token shard; the built-in stories when "
          "not given");
  add_tokenizer_option(command, o.tokenizer);
  add_sequence_option(command, o.sequence);
  number("--steps", o.steps, "optimizer updates in all", "N");
  number("--accum", o.accumulation, "sequences per update", "N");
  number("--lr", o.lr, "peak learning rate", "LR");
  number("--min-lr", o.min_lr, "the cosine's end, as a share of --lr", "F");
  number("--warmup", o.warmup, "updates of linear warm-up", "N");
  number("--beta1", o.beta1, "AdamW's first decay", "F");
  number("--beta2", o.beta2, "AdamW's second decay", "F");
  number("--eps", o.epsilon, "AdamW's epsilon", "F");
  number("--weight-decay", o.weight_decay,
         "decoupled decay of matrices (gains have none)", "F");
  number("--clip", o.clip, "largest gradient norm; 0 for no limit", "F");
  number("--loss-scale", o.loss_scale, "first loss scale", "F");
  number("--loss-scale-growth", o.loss_scale_growth,
         "good updates before the scale doubles; 0 to keep it", "N");
  number("--validation", o.validation,
         "share of the tokens held out; 0 for none", "F");
  number("--validate-every", o.validate_every, "updates between validations",
         "N");
  number("--checkpoint-every", o.checkpoint_every,
         "updates between checkpoints", "N");
  add_seed_option(command, o.seed);
  add_json_option(command, o.json);
  add_device_options(command, o.device);
}

}  // namespace aneroid::cli
