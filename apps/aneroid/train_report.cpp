#include "apps/aneroid/train_report.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "aneroid/telemetry/event_reader.h"
#include "apps/aneroid/common.h"
#include "apps/aneroid/predicted.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {

TrainDisplay::TrainDisplay(const TrainOptions& options, int64_t done,
                           std::vector<double> losses)
    : options_(options),
      every_(std::max<int64_t>(1, options.steps / 20)),
      progress_({"training", "steps", static_cast<uint64_t>(options.steps),
                 static_cast<uint64_t>(done)}),
      losses_(std::move(losses)) {}

void TrainDisplay::step(const telemetry::StepEvent& event) {
  losses_.push_back(event.loss);
  wall_ += event.wall_ms;
  ++counted_;
  progress_.set_note(fmt::format("loss {:.3f}  {:.1f} ms/step", event.loss,
                                 wall_ / static_cast<double>(counted_)));
  progress_.update(static_cast<uint64_t>(event.step));
  if (options_.json) return;
  if (event.skipped) {
    progress_.clear();
    print("step {:>5}  overflow at loss scale {:g}: step skipped\n", event.step,
          event.loss_scale);
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

void TrainDisplay::validation(const telemetry::ValidationEvent& event) {
  if (options_.json) return;
  progress_.clear();
  print("{}",
        styled(stdout, Style::kCyan,
               fmt::format("step {:>5}  validation loss {:.4f} "
                           "(perplexity {:.1f})\n",
                           event.step, event.loss, std::exp(event.loss))));
  std::fflush(stdout);
}

std::vector<double> losses_so_far(const std::filesystem::path& events) {
  std::vector<double> losses;
  const auto log = telemetry::read_events(events);
  if (!log) return losses;
  for (const telemetry::Event& event : log->events) {
    if (const auto* step = std::get_if<telemetry::StepEvent>(&event)) {
      losses.push_back(step->loss);
    }
  }
  return losses;
}

void introduce(const Introduction& run) {
  if (run.options.json) return;
  const model::ModelConfig& c = run.config;
  const pipeline::Pipeline& pipeline = run.pipeline;
  print(
      "model       {}: {} parameters, {} layers of {}/{}, {} heads ({} "
      "key/value), vocabulary {}\n",
      c.name, grouped(model::parameter_count(c)), c.num_hidden_layers,
      c.hidden_size, c.intermediate_size, c.num_attention_heads,
      c.num_key_value_heads, grouped(c.vocab_size));
  print("data        {} tokens of {}\n",
        grouped(static_cast<int64_t>(run.tokens.size())), run.tokens.place());
  const int compiles = pipeline.compiles_per_stage();
  print("engine      {} ({}, {} numerics), {} programs{}, {} of surfaces\n",
        run.device.name, run.device.chip, run.device.numerics,
        pipeline.programs(),
        compiles == 0 ? "" : fmt::format(" and {} with weights", compiles),
        human_bytes(static_cast<double>(pipeline.surface_bytes())));
  if (const auto predicted = pipeline.predicted()) {
    print("predicted   {}\n",
          wrap(predicted_line(*predicted), terminal_width(stdout), 12));
  }
  print("batch       {} sequences of {} tokens per step\n",
        run.options.accumulation, run.sequence);
  print("run         {}\n\n", run.options.out);
  std::fflush(stdout);
}

namespace {

void print_summary_json(const TrainOptions& options,
                        const train::RunSummary& summary,
                        const std::vector<double>& losses) {
  const train::RunTotals& totals = summary.totals;
  nlohmann::ordered_json json = {
      {"run", options.out},
      {"steps", summary.last_step},
      {"first_loss", losses.empty() ? summary.first_loss : losses.front()},
      {"last_loss", losses.empty() ? summary.last_loss : losses.back()},
      {"seconds", totals.restarts > 0 ? totals.wall_s : summary.seconds},
      {"interrupted", summary.interrupted}};
  if (summary.validation_loss) {
    json["validation_loss"] = *summary.validation_loss;
  }
  json["totals"] = train::to_json(totals);
  print_json(json);
}

}  // namespace

void conclude(const TrainOptions& options, const train::RunSummary& summary,
              const std::vector<double>& losses) {
  if (options.json) {
    print_summary_json(options, summary, losses);
    return;
  }
  const train::RunTotals& totals = summary.totals;
  if (!losses.empty()) {
    print("\nloss        {:.4f} {} {:.4f}\n", losses.front(),
          sparkline(losses, 40), losses.back());
  }
  if (totals.restarts > 0) {
    print(
        "processes   {} restarts; {} programs compiled in {} ({:.1f} % of "
        "{}), training {}\n",
        totals.restarts, grouped(totals.compiles),
        human_duration(totals.compile_s),
        100 * totals.compile_s / totals.wall_s, human_duration(totals.wall_s),
        human_duration(totals.train_s));
  }
  print("checkpoint  {} after step {}, {}\n",
        train::checkpoint_path(options.out).string(), summary.last_step,
        human_duration(totals.restarts > 0 ? totals.wall_s : summary.seconds));
  if (!options.rope || options.residual_alpha != 1) {
    print(
        "note        trained {}with residual factor {:g}; generate and eval "
        "compute the usual model, which is another\n",
        options.rope ? "" : "without RoPE and ", options.residual_alpha);
  }
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

}  // namespace aneroid::cli
