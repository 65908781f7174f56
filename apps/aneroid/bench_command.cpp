// aneroid bench: where the time goes, measured here.
#include <algorithm>
#include <map>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/random.h"
#include "aneroid/base/samples.h"
#include "aneroid/cpu/fma_ceiling.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/kernels/products.h"
#include "aneroid/mil/text.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/trainer.h"
#include "apps/aneroid/bench_compare_command.h"
#include "apps/aneroid/bench_decode_command.h"
#include "apps/aneroid/bench_products_command.h"
#include "apps/aneroid/bench_speed_command.h"
#include "apps/aneroid/bench_suite_command.h"
#include "apps/aneroid/bench_timing_command.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/predicted.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/random_batch.h"
#include "apps/aneroid/text.h"
#include "apps/aneroid/trace_file.h"

namespace aneroid::cli {
namespace {

struct BenchOptions {
  std::string model = "stories15m";
  std::string config;
  int64_t sequence = 256;
  int64_t steps = 5;
  uint64_t seed = 42;
  bool json = false;
  std::string trace;
  // Of `step`.
  std::string pipeline = "dynamic";
  double clip = 1.0;
  bool fuse = false;
  std::string moments = "fp32";
  DeviceFlags device;
};

double peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
  return static_cast<double>(usage.ru_maxrss);
#else
  return static_cast<double>(usage.ru_maxrss) * 1024;
#endif
}

nlohmann::ordered_json conditions(const BenchOptions& options,
                                  const OpenedDevice& opened,
                                  const model::ModelConfig& config) {
  return {{"model", config.name},
          {"parameters", model::parameter_count(config)},
          {"sequence", options.sequence},
          {"device", opened.device->info().name},
          {"numerics", opened.device->info().numerics},
          {"measured_on", opened.device->info().is_chip
                              ? opened.device->info().chip
                              : "this CPU, not a Neural Engine"},
          {"threads", opened.pool->threads()}};
}

nlohmann::ordered_json to_json(const pipeline::PredictedStep& step) {
  nlohmann::ordered_json programs = nlohmann::ordered_json::array();
  for (const auto& program : step.programs) {
    programs.push_back({{"program", program.name},
                        {"calls", program.calls},
                        {"call_ms", program.call_ms}});
  }
  return {{"chip", step.chip},
          {"engine_ms_per_microstep", step.engine_ms},
          {"basis", step.basis},
          {"programs", programs}};
}

Result<int> run_step(const BenchOptions& options) {
  ANEROID_ASSIGN(const auto config,
                 fresh_config({options.model, options.config}));
  train::TrainerOptions trainer_options;
  ANEROID_ASSIGN(trainer_options.pipeline.kind,
                 pipeline::kind_from_name(options.pipeline));
  DeviceFlags device_flags = options.device;
  // Steps are what is measured, not how many a process may make.
  if (trainer_options.pipeline.kind != pipeline::Kind::kDynamic) {
    device_flags.options.compile_budget = 0;
  }
  ANEROID_ASSIGN(const OpenedDevice opened, open_device(device_flags));
  const telemetry::Timer start;
  trainer_options.sequence = options.sequence;
  trainer_options.clip_norm = options.clip;
  trainer_options.fuse_optimizer = options.fuse;
  ANEROID_ASSIGN(trainer_options.moments, moments_from_name(options.moments));
  std::vector<std::pair<const char*, double>> start_parts;
  auto end_of_part = [&, before = 0.0](const char* part) mutable {
    const double now = start.milliseconds();
    start_parts.emplace_back(part, now - std::exchange(before, now));
  };
  model::Weights weights = model::initialise(config, options.seed);
  end_of_part("weights");
  ANEROID_ASSIGN(auto trainer,
                 train::Trainer::create(*opened.device, *opened.pool, config,
                                        std::move(weights), trainer_options));
  end_of_part("programs");
  ANEROID_TRY(trainer->stage());
  end_of_part("staging");
  const double start_ms = start.milliseconds();
  Random random(options.seed);
  const data::Batch batch = random_batch(config, 1, options.sequence, random);

  telemetry::TimeTable time;
  std::vector<double> walls;
  std::vector<double> micro_steps;
  std::vector<double> updates;
  // GFLOP/s of multiply-adds in registers around each step, and what part of
  // it the micro-step reached, in percent.
  std::vector<double> ceilings;
  std::vector<double> shares;
  const double flops = kernels::training_flops(config, options.sequence);
  std::vector<double> gaps;  // wall time that no part accounts for
  std::map<std::string, std::vector<double>> parts;
  std::vector<std::string> order;
  catch_interrupts();
  Progress progress(
      {"measuring", "steps", static_cast<uint64_t>(options.steps) + 1});
  double loss = 0;
  bool fused = false;
  cpu::Trace trace(opened.pool->threads());
  std::vector<TracePart> trace_parts;
  if (!options.trace.empty()) {
    opened.pool->set_trace(&trace);
    time.observe([&](std::string_view part, int64_t from, int64_t to) {
      trace_parts.push_back({std::string(part), from, to});
    });
  }
  for (int64_t step = 0; step <= options.steps && !interrupted(); ++step) {
    time.lap();
    trace.clear();  // the last step stays
    trace_parts.clear();
    const double ceiling_before = cpu::fma_ceiling(*opened.pool);
    time.lap();
    const telemetry::Timer wall;
    ANEROID_ASSIGN(const auto report, trainer->step(batch, time));
    const double wall_ms = wall.milliseconds();
    const auto lap = time.lap();
    const double ceiling =
        (ceiling_before + cpu::fma_ceiling(*opened.pool)) / 2;
    progress.update(static_cast<uint64_t>(step) + 1);
    if (step == 0) {  // warms caches and the allocator
      loss = report.loss;
      continue;
    }
    double sum = 0;
    double update = 0;
    fused = false;
    for (const auto& [name, ms] : lap.parts) {
      if (!parts.contains(name)) order.push_back(name);
      parts[name].push_back(ms);
      sum += ms;
      fused = fused || name == "fused_optimizer";
      if (name == "optimizer" || name == "fused_optimizer" ||
          name == "staging") {
        update += ms;
      }
    }
    walls.push_back(wall_ms);
    ceilings.push_back(ceiling);
    shares.push_back(flops / ((wall_ms - update) * 1e6) / ceiling * 100);
    updates.push_back(update);
    micro_steps.push_back(wall_ms - update);
    gaps.push_back(100 * std::abs(wall_ms - sum) / wall_ms);
  }
  progress.clear();
  opened.pool->set_trace(nullptr);
  if (interrupted()) return kInterrupted;
  if (!options.trace.empty()) {
    ANEROID_TRY(write_trace(options.trace, trace, trace_parts));
  }

  if (options.json) {
    nlohmann::ordered_json json = conditions(options, opened, config);
    json["steps"] = walls.size();
    json["first_loss"] = loss;
    // With a fused optimizer the weight gradients are part of the update.
    json["fused_optimizer"] = fused;
    json["moments"] = options.moments;
    json["start_ms"] = start_ms;
    for (const auto& [part, ms] : start_parts) {
      json["start_parts_ms"][part] = ms;
    }
    json["microstep_ms"] = median(micro_steps);
    json["microstep_min_ms"] = least(micro_steps);
    json["update_ms"] = median(updates);
    json["update_min_ms"] = least(updates);
    json["gflop_per_microstep"] = flops / 1e9;
    json["ceiling_gflop_per_s"] = median(ceilings);
    json["ceiling_best_gflop_per_s"] = greatest(ceilings);
    if (!fused) {
      json["microstep_percent_of_ceiling"] = median(shares);
      json["microstep_best_percent_of_ceiling"] = greatest(shares);
    }
    json["step_ms"] = median(walls);
    json["step_min_ms"] = least(walls);
    json["parts_ms"] = nlohmann::ordered_json::object();
    for (const std::string& name : order) {
      json["parts_ms"][name] = median(parts[name]);
    }
    json["unaccounted_percent"] = greatest(gaps);
    json["peak_memory_bytes"] = peak_memory_bytes();
    json["surface_bytes"] = trainer->pipeline().surface_bytes();
    if (const auto predicted = trainer->pipeline().predicted()) {
      json["predicted"] = to_json(*predicted);
    }
    print_json(json);
    return kGood;
  }
  print(
      "{}: {} parameters, sequence {}, {} numerics, {} threads\n"
      "measured on this CPU with the {}; no figure is a chip's\n\n",
      config.name, grouped(model::parameter_count(config)), options.sequence,
      opened.device->info().numerics, opened.pool->threads(),
      opened.device->info().name);
  Table table({{"part"},
               {"median ms", Align::kRight},
               {"least ms", Align::kRight},
               {"share", Align::kRight},
               {""}});
  const double total = median(walls);
  for (const std::string& name : order) {
    const double ms = median(parts[name]);
    table.add({name, fmt::format("{:.2f}", ms),
               fmt::format("{:.2f}", least(parts[name])),
               fmt::format("{:.1f} %", 100 * ms / total), bar(ms / total, 24)});
  }
  table.add({fused ? "without update" : "micro-step",
             fmt::format("{:.2f}", median(micro_steps)),
             fmt::format("{:.2f}", least(micro_steps)), "", ""});
  table.add({"step", fmt::format("{:.2f}", total),
             fmt::format("{:.2f}", least(walls)), "100.0 %", ""});
  print("{}\n", table.to_string());
  if (!fused) {
    print(
        "micro-step: {:.1f} GFLOP, attention as full squares, at {:.0f} % of "
        "the multiply-add ceiling measured around it ({:.0f} % at best); the "
        "ceiling was {:.0f} GFLOP/s\n",
        flops / 1e9, median(shares), greatest(shares), median(ceilings));
  }
  print(
      "first loss {:.4f}; peak memory {}; the parts sum to the wall time "
      "within {:.2f} %\nstart-up {}",
      loss, human_bytes(peak_memory_bytes()), greatest(gaps),
      human_duration(start_ms / 1000));
  std::string_view separator = ": ";
  for (const auto& [part, ms] : start_parts) {
    print("{}{} {:.0f} ms", separator, part, ms);
    separator = ", ";
  }
  print("\n");
  if (const auto predicted = trainer->pipeline().predicted()) {
    print("predicted {}\n", predicted_line(*predicted));
  }
  return kGood;
}

// Floating point operations of the matrix products of a program.
double matrix_flops(const std::string& text) {
  const auto program = mil::parse(text);
  const mil::Function* function = program ? program->function() : nullptr;
  if (function == nullptr) return 0;
  const mil::Symbols symbols(*function);
  double flops = 0;
  for (const mil::Operation& op : function->body.operations) {
    if (op.op != "matmul") continue;
    const auto* x = std::get_if<mil::Ref>(&op.input("x")->bound);
    const Shape& shape = symbols.type(x->name)->shape;
    const bool turned = symbols.bool_or(op, "transpose_x", false);
    const int64_t depth = shape[shape.size() - (turned ? 2 : 1)];
    flops += 2.0 * static_cast<double>(depth) *
             static_cast<double>(*element_count(op.outputs[0].type.shape));
  }
  return flops;
}

Result<int> run_kernels(const BenchOptions& options) {
  ANEROID_ASSIGN(const auto config,
                 fresh_config({options.model, options.config}));
  ANEROID_ASSIGN(const OpenedDevice opened, open_device(options.device));
  ANEROID_ASSIGN(const auto pipeline,
                 kernels::dynamic_pipeline(config, options.sequence));
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  Table table(
      {{"kernel"},
       {"compile ms", Align::kRight},
       {"median ms", Align::kRight},
       {"least ms", Align::kRight},
       {"GFLOP", Align::kRight},
       {"GFLOP/s", Align::kRight},
       {"input", Align::kRight},
       {"output", Align::kRight},
       {"predicted " + opened.device->info().chip + " ms", Align::kRight}});
  std::string basis;
  double costliest = 0;
  catch_interrupts();
  for (const kernels::KernelProgram* kernel :
       {&pipeline.attn_fwd, &pipeline.ffn_fwd, &pipeline.final_norm_fwd,
        &pipeline.cls_fwd, &pipeline.cls_bwd, &pipeline.final_norm_bwd,
        &pipeline.ffn_bwd, &pipeline.attn_bwd}) {
    if (interrupted()) return kInterrupted;
    device::ModelSource source{kernel->name, kernel->mil_text, {}};
    for (const auto& [path, file] : kernel->weights) {
      source.weights[path] = file;
    }
    const telemetry::Timer compile;
    ANEROID_ASSIGN(auto executable, opened.device->compile(source));
    const double compile_ms = compile.milliseconds();
    const int64_t in_elements = kernel->rows * kernel->width;
    const int64_t out_elements = kernel->channels * kernel->columns;
    ANEROID_ASSIGN(auto in,
                   opened.device->allocate(DataType::kFp16, in_elements));
    ANEROID_ASSIGN(auto out,
                   opened.device->allocate(DataType::kFp16, out_elements));
    device::Surface* inputs[] = {in.get()};
    device::Surface* outputs[] = {out.get()};
    ANEROID_TRY(executable->run(inputs, outputs));
    std::vector<double> times;
    for (int64_t i = 0; i < std::max<int64_t>(3, options.steps); ++i) {
      const telemetry::Timer timer;
      ANEROID_TRY(executable->run(inputs, outputs));
      times.push_back(timer.milliseconds());
    }
    const double gflop = matrix_flops(kernel->mil_text) / 1e9;
    const double rate = gflop / (median(times) / 1000);
    const device::PredictedTime* predicted = executable->predicted();
    if (predicted != nullptr && predicted->microseconds > costliest) {
      costliest = predicted->microseconds;
      basis = predicted->basis;
    }
    rows.push_back({{"kernel", kernel->name},
                    {"compile_ms", compile_ms},
                    {"median_ms", median(times)},
                    {"min_ms", least(times)},
                    {"gflop", gflop},
                    {"gflop_per_s", rate},
                    {"input_bytes", in_elements * 2},
                    {"output_bytes", out_elements * 2}});
    if (predicted != nullptr) {
      nlohmann::ordered_json ops = nlohmann::ordered_json::array();
      for (const auto& op : predicted->ops) {
        ops.push_back(
            {{"op", op.name}, {"us", op.microseconds}, {"bound", op.bound}});
      }
      rows.back()["predicted"] = {{"chip", predicted->chip},
                                  {"call_us", predicted->microseconds},
                                  {"basis", predicted->basis},
                                  {"ops", ops}};
    }
    table.add({kernel->name, fmt::format("{:.1f}", compile_ms),
               fmt::format("{:.3f}", median(times)),
               fmt::format("{:.3f}", least(times)),
               fmt::format("{:.3f}", gflop), fmt::format("{:.0f}", rate),
               human_bytes(static_cast<double>(in_elements) * 2),
               human_bytes(static_cast<double>(out_elements) * 2),
               predicted == nullptr
                   ? "no basis"
                   : fmt::format("{:.3f}", predicted->microseconds / 1000)});
  }
  if (options.json) {
    nlohmann::ordered_json json = conditions(options, opened, config);
    json["kernels"] = rows;
    print_json(json);
  } else {
    print(
        "{}, sequence {}, {} numerics, {} threads; measured on this CPU, no "
        "figure is a chip's\n\n{}",
        config.name, options.sequence, opened.device->info().numerics,
        opened.pool->threads(), table.to_string());
    if (!basis.empty()) {
      print("\nthe last column is a prediction, one call each; {}\n", basis);
    }
  }
  return kGood;
}

void add_suite(CLI::App& command, Action& chosen, const char* name,
               const char* summary, const char* details, const char* examples,
               Result<int> (*run)(const BenchOptions&)) {
  CLI::App* suite = command.add_subcommand(name, summary);
  const auto options = bind(*suite, chosen, run);
  if (run == run_step) {
    suite->add_option("--clip", options->clip, "global gradient norm; 0: none")
        ->type_name("NORM")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    suite->add_flag("--fuse-optimizer", options->fuse,
                    "hand gradients to the optimizer piece by piece instead of "
                    "storing them: less memory, more time");
    add_moments_option(*suite, options->moments);
    suite
        ->add_option("--trace", options->trace,
                     "a timeline of the last step, every operation per thread, "
                     "for chrome://tracing or Perfetto")
        ->type_name("FILE");
    suite
        ->add_option("--pipeline", options->pipeline,
                     "dynamic, static, static-extras, or delta with "
                     "--allow-reload")
        ->type_name("NAME")
        ->capture_default_str();
  }
  describe(*suite, details, examples);
  add_model_option(*suite, options->model)
      ->description("a preset")
      ->capture_default_str();
  suite->add_option("--config", options->config, "a config.json instead")
      ->type_name("FILE");
  add_sequence_option(*suite, options->sequence)->capture_default_str();
  suite->add_option("--steps", options->steps, "measurements after a warm-up")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  add_seed_option(*suite, options->seed);
  add_json_option(*suite, options->json);
  add_device_options(*suite, options->device);
}

}  // namespace

void setup_bench(CLI::App& command, Action& chosen) {
  describe(command,
           "Times are of this computer. The emulator's time is never a chip's.",
           "  aneroid bench step --model stories110m\n"
           "  aneroid bench kernels --model stories15m --json\n");
  command.require_subcommand(1);
  add_suite(command, chosen, "step", "One training step, part by part",
            "Forward and backward of one random sequence with weight "
            "gradients (the micro-step), and the optimizer with staging.",
            "  aneroid bench step --model stories110m --seq 256 --steps 10\n",
            run_step);
  add_suite(command, chosen, "kernels", "Each program of the pipeline",
            "Compiles and runs the eight programs one by one.",
            "  aneroid bench kernels --model stories110m\n", run_kernels);
  static constexpr Command kOthers[] = {
      {"Training", "compare", "The same training in every pipeline",
       setup_bench_compare},
      {"Decoding", "decode", "Tokens per second beside the memory's speed",
       setup_bench_decode},
      {"Speed", "ceiling", "What this computer could do", setup_bench_ceiling},
      {"Speed", "gemm", "Every matrix product of a step", setup_bench_gemm},
      {"Arithmetic", "products", "Products that the engine would drop",
       setup_bench_products},
      {"Predictions", "timing",
       "Predicted times against a table of measured ones", setup_bench_timing},
  };
  setup_bench_suites(command, chosen);
  add_commands(command, kOthers, chosen);
}

}  // namespace aneroid::cli
