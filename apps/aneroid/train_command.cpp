// aneroid train: from text to a model that writes.
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/data/loader.h"
#include "aneroid/model/checkpoint.h"
#include "aneroid/telemetry/event_writer.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/tokenizer/bpe_model.h"
#include "aneroid/train/run.h"
#include "aneroid/train/vocabulary.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/published.h"
#include "apps/aneroid/restart.h"
#include "apps/aneroid/text.h"
#include "apps/aneroid/token_source.h"
#include "apps/aneroid/train_options.h"
#include "apps/aneroid/train_report.h"

namespace aneroid::cli {
namespace {

namespace fs = std::filesystem;

// What a run starts from.
struct Start {
  model::ModelConfig config;
  model::Weights weights;                           // empty: initialise
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // null: a shard needs none
  fs::path tokenizer_source;                        // its file, or
  std::optional<tokenizer::BpeModel> learnt;        // what was learnt here
  std::optional<model::Checkpoint> checkpoint;
  int64_t sequence = 0;
};

fs::path config_path(const fs::path& run) { return run / "config.json"; }

bool has_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The tokenizer of a fresh run: named, the weights' own, or learnt from the
// text. A shard needs none.
Status choose_tokenizer(const TrainOptions& options, bool weights_given,
                        Start& start) {
  if (!options.tokenizer.empty() || weights_given) {
    const auto path = tokenizer_path(options.tokenizer, options.model);
    if (!path) {
      return is_text(options.data) ? tl::unexpected(path.error()) : Status();
    }
    ANEROID_ASSIGN(start.tokenizer, tokenizer::load_tokenizer(*path));
    start.tokenizer_source = *path;
    return {};
  }
  if (!is_text(options.data)) return {};
  ANEROID_ASSIGN(const auto documents, read_documents(options.data));
  ANEROID_ASSIGN(start.learnt,
                 tokenizer::train_bpe(
                     documents, static_cast<int32_t>(start.config.vocab_size)));
  if (!options.json) {
    print("tokenizer   {} pieces learnt from {} documents\n",
          grouped(start.learnt->vocab_size()), grouped(std::ssize(documents)));
  }
  ANEROID_ASSIGN(start.tokenizer, tokenizer::make_tokenizer(*start.learnt));
  // A small text may have fewer pieces than the model has room for.
  start.config.vocab_size = start.tokenizer->vocab_size();
  return {};
}

// Puts the tokenizer in the run's folder, where generate finds it.
Status keep_tokenizer(const Start& start, const std::string& bytes,
                      const fs::path& run) {
  const fs::path target = tokenizer_file(run, *start.tokenizer);
  if (start.learnt) return tokenizer::save_bpe(*start.learnt, target);
  return write_file_atomically(target, bytes);
}

Result<model::Weights> new_weights(const TrainOptions& options,
                                   const model::ModelConfig& config) {
  if (options.init == "normal") {
    return model::initialise(config, options.seed);
  }
  ANEROID_ASSIGN(const auto chosen, pipeline_options(options, config));
  return published_weights(config, chosen.kind, options.seed);
}

Result<Start> fresh_start(const TrainOptions& options) {
  Start start;
  const bool from_scratch = !options.config.empty() || is_preset(options.model);
  if (from_scratch) {
    ANEROID_ASSIGN(start.config, fresh_config({options.model, options.config}));
  } else {
    ANEROID_ASSIGN(auto loaded, load_weights(options.model));
    start.config = std::move(loaded.config);
    start.weights = std::move(loaded.weights);
  }
  ANEROID_TRY(choose_tokenizer(options, !from_scratch, start));
  if (from_scratch) {
    ANEROID_ASSIGN(start.weights, new_weights(options, start.config));
  }
  return start;
}

Result<Start> resumed_start(TrainOptions& options, const CLI::App& command) {
  const fs::path run(options.out);
  const fs::path path = config_path(run);
  if (!has_file(path)) {
    return input_error("run.config", path.string(),
                       "there is no run to resume here: start one without "
                       "--resume");
  }
  ANEROID_ASSIGN(const std::string text, read_file(path, 1 << 20));
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("flags") ||
      !json["flags"].is_object()) {
    return input_error("run.config", path.string(),
                       "is not the config.json of a run");
  }
  const int64_t steps = options.steps;
  const std::string compact_vocabulary = options.compact_vocabulary;
  const std::string moments = options.moments;
  ANEROID_TRY(restore(options, json["flags"], path.string()));
  if (command.count("--steps") > 0) options.steps = steps;
  if (command.count("--compact-vocabulary") > 0) {
    options.compact_vocabulary = compact_vocabulary;
  }
  if (command.count("--moments") > 0) options.moments = moments;
  if (const Status sound = check(options); !sound) {
    return input_error("run.config", path.string(), sound.error().message);
  }
  Start start;
  ANEROID_ASSIGN(auto config,
                 model::config_from_json(json.value("model", nlohmann::json()),
                                         path.string()));
  start.config = std::move(config);
  if (is_text(options.data)) {
    ANEROID_ASSIGN(start.tokenizer, find_tokenizer("", options.out));
  }
  const fs::path checkpoint = train::checkpoint_path(run);
  if (has_file(checkpoint)) {
    ANEROID_ASSIGN(start.checkpoint, model::load_checkpoint(checkpoint));
    start.weights = start.checkpoint->weights;
  } else if (options.config.empty() && !is_preset(options.model)) {
    // Killed before its first checkpoint: it begins again.
    ANEROID_ASSIGN(auto loaded, load_weights(options.model));
    start.weights = std::move(loaded.weights);
  } else {
    ANEROID_ASSIGN(start.weights, new_weights(options, start.config));
  }
  return start;
}

Status check_folder(const TrainOptions& options) {
  if (options.resume || options.overwrite ||
      !has_file(config_path(options.out))) {
    return {};
  }
  return usage_error(fmt::format(
      "'{}' holds a run already: continue it with --resume, choose another "
      "folder with --out, or replace it with --overwrite",
      options.out));
}

// What a killed process left half-written; and, before a new run is put in its
// place, the old one.
Status clean_folder(const TrainOptions& options) {
  const fs::path run(options.out);
  std::vector<fs::path> files;
  std::error_code error;
  for (const fs::path& ours : {config_path(run), train::checkpoint_path(run),
                               train::events_path(run)}) {
    const std::string prefix = ours.filename().string() + ".tmp-";
    for (const auto& entry : fs::directory_iterator(run, error)) {
      if (entry.path().filename().string().starts_with(prefix)) {
        files.push_back(entry.path());
      }
    }
    if (error) return input_error("file", run.string(), error.message());
  }
  if (!options.resume) {
    for (const fs::path& path :
         {config_path(run), train::checkpoint_path(run),
          train::events_path(run), run / "tokenizer.json",
          run / "tokenizer.model", run / "tokenizer.bin"}) {
      files.push_back(path);
    }
  }
  for (const fs::path& path : files) {
    fs::remove(path, error);
    if (error) return input_error("file", path.string(), error.message());
  }
  return {};
}

telemetry::RunEvent run_event(const TrainOptions& options, const Start& start,
                              const OpenedDevice& opened, int64_t done) {
  telemetry::RunEvent event;
  event.version = ANEROID_VERSION;
  event.started = telemetry::utc_now();
  event.first_step = done + 1;
  event.config = model::to_json(start.config);
  event.flags = to_json(options);
  event.host = {{"threads", opened.pool->threads()},
                {"cores", std::thread::hardware_concurrency()},
                {"simd", cpu::simd_target()}};
  const device::DeviceInfo& info = opened.device->info();
  event.device = {{"name", info.name},
                  {"chip", info.chip},
                  {"numerics", info.numerics},
                  {"is_chip", info.is_chip}};
  return event;
}

Result<train::TrainerOptions> trainer_options(const TrainOptions& options,
                                              const Start& start) {
  train::TrainerOptions result;
  ANEROID_ASSIGN(result.pipeline, pipeline_options(options, start.config));
  result.sequence = start.sequence;
  result.schedule = {options.lr, options.min_lr, options.warmup, options.steps};
  result.beta1 = options.beta1;
  result.beta2 = options.beta2;
  result.epsilon = options.epsilon;
  result.weight_decay = options.weight_decay;
  result.clip_norm = options.clip;
  ANEROID_ASSIGN(result.moments, moments_from_name(options.moments));
  result.fuse_optimizer = options.fuse_optimizer;
  result.loss_scale = options.loss_scale;
  result.loss_scale_growth = options.loss_scale_growth;
  return result;
}

// The ids to train on; nothing when that is all of them.
std::optional<train::VocabularyMap> used_ids(const TrainOptions& options,
                                             const data::TokenShard& tokens) {
  if (options.compact_vocabulary == "off") return {};
  auto map = train::VocabularyMap::of(tokens);
  // Below some thousand rows the classifier costs next to nothing.
  constexpr int64_t kWorthLeavingOut = 4096;
  const bool few = 2 * map.compact() <= map.whole() &&
                   map.whole() - map.compact() >= kWorthLeavingOut;
  if (options.compact_vocabulary == "auto" && !few) return {};
  return map;
}

// How a process of a run ends.
struct Ending {
  int exit_code = kGood;
  bool restart = false;
};

Result<Ending> train_in_folder(TrainOptions& options, Start start,
                               const telemetry::Timer& started) {
  const fs::path run(options.out);
  start.sequence =
      options.sequence > 0
          ? options.sequence
          : std::min<int64_t>(256, start.config.max_position_embeddings);
  if (start.tokenizer != nullptr) {
    ANEROID_TRY(tokenizer::check_vocab_size(
        *start.tokenizer, start.config.vocab_size, start.config.name));
  }
  ANEROID_ASSIGN(const auto tokens,
                 open_tokens(options.data, start.tokenizer.get(),
                             start.config.vocab_size));
  ANEROID_ASSIGN(
      const data::Split split,
      data::split_validation(*tokens, options.validation, start.sequence));
  const auto used = used_ids(options, *tokens);
  const auto renamed =
      used ? std::make_shared<const std::vector<int32_t>>(used->to_compact())
           : nullptr;
  ANEROID_ASSIGN(auto loader,
                 data::DataLoader::create(tokens, split.train,
                                          {.batch = options.accumulation,
                                           .sequence = start.sequence,
                                           .order = data::Order::kRandom,
                                           .seed = options.seed,
                                           .renamed = renamed}));
  std::optional<data::DataLoader> validation;
  train::RunOptions run_options;
  if (split.validation.count > 0) {
    ANEROID_ASSIGN(validation,
                   data::DataLoader::create(tokens, split.validation,
                                            {.batch = 1,
                                             .sequence = start.sequence,
                                             .order = data::Order::kSequential,
                                             .renamed = renamed}));
    run_options.validation_sequences =
        std::min<int64_t>(16, static_cast<int64_t>(validation->windows()));
  }

  ANEROID_ASSIGN(const OpenedDevice opened, open_device(options.device));
  ANEROID_ASSIGN(const auto training, trainer_options(options, start));
  std::optional<train::WholeVocabulary> vocabulary;
  model::ModelConfig config = start.config;
  if (used) {
    vocabulary.emplace(*opened.pool, start.config, *used, start.weights,
                       training.moments);
    config = used->compact(start.config);
    start.weights = used->compact(std::move(start.weights));
    run_options.vocabulary = &*vocabulary;
  }
  ANEROID_ASSIGN(const auto trainer,
                 train::Trainer::create(*opened.device, *opened.pool, config,
                                        std::move(start.weights), training));
  train::RunTotals totals;
  DataType stored_moments = training.moments;
  if (start.checkpoint) {
    stored_moments = start.checkpoint->first_moments.type();
    ANEROID_ASSIGN(totals, train::resume(std::move(*start.checkpoint), *trainer,
                                         loader, run_options.vocabulary));
  }
  const int64_t done = trainer->state().step;
  if (done > options.steps) {
    return usage_error(fmt::format("--steps is {}; the run has made {} already",
                                   options.steps, done));
  }

  std::string tokenizer_bytes;  // the file may be the old run's
  if (!start.tokenizer_source.empty()) {
    ANEROID_ASSIGN(tokenizer_bytes, read_file(start.tokenizer_source));
  }
  // From here on the new run can start: the old one may go.
  ANEROID_TRY(clean_folder(options));
  if (!options.resume && start.tokenizer != nullptr) {
    ANEROID_TRY(keep_tokenizer(start, tokenizer_bytes, run));
  }
  const nlohmann::json kept = {{"flags", to_json(options)},
                               {"model", model::to_json(start.config)}};
  ANEROID_TRY(write_file_atomically(config_path(run), kept.dump(2) + "\n"));
  ANEROID_TRY(telemetry::truncate_after_step(train::events_path(run), done));
  ANEROID_ASSIGN(auto events, telemetry::EventWriter::open(
                                  train::events_path(run),
                                  telemetry::EventWriter::Mode::kAppend));
  ANEROID_TRY(events.write(run_event(options, start, opened, done)));

  if (!options.restarted()) {
    introduce({options, start.config, start.sequence, *tokens,
               opened.device->info(), trainer->pipeline()});
    if (used && !options.json) {
      print("vocabulary  {} of {} ids occur and are trained\n",
            grouped(used->compact()), grouped(used->whole()));
    }
    if (done > 0 && !options.json) print("resumed     after step {}\n", done);
    if (stored_moments != training.moments && !options.json) {
      print("moments     {} in the checkpoint, {} from here on\n",
            name(stored_moments), name(training.moments));
    }
  }
  catch_interrupts();
  TrainDisplay display(options, done,
                       options.restarted()
                           ? losses_so_far(train::events_path(run))
                           : std::vector<double>());
  run_options.folder = run;
  run_options.seconds_before = started.milliseconds() / 1000;
  run_options.steps = options.steps;
  run_options.checkpoint_every = options.checkpoint_every;
  run_options.validate_every = options.validate_every;
  train::RunCallbacks callbacks;
  callbacks.step = [&](const auto& event) { display.step(event); };
  callbacks.validation = [&](const auto& event) { display.validation(event); };
  callbacks.stop = [] { return interrupted(); };
  ANEROID_ASSIGN(
      const train::RunSummary summary,
      train::run(*trainer, loader, validation ? &*validation : nullptr, events,
                 run_options, callbacks, totals));
  display.clear();
  if (summary.restart) return Ending{kGood, true};
  conclude(options, summary, display.losses());
  return Ending{summary.interrupted ? kInterrupted : kGood, false};
}

// The command line of the process that goes on: the flags that a run does not
// keep.
std::vector<std::string> restart_arguments(const TrainOptions& options) {
  const runtime::DeviceOptions& device = options.device.options;
  std::vector<std::string> words = {"train",
                                    "--resume",
                                    "--out",
                                    options.out,
                                    "--steps",
                                    std::to_string(options.steps),
                                    "--device",
                                    options.device.device,
                                    "--threads",
                                    std::to_string(options.device.threads),
                                    "--compile-budget",
                                    std::to_string(device.compile_budget)};
  const struct {
    const char* flag;
    bool set;
  } switches[] = {{"--strict", device.strict},
                  {"--faithful-silent", device.faithful_silent},
                  {"--allow-reload", device.allow_reload},
                  {"--json", options.json}};
  for (const auto& [flag, set] : switches) {
    if (set) words.emplace_back(flag);
  }
  return words;
}

struct TrainRequest {
  TrainOptions options;
  const CLI::App* command = nullptr;
};

Result<int> run_train(const TrainRequest& request) {
  const telemetry::Timer started;
  TrainOptions options = request.options;
  if (options.restarted()) accept_interrupts();
  if (options.as_published) apply_published(options, *request.command);
  ANEROID_TRY(check(options));
  if (options.resume && options.overwrite) {
    return usage_error("--resume and --overwrite contradict each other");
  }
  ANEROID_TRY(make_folder(options.out));
  ANEROID_ASSIGN(FolderLock lock,
                 FolderLock::acquire(options.out, options.inherited_lock));
  ANEROID_TRY(check_folder(options));
  auto start = options.resume ? resumed_start(options, *request.command)
                              : fresh_start(options);
  if (!start) return tl::unexpected(start.error());
  ANEROID_ASSIGN(const Ending ending,
                 train_in_folder(options, std::move(*start), started));
  if (!ending.restart) return ending.exit_code;
  return tl::unexpected(
      restart(options.out, lock, restart_arguments(options)).error());
}

}  // namespace

void setup_train(CLI::App& command, Action& chosen) {
  const auto request = bind(command, chosen, run_train);
  request->command = &command;
  describe(command,
           "Without flags it learns from the stories inside the program: one "
           "or two minutes on two cores. The run's folder holds the "
           "checkpoint, its tokenizer, its flags and events.jsonl. Ctrl-C "
           "finishes the step and writes a checkpoint.",
           "  aneroid train\n"
           "  aneroid train --data my.txt --out runs/mine --steps 2000\n"
           "  aneroid train --model stories15m --data tiny.bin "
           "--tokenizer tokenizer.model\n"
           "  aneroid train --out runs/mine --resume\n"
           "  aneroid train --data tiny.bin --pipeline static "
           "--as-published\n");
  add_train_options(command, request->options);
}

}  // namespace aneroid::cli
