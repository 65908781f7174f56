#include "apps/aneroid/train_options.h"

#include <cmath>
#include <limits>
#include <type_traits>

#include <fmt/format.h>

#include "apps/aneroid/common.h"
#include "apps/aneroid/options.h"

namespace aneroid::cli {
namespace {

// A flag that runs of older versions did not keep has its default in them.
enum class Since : uint8_t { kAlways, kLater };

// Calls visit(name, field, since) for everything a run keeps.
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
  visit("pipeline", options.pipeline, Since::kLater);
  visit("ane_extras", options.ane_extras, Since::kLater);
  visit("rope", options.rope, Since::kLater);
  visit("residual_alpha", options.residual_alpha, Since::kLater);
  visit("init", options.init, Since::kLater);
  visit("fuse_optimizer", options.fuse_optimizer, Since::kLater);
  visit("moments", options.moments, Since::kLater);
  visit("compact_vocabulary", options.compact_vocabulary, Since::kLater);
  visit("chip", options.device.options.chip);
  visit("numerics", options.device.options.numerics);
}

}  // namespace

nlohmann::json to_json(const TrainOptions& options) {
  nlohmann::json json;
  for_each_kept(options, [&](const char* name, const auto& field,
                             Since = Since::kAlways) { json[name] = field; });
  return json;
}

Status restore(TrainOptions& options, const nlohmann::json& json,
               const std::string& place) {
  Status status;
  for_each_kept(options, [&](const char* name, auto& field,
                             Since since = Since::kAlways) {
    if (!status) return;
    using Field = std::decay_t<decltype(field)>;
    const auto found = json.find(name);
    if (found == json.end() && since == Since::kLater) return;
    bool good = found != json.end();
    if constexpr (std::is_same_v<Field, std::string>) {
      good = good && found->is_string();
    } else if constexpr (std::is_same_v<Field, bool>) {
      good = good && found->is_boolean();
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

Result<pipeline::Options> pipeline_options(const TrainOptions& options,
                                           const model::ModelConfig& config) {
  pipeline::Options result;
  ANEROID_ASSIGN(result.kind, pipeline::kind_from_name(options.pipeline));
  if (result.kind == pipeline::Kind::kStaticExtras && !options.ane_extras) {
    result.kind = pipeline::Kind::kStatic;
  }
  result.rope = options.rope;
  result.residual_scale =
      options.residual_alpha != 0
          ? options.residual_alpha
          : 1 / std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers));
  return result;
}

Status check(const TrainOptions& options) {
  ANEROID_ASSIGN(const pipeline::Kind kind,
                 pipeline::kind_from_name(options.pipeline));
  if (!options.ane_extras && kind != pipeline::Kind::kStaticExtras) {
    return usage_error("--no-ane-extras belongs to --pipeline static-extras");
  }
  if (!options.rope && kind == pipeline::Kind::kDynamic) {
    return usage_error(
        "--no-rope belongs to the static pipelines: the dynamic one always "
        "turns queries and keys by position");
  }
  if (options.fuse_optimizer &&
      (options.accumulation != 1 || kind != pipeline::Kind::kDynamic)) {
    return usage_error(
        "--fuse-optimizer needs --accum 1 and --pipeline dynamic: sums over "
        "micro-steps have to be stored");
  }
  ANEROID_TRY(moments_from_name(options.moments));
  if (options.init != "normal" && options.init != "published") {
    return usage_error(
        fmt::format("--init is '{}'; use normal or published", options.init));
  }
  if (options.compact_vocabulary != "auto" &&
      options.compact_vocabulary != "on" &&
      options.compact_vocabulary != "off") {
    return usage_error(
        fmt::format("--compact-vocabulary is '{}'; use auto, on or off",
                    options.compact_vocabulary));
  }
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
      {"--residual-alpha", options.residual_alpha, 0, 100},
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
                   "only --steps, --compact-vocabulary and --moments may "
                   "change");
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
  command.add_flag(
      "--fuse-optimizer", o.fuse_optimizer,
      "with --accum 1: never store the gradients, but hand them to "
      "the optimizer piece by piece; less memory, more time");
  add_moments_option(command, o.moments);
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
  command
      .add_option(
          "--pipeline", o.pipeline,
          "how weights reach the engine: dynamic (in the input), static "
          "(compiled in, again at each update), static-extras "
          "(classifier, softmax and norms on the engine too) or delta "
          "(compiled in, then reloaded)")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_flag("!--no-ane-extras", o.ane_extras,
                   "static-extras without the extras");
  command.add_flag("--as-published", o.as_published,
                   "as the first published trainer of this pipeline did it, "
                   "mistakes included: positions, loss scale, initialisation, "
                   "schedule; other flags still count");
  command.add_flag("!--no-rope", o.rope,
                   "forget to turn queries and keys by position, as the "
                   "published static pipelines do");
  number("--residual-alpha", o.residual_alpha,
         "factor of what attention and FFN add; 0 for 1/sqrt(2 layers)", "F");
  command
      .add_option("--init", o.init,
                  "how new weights are drawn: normal, or published (uniform)")
      ->type_name("NAME")
      ->capture_default_str();
  command
      .add_option("--compact-vocabulary", o.compact_vocabulary,
                  "train on the ids that the data uses: on, off, or auto (when "
                  "they are at most half of all, and 4096 or more are not)")
      ->type_name("WHEN")
      ->capture_default_str();
  command.add_option("--restarted", o.inherited_lock)->group("");
  add_json_option(command, o.json);
  add_device_options(command, o.device);
}

}  // namespace aneroid::cli
