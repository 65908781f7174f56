#include "apps/aneroid/bench_compare_command.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/random.h"
#include "aneroid/model/parameters.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/trainer.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/published_flops.h"
#include "apps/aneroid/random_batch.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

struct CompareOptions {
  std::string model = "stories110m";
  std::string config;
  int64_t sequence = 256;
  int64_t updates = 2;
  int64_t accumulation = 10;
  uint64_t seed = 42;
  bool json = false;
  DeviceFlags device;
};

// What the forerunners report for stories110m and 256 tokens: 20 micro-steps
// on an M4 (Orion: of 4 micro-steps an update, on an M4 Max).
struct Published {
  pipeline::Kind kind;
  double microstep_ms;
  std::optional<double> wall_s, compile_s, train_s, engine_tflops, total_tflops;
  const char* source;
};
constexpr const char* kMaderix = "maderix/ANE, training/README.md (M4)";
constexpr Published kPublished[] = {
    {pipeline::Kind::kDynamic, 111, 2.6, 0.4, {}, {}, {}, kMaderix},
    {pipeline::Kind::kStatic, 106.7, 10.1, 7.6, 2.1, 0.87, 1.63, kMaderix},
    {pipeline::Kind::kStaticExtras, 91.8, 11.7, 9.6, 1.8, 1.15, 1.90, kMaderix},
    {pipeline::Kind::kDelta,
     849.0 / 4,
     {},
     {},
     {},
     {},
     0.656,
     "mechramc/Orion, RESULTS.md (M4 Max)"},
};
// The static pipeline's parts, in ms of a micro-step.
constexpr std::pair<const char*, double> kPublishedParts[] = {
    {"engine_forward", 9.6}, {"surfaces", 4.1}, {"classifier", 9.1},
    {"loss", 14.4},          {"norm", 0.1},
};

const Published* published(const CompareOptions& options, pipeline::Kind kind) {
  if (options.model != "stories110m" || !options.config.empty() ||
      options.sequence != 256) {
    return nullptr;
  }
  const auto* row = std::ranges::find(kPublished, kind, &Published::kind);
  return row == std::end(kPublished) ? nullptr : row;
}

struct Measured {
  pipeline::Kind kind = pipeline::Kind::kDynamic;
  double wall_s = 0;
  double compile_s = 0;  // making the pipeline, and staging
  double train_s = 0;    // the rest of the steps
  double update_s = 0;   // the optimizer, part of train_s
  int64_t microsteps = 0;
  int restarts = 0;
  int first_programs = 0;   // compiled for the first update
  int update_programs = 0;  // and for each that follows
  PublishedFlops flops;
  std::vector<double> losses;
  std::map<std::string, double> parts;  // seconds in all
  std::optional<pipeline::PredictedStep> predicted;

  double microstep_ms() const {
    return 1000 * (train_s - update_s) / static_cast<double>(microsteps);
  }
  double tflops(double flops_per_step) const {
    return flops_per_step / (microstep_ms() * 1e9);
  }
};

std::vector<data::Batch> random_batches(const CompareOptions& options,
                                        const model::ModelConfig& config) {
  Random random(options.seed);
  std::vector<data::Batch> batches;
  for (int64_t i = 0; i < options.updates; ++i) {
    batches.push_back(
        random_batch(config, options.accumulation, options.sequence, random));
  }
  return batches;
}

// A process of a run: a device with its own count of programs. Trainer before
// device before threads, when it goes.
struct Process {
  OpenedDevice opened;
  std::unique_ptr<train::Trainer> trainer;
};

Result<Process> begin(const CompareOptions& options,
                      const model::ModelConfig& config, pipeline::Kind kind,
                      model::Weights weights) {
  DeviceFlags flags = options.device;
  flags.options.allow_reload |= kind == pipeline::Kind::kDelta;
  Process process;
  ANEROID_ASSIGN(process.opened, open_device(flags));
  train::TrainerOptions training;
  training.pipeline.kind = kind;
  training.sequence = options.sequence;
  ANEROID_ASSIGN(
      process.trainer,
      train::Trainer::create(*process.opened.device, *process.opened.pool,
                             config, std::move(weights), training));
  return process;
}

Result<Measured> measure(const CompareOptions& options,
                         const model::ModelConfig& config, pipeline::Kind kind,
                         const std::vector<data::Batch>& batches,
                         const std::function<void()>& advanced) {
  Measured m;
  m.kind = kind;
  m.flops = published_flops(config, options.sequence, kind);
  const telemetry::Timer wall;
  const auto compiling = [&](const telemetry::Timer& timer) {
    m.compile_s += timer.milliseconds() / 1000;
  };
  const telemetry::Timer first;
  model::Weights start = model::initialise(config, options.seed);
  ANEROID_ASSIGN(Process process,
                 begin(options, config, kind, std::move(start)));
  compiling(first);
  telemetry::TimeTable time;
  for (const data::Batch& batch : batches) {
    if (interrupted()) break;
    if (process.trainer->needs_restart()) {
      const telemetry::Timer timer;
      const train::Trainer& old = *process.trainer;
      ANEROID_ASSIGN(Process next, begin(options, config, kind, old.weights()));
      next.trainer->restore(old.weights(), old.first_moments(),
                            old.second_moments(), old.state());
      process.trainer.reset();
      process = std::move(next);
      ++m.restarts;
      compiling(timer);
    }
    const telemetry::Timer staging;
    const int before = process.opened.device->compiled();
    ANEROID_TRY(process.trainer->stage());
    compiling(staging);
    const int programs = process.opened.device->compiled();
    if (m.losses.empty()) {
      m.first_programs = programs;
    } else {
      m.update_programs = programs - before;
    }
    time.lap();
    ANEROID_ASSIGN(const auto report, process.trainer->step(batch, time));
    const auto lap = time.lap();
    m.train_s += lap.wall_ms / 1000;
    for (const auto& [name, ms] : lap.parts) m.parts[name] += ms / 1000;
    m.losses.push_back(report.loss);
    m.microsteps += batch.size;
    advanced();
  }
  m.update_s = m.parts["optimizer"];
  m.predicted = process.trainer->pipeline().predicted();
  m.wall_s = wall.milliseconds() / 1000;
  return m;
}

// The largest difference from the first pipeline's losses, relative.
double largest_difference(const Measured& m, const Measured& first) {
  double worst = 0;
  for (size_t i = 0; i < m.losses.size(); ++i) {
    worst = std::max(worst, std::fabs(m.losses[i] / first.losses[i] - 1));
  }
  return worst;
}

nlohmann::ordered_json to_json(const CompareOptions& options, const Measured& m,
                               const Measured& first) {
  nlohmann::ordered_json json = {
      {"pipeline", name(m.kind)},
      {"wall_s", m.wall_s},
      {"compile_s", m.compile_s},
      {"train_s", m.train_s},
      {"microsteps", m.microsteps},
      {"microstep_ms", m.microstep_ms()},
      {"restarts", m.restarts},
      {"programs_first_update", m.first_programs},
      {"programs_each_update", m.update_programs},
      {"engine_tflops", m.tflops(m.flops.engine)},
      {"total_tflops", m.tflops(m.flops.total)},
      {"losses", m.losses},
      {"largest_loss_difference", largest_difference(m, first)}};
  for (const auto& [part, seconds] : m.parts) {
    json["parts_ms"][part] = 1000 * seconds / static_cast<double>(m.microsteps);
  }
  if (m.predicted) {
    json["predicted"] = {{"chip", m.predicted->chip},
                         {"engine_ms_per_microstep", m.predicted->engine_ms},
                         {"basis", m.predicted->basis}};
  }
  const Published* row = published(options, m.kind);
  if (row == nullptr) return json;
  nlohmann::ordered_json theirs = {
      {"microstep_ms", row->microstep_ms},
      {"source", row->source},
      {"ratio", m.microstep_ms() / row->microstep_ms}};
  const std::pair<const char*, std::optional<double>> figures[] = {
      {"wall_s", row->wall_s},
      {"compile_s", row->compile_s},
      {"train_s", row->train_s},
      {"engine_tflops", row->engine_tflops},
      {"total_tflops", row->total_tflops}};
  for (const auto& [figure, value] : figures) {
    if (value) theirs[figure] = *value;
  }
  json["published"] = theirs;
  return json;
}

void print_totals(const CompareOptions& options,
                  const std::vector<Measured>& rows) {
  Table table({{"pipeline"},
               {"wall s", Align::kRight},
               {"compile s", Align::kRight},
               {"train s", Align::kRight},
               {"ms/step", Align::kRight},
               {"programs", Align::kRight},
               {"restarts", Align::kRight},
               {"TFLOPS engine", Align::kRight},
               {"total", Align::kRight},
               {"loss differs", Align::kRight}});
  for (const Measured& m : rows) {
    table.add(
        {std::string(name(m.kind)), fmt::format("{:.2f}", m.wall_s),
         fmt::format("{:.2f}", m.compile_s), fmt::format("{:.2f}", m.train_s),
         fmt::format("{:.1f}", m.microstep_ms()),
         fmt::format("{} + {}", m.first_programs, m.update_programs),
         std::to_string(m.restarts),
         fmt::format("{:.3f}", m.tflops(m.flops.engine)),
         fmt::format("{:.3f}", m.tflops(m.flops.total)),
         fmt::format("{:.3f} %", 100 * largest_difference(m, rows.front()))});
  }
  print(
      "{}\nms/step: one sequence forward and backward, without the optimizer. "
      "Programs: for the\nfirst update, and for each that follows.\n\n",
      table.to_string());

  Table figures({{"pipeline"},
                 {"here ms/step", Align::kRight},
                 {"engine alone, predicted ms", Align::kRight},
                 {"published ms/step", Align::kRight},
                 {"here / published", Align::kRight},
                 {"source"}});
  const auto text = [](std::optional<double> value, const char* format) {
    return value ? fmt::format(fmt::runtime(format), *value) : std::string("-");
  };
  for (const Measured& m : rows) {
    const Published* row = published(options, m.kind);
    std::optional<double> predicted;
    if (m.predicted) predicted = m.predicted->engine_ms;
    std::optional<double> theirs;
    std::optional<double> ratio;
    if (row != nullptr) {
      theirs = row->microstep_ms;
      ratio = m.microstep_ms() / row->microstep_ms;
    }
    figures.add({std::string(name(m.kind)),
                 fmt::format("{:.1f}", m.microstep_ms()),
                 text(predicted, "{:.1f}"), text(theirs, "{:.1f}"),
                 text(ratio, "{:.2f}"), row == nullptr ? "-" : row->source});
  }
  print("{}\n", figures.to_string());
  const Measured& last = rows.back();
  if (last.predicted) {
    print("predicted for {}: {}\n\n", last.predicted->chip,
          last.predicted->basis);
  }
}

void print_parts(const CompareOptions& options,
                 const std::vector<Measured>& rows) {
  std::vector<Column> columns = {{"ms per micro-step"}};
  for (const Measured& m : rows) {
    columns.push_back({std::string(name(m.kind)), Align::kRight});
  }
  const bool beside = published(options, pipeline::Kind::kStatic) != nullptr;
  if (beside) columns.push_back({"static, published", Align::kRight});
  Table table(columns);
  constexpr const char* kParts[] = {
      "engine_forward", "engine_backward",  "surfaces",  "classifier", "loss",
      "norm",           "weight_gradients", "optimizer", "other"};
  for (const char* part : kParts) {
    std::vector<std::string> cells = {part};
    for (const Measured& m : rows) {
      const auto found = m.parts.find(part);
      cells.push_back(
          found == m.parts.end()
              ? "-"
              : fmt::format("{:.2f}", 1000 * found->second /
                                          static_cast<double>(m.microsteps)));
    }
    if (beside) {
      const auto* row =
          std::ranges::find_if(kPublishedParts, [&](const auto& known) {
            return std::string_view(known.first) == part;
          });
      cells.push_back(row == std::end(kPublishedParts)
                          ? "-"
                          : fmt::format("{:.1f}", row->second));
    }
    table.add(cells);
  }
  print("{}", table.to_string());
  if (beside) {
    print(
        "\nthe published loss includes residuals; its engine time is that of "
        "the forward pass\n");
  }
}

Result<int> run_compare(const CompareOptions& options) {
  ANEROID_ASSIGN(const auto config,
                 fresh_config({options.model, options.config}));
  const std::vector<data::Batch> batches = random_batches(options, config);
  catch_interrupts();
  const auto kinds = pipeline::all_kinds();
  Progress progress({"comparing", "updates",
                     static_cast<uint64_t>(options.updates) * kinds.size()});
  uint64_t done = 0;
  std::vector<Measured> rows;
  for (const pipeline::Kind kind : kinds) {
    ANEROID_ASSIGN(Measured measured,
                   measure(options, config, kind, batches,
                           [&] { progress.update(++done); }));
    if (interrupted()) return kInterrupted;
    rows.push_back(std::move(measured));
  }
  progress.clear();
  if (options.json) {
    nlohmann::ordered_json json = {
        {"model", config.name},
        {"sequence", options.sequence},
        {"updates", options.updates},
        {"accumulation", options.accumulation},
        {"numerics", options.device.options.numerics},
        {"measured_on", "this CPU, not a Neural Engine"}};
    for (const Measured& m : rows) {
      json["pipelines"].push_back(to_json(options, m, rows.front()));
    }
    print_json(json);
    return kGood;
  }
  print(
      "{}: {} updates of {} sequences of {} tokens, {} numerics;\n"
      "measured on this CPU, no figure is a chip's\n\n",
      config.name, options.updates, options.accumulation, options.sequence,
      options.device.options.numerics);
  print_totals(options, rows);
  print_parts(options, rows);
  return kGood;
}

}  // namespace

void setup_bench_compare(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_compare);
  options->device.device = "emulator";  // a chip counts programs per process
  describe(command,
           "Trains from the same weights with the same batches in each "
           "pipeline. Where a pipeline would start a new process, a new device "
           "takes its place: the cost of loading a program is not in here.",
           "  aneroid bench compare\n"
           "  aneroid bench compare --model stories15m --updates 4 --json\n");
  add_model_option(command, options->model)
      ->description("a preset")
      ->capture_default_str();
  command.add_option("--config", options->config, "a config.json instead")
      ->type_name("FILE");
  add_sequence_option(command, options->sequence)->capture_default_str();
  command.add_option("--updates", options->updates, "optimizer updates each")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_option("--accum", options->accumulation, "sequences per update")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  add_seed_option(command, options->seed);
  add_json_option(command, options->json);
  add_device_options(command, options->device);
}

}  // namespace aneroid::cli
