// aneroid train: from text to a model that writes.
#include <cmath>
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
#include "aneroid/tokenizer/bpe_model.h"
#include "aneroid/train/run.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/predicted.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"
#include "apps/aneroid/token_source.h"
#include "apps/aneroid/train_options.h"

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
    start.weights = model::initialise(start.config, options.seed);
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
  ANEROID_TRY(restore(options, json["flags"], path.string()));
  if (command.count("--steps") > 0) options.steps = steps;
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
    start.weights = model::initialise(start.config, options.seed);
  }
  return start;
}

// Lines for people: a progress line on a terminal, and a printed line now and
// then.
class Display {
 public:
  Display(const TrainOptions& options, int64_t done)
      : options_(options),
        every_(std::max<int64_t>(1, options.steps / 20)),
        progress_({"training", "steps", static_cast<uint64_t>(options.steps),
                   static_cast<uint64_t>(done)}) {}

  void step(const telemetry::StepEvent& event) {
    losses_.push_back(event.loss);
    wall_ += event.wall_ms;
    ++counted_;
    progress_.set_note(fmt::format("loss {:.3f}  {:.1f} ms/step", event.loss,
                                   wall_ / static_cast<double>(counted_)));
    progress_.update(static_cast<uint64_t>(event.step));
    if (options_.json) return;
    if (event.skipped) {
      progress_.clear();
      print("step {:>5}  overflow at loss scale {:g}: step skipped\n",
            event.step, event.loss_scale);
    }
    if (event.step == 1 || event.step % every_ == 0) {
      progress_.clear();
      print(
          "step {:>5}/{}  loss {:7.4f}  lr {:.2e}  norm {:6.3f}  "
          "{:7.1f} ms/step  {:>6} tokens/s\n",
          event.step, options_.steps, event.loss, event.lr, event.grad_norm,
          wall_ / static_cast<double>(counted_),
          human_count(static_cast<double>(event.tokens) *
                      static_cast<double>(counted_) / (wall_ / 1000)));
      std::fflush(stdout);
      wall_ = 0;
      counted_ = 0;
    }
  }
  void validation(const telemetry::ValidationEvent& event) {
    if (options_.json) return;
    progress_.clear();
    print("{}",
          styled(stdout, Style::kCyan,
                 fmt::format("step {:>5}  validation loss {:.4f} "
                             "(perplexity {:.1f})\n",
                             event.step, event.loss, std::exp(event.loss))));
    std::fflush(stdout);
  }
  void clear() { progress_.clear(); }
  const std::vector<double>& losses() const { return losses_; }

 private:
  const TrainOptions& options_;
  int64_t every_;
  Progress progress_;
  std::vector<double> losses_;
  double wall_ = 0;
  int64_t counted_ = 0;
};

void introduce(const TrainOptions& options, const Start& start,
               const data::TokenShard& tokens, const device::DeviceInfo& info,
               const pipeline::Pipeline& pipeline) {
  if (options.json) return;
  const model::ModelConfig& c = start.config;
  print(
      "model       {}: {} parameters, {} layers of {}/{}, {} heads ({} "
      "key/value), vocabulary {}\n",
      c.name, grouped(model::parameter_count(c)), c.num_hidden_layers,
      c.hidden_size, c.intermediate_size, c.num_attention_heads,
      c.num_key_value_heads, grouped(c.vocab_size));
  print("data        {} tokens of {}\n",
        grouped(static_cast<int64_t>(tokens.size())), tokens.place());
  print("engine      {} ({}, {} numerics), {} programs, {} of surfaces\n",
        info.name, info.chip, info.numerics, pipeline.programs(),
        human_bytes(static_cast<double>(pipeline.surface_bytes())));
  if (const auto predicted = pipeline.predicted()) {
    print("predicted   {}\n",
          wrap(predicted_line(*predicted), terminal_width(stdout), 12));
  }
  print("batch       {} sequences of {} tokens per step\n",
        options.accumulation, start.sequence);
  print("run         {}\n\n", options.out);
  std::fflush(stdout);
}

void conclude(const TrainOptions& options, const train::RunSummary& summary,
              const std::vector<double>& losses) {
  if (options.json) {
    nlohmann::ordered_json json = {{"run", options.out},
                                   {"steps", summary.last_step},
                                   {"first_loss", summary.first_loss},
                                   {"last_loss", summary.last_loss},
                                   {"seconds", summary.seconds},
                                   {"interrupted", summary.interrupted}};
    if (summary.validation_loss) {
      json["validation_loss"] = *summary.validation_loss;
    }
    print_json(json);
    return;
  }
  if (!losses.empty()) {
    print("\nloss        {:.4f} {} {:.4f}\n", losses.front(),
          sparkline(losses, 40), losses.back());
  }
  print("checkpoint  {} after step {}, {}\n",
        train::checkpoint_path(options.out).string(), summary.last_step,
        human_duration(summary.seconds));
  if (summary.interrupted) {
    print("\nInterrupted. Continue with: aneroid train --out {} --resume\n",
          options.out);
  } else {
    print(
        "try         aneroid generate --model {} --prompt \"Once upon a "
        "time\"\n",
        options.out);
  }
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

train::TrainerOptions trainer_options(const TrainOptions& options,
                                      int64_t sequence) {
  train::TrainerOptions result;
  result.sequence = sequence;
  result.schedule = {options.lr, options.min_lr, options.warmup, options.steps};
  result.beta1 = options.beta1;
  result.beta2 = options.beta2;
  result.epsilon = options.epsilon;
  result.weight_decay = options.weight_decay;
  result.clip_norm = options.clip;
  result.loss_scale = options.loss_scale;
  result.loss_scale_growth = options.loss_scale_growth;
  return result;
}

Result<int> train_in_folder(TrainOptions& options, Start start) {
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
  ANEROID_ASSIGN(auto loader,
                 data::DataLoader::create(tokens, split.train,
                                          {.batch = options.accumulation,
                                           .sequence = start.sequence,
                                           .order = data::Order::kRandom,
                                           .seed = options.seed}));
  std::optional<data::DataLoader> validation;
  train::RunOptions run_options;
  if (split.validation.count > 0) {
    ANEROID_ASSIGN(validation, data::DataLoader::create(
                                   tokens, split.validation,
                                   {.batch = 1,
                                    .sequence = start.sequence,
                                    .order = data::Order::kSequential}));
    run_options.validation_sequences =
        std::min<int64_t>(16, static_cast<int64_t>(validation->windows()));
  }

  ANEROID_ASSIGN(const OpenedDevice opened, open_device(options.device));
  ANEROID_ASSIGN(
      const auto trainer,
      train::Trainer::create(*opened.device, *opened.pool, start.config,
                             std::move(start.weights),
                             trainer_options(options, start.sequence)));
  if (start.checkpoint) {
    ANEROID_TRY(train::resume(std::move(*start.checkpoint), *trainer, loader));
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

  introduce(options, start, *tokens, opened.device->info(),
            trainer->pipeline());
  if (done > 0 && !options.json) print("resumed     after step {}\n", done);
  catch_interrupts();
  Display display(options, done);
  run_options.folder = run;
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
                 run_options, callbacks));
  display.clear();
  conclude(options, summary, display.losses());
  return summary.interrupted ? kInterrupted : kGood;
}

struct TrainRequest {
  TrainOptions options;
  const CLI::App* command = nullptr;
};

Result<int> run_train(const TrainRequest& request) {
  TrainOptions options = request.options;
  ANEROID_TRY(check(options));
  if (options.resume && options.overwrite) {
    return usage_error("--resume and --overwrite contradict each other");
  }
  ANEROID_TRY(make_folder(options.out));
  ANEROID_ASSIGN(const FolderLock lock, FolderLock::acquire(options.out));
  ANEROID_TRY(check_folder(options));
  auto start = options.resume ? resumed_start(options, *request.command)
                              : fresh_start(options);
  if (!start) return tl::unexpected(start.error());
  return train_in_folder(options, std::move(*start));
}

}  // namespace

void setup_train(CLI::App& command, Action& chosen) {
  const auto request = bind(command, chosen, run_train);
  request->command = &command;
  describe(command,
           "Without flags it learns from the stories inside the program: about "
           "three minutes on two cores. The run's folder holds the "
           "checkpoint, its tokenizer, its flags and events.jsonl. Ctrl-C "
           "finishes the step and writes a checkpoint.",
           "  aneroid train\n"
           "  aneroid train --data my.txt --out runs/mine --steps 2000\n"
           "  aneroid train --model stories15m --data tiny.bin "
           "--tokenizer tokenizer.model\n"
           "  aneroid train --out runs/mine --resume\n");
  add_train_options(command, request->options);
}

}  // namespace aneroid::cli
