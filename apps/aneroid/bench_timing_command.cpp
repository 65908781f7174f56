#include "apps/aneroid/bench_timing_command.h"

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/csv.h"
#include "aneroid/base/file.h"
#include "aneroid/conformance/static_step.h"
#include "aneroid/conformance/timing_score.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using conformance::ErrorSummary;
using conformance::ScoreGroup;
using conformance::Scoring;
using conformance::SourceLevel;
using conformance::SourceScore;
using conformance::Verdict;
using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxTableBytes = uint64_t{64} << 20;
constexpr Verdict kVerdicts[] = {Verdict::kRead, Verdict::kNotATime,
                                 Verdict::kNotAnEngineTime,
                                 Verdict::kUnreadable};

struct TimingCommandOptions {
  std::string table;
  std::string plot;
  std::string chip;
  bool step = false;
  bool rows = false;
  bool json = false;
};

struct Report {
  Scoring scoring;
  std::vector<SourceScore> by_author;
  std::vector<SourceScore> by_file;
};

// 0.08 is "8.3 %": the larger of the two ways to be off.
std::string percent(double log_error) {
  return fmt::format("{:.1f} %", 100 * std::expm1(log_error));
}

struct Freedom {
  int by_class = 0;
  std::string names;  // "m1: efficiency, copy_gbs; m3: ..."
};
Freedom degrees_of_freedom() {
  Freedom freedom;
  for (const target::TimingParameters& timing : target::timing_classes()) {
    freedom.names += freedom.names.empty() ? "" : "; ";
    freedom.names +=
        fmt::format("{}: {}", timing.id, fmt::join(timing.fitted, ", "));
    freedom.by_class += static_cast<int>(timing.fitted.size());
  }
  return freedom;
}

// ---- Text ------------------------------------------------------------------

void print_groups(std::string_view title,
                  const std::vector<ScoreGroup>& groups) {
  Table table({{"chip"},
               {std::string(title)},
               {"rows", Align::kRight},
               {"median", Align::kRight},
               {"p90", Align::kRight}});
  for (const ScoreGroup& group : groups) {
    table.add({visible(group.chip), visible(group.kind),
               fmt::format("{}", group.errors.rows),
               percent(group.errors.median), percent(group.errors.p90)});
  }
  print("{}\n", table.to_string());
}

void print_sources(const std::vector<SourceScore>& scores) {
  Table table({{"class"},
               {"rows", Align::kRight},
               {"others", Align::kRight},
               {"median", Align::kRight},
               {"p90", Align::kRight},
               {"left out", Align::kRight},
               {"p90", Align::kRight},
               {"source"}});
  for (const SourceScore& score : scores) {
    table.add({score.timing_class, fmt::format("{}", score.with.rows),
               fmt::format("{}", score.other_rows), percent(score.with.median),
               percent(score.with.p90), percent(score.without.median),
               percent(score.without.p90), visible(score.source)});
  }
  print("{}\n", table.to_string(terminal_width(stdout)));
}

void print_rows(const Scoring& scoring) {
  Table table({{"row"},
               {"chip"},
               {"measured us", Align::kRight},
               {"predicted us", Align::kRight},
               {"ln", Align::kRight},
               {"program"}});
  for (const auto& row : scoring.rows) {
    if (row.reading.verdict != Verdict::kRead) continue;
    table.add({visible(row.row.id), visible(row.row.chip),
               fmt::format("{:.2f}", row.reading.measured_us),
               fmt::format("{:.2f}", row.predicted_us),
               fmt::format("{:+.2f}", row.error), visible(row.row.program)});
  }
  print("{}\n", table.to_string());
}

void print_unscored(const Scoring& scoring) {
  Table table({{"row"}, {"chip"}, {"not scored"}, {"why"}});
  for (const auto& row : scoring.rows) {
    if (row.reading.verdict == Verdict::kRead) continue;
    table.add({visible(row.row.id), visible(row.row.chip),
               std::string(name(row.reading.verdict)),
               visible(row.reading.reason)});
  }
  print("{}\n", table.to_string());
}

void print_report(const TimingCommandOptions& options, const Report& report) {
  print("predicted times against {}; no figure here was measured now\n\n",
        visible(options.table));
  for (const Verdict verdict : kVerdicts) {
    print("{:>6}  {}\n", report.scoring.count(verdict), name(verdict));
  }
  print("\nError |ln(predicted / measured)|, as percent:\n\n");
  print_groups("op kind", report.scoring.by_op_kind());
  print_groups("kind", report.scoring.by_kind());
  const Freedom freedom = degrees_of_freedom();
  print(
      "Degrees of freedom: {} parameters fitted by chip class ({}), {} fitted "
      "constants shared by all.\n\nLeave one source out: the fitted parameters "
      "of the class are fitted again to its other sources; published ones "
      "stay.\n\n",
      freedom.by_class, freedom.names, target::fitted_constants());
  print_sources(report.by_author);
  print("The same, leaving out one file of a source:\n\n");
  print_sources(report.by_file);
  if (options.rows) print_rows(report.scoring);
  print_unscored(report.scoring);
}

// ---- JSON ------------------------------------------------------------------

Json to_json(const ErrorSummary& errors) {
  return {{"rows", errors.rows},
          {"median_abs_log_error", errors.median},
          {"p90_abs_log_error", errors.p90}};
}

Json to_json(const std::vector<ScoreGroup>& groups) {
  Json json = Json::array();
  for (const ScoreGroup& group : groups) {
    Json one = {{"chip", group.chip}, {"kind", group.kind}};
    one.update(to_json(group.errors));
    json.push_back(std::move(one));
  }
  return json;
}

Json to_json(const std::vector<SourceScore>& scores) {
  Json json = Json::array();
  for (const SourceScore& score : scores) {
    json.push_back({{"source", score.source},
                    {"class", score.timing_class},
                    {"other_rows", score.other_rows},
                    {"as_shipped", to_json(score.with)},
                    {"left_out", to_json(score.without)}});
  }
  return json;
}

Json to_json(const TimingCommandOptions& options, const Report& report) {
  const Scoring& scoring = report.scoring;
  Json json = {{"table", options.table}, {"rows", scoring.rows.size()}};
  for (const Verdict verdict : kVerdicts) {
    json["counts"][std::string(name(verdict))] = scoring.count(verdict);
  }
  json["by_op_kind"] = to_json(scoring.by_op_kind());
  json["by_kind"] = to_json(scoring.by_kind());
  json["by_class"] = to_json(scoring.by_class());
  for (const target::TimingParameters& timing : target::timing_classes()) {
    json["fitted_parameters"][std::string(timing.id)] = timing.fitted;
  }
  json["fitted_constants"] = target::fitted_constants();
  json["leave_one_source_out"] = to_json(report.by_author);
  json["leave_one_file_out"] = to_json(report.by_file);
  json["scored"] = Json::array();
  json["not_scored"] = Json::array();
  for (const auto& row : scoring.rows) {
    if (row.reading.verdict == Verdict::kRead) {
      json["scored"].push_back({{"id", row.row.id},
                                {"chip", row.row.chip},
                                {"op_kind", row.row.op_kind},
                                {"measured_us", row.reading.measured_us},
                                {"predicted_us", row.predicted_us},
                                {"log_error", row.error}});
    } else {
      json["not_scored"].push_back({{"id", row.row.id},
                                    {"chip", row.row.chip},
                                    {"verdict", name(row.reading.verdict)},
                                    {"reason", row.reading.reason}});
    }
  }
  return json;
}

// ---- The published training step -------------------------------------------

Result<int> run_step(const TimingCommandOptions& options) {
  ANEROID_ASSIGN(const target::Chip chip, target::find_chip(options.chip));
  Table table({{"kernel"},
               {"calls", Align::kRight},
               {"us a call", Align::kRight},
               {"overhead", Align::kRight},
               {"surfaces", Align::kRight},
               {"array", Align::kRight},
               {"element-wise", Align::kRight},
               {"movement", Align::kRight},
               {"ms", Align::kRight}});
  Json rows = Json::array();
  double forward_ms = 0;
  double total_ms = 0;
  target::Basis basis;
  for (const conformance::StepKernel& kernel :
       conformance::static_step(conformance::kStories110m, 256)) {
    target::TimingOptions timing;
    timing.typical = false;
    timing.io_bytes = kernel.program.io_bytes;
    ANEROID_ASSIGN(const target::Prediction prediction,
                   target::predict(kernel.program.works, chip, timing));
    double array = 0;
    double elementwise = 0;
    double movement = 0;
    for (const target::OpTime& op : prediction.ops) {
      double& part = op.bound == "elementwise" ? elementwise
                     : op.bound == "movement"  ? movement
                                               : array;
      part += op.microseconds;
    }
    const double overhead = prediction.microseconds -
                            prediction.io_microseconds - array - elementwise -
                            movement;
    const double ms = prediction.microseconds *
                      static_cast<double>(kernel.program.calls) / 1e3;
    total_ms += ms;
    if (kernel.forward) forward_ms += ms;
    basis = prediction.basis;
    table.add({std::string(kernel.name),
               fmt::format("{}", kernel.program.calls),
               fmt::format("{:.0f}", prediction.microseconds),
               fmt::format("{:.0f}", overhead),
               fmt::format("{:.0f}", prediction.io_microseconds),
               fmt::format("{:.0f}", array), fmt::format("{:.0f}", elementwise),
               fmt::format("{:.0f}", movement), fmt::format("{:.2f}", ms)});
    rows.push_back({{"kernel", kernel.name},
                    {"calls", kernel.program.calls},
                    {"call_us", prediction.microseconds},
                    {"overhead_us", overhead},
                    {"surfaces_us", prediction.io_microseconds},
                    {"array_us", array},
                    {"elementwise_us", elementwise},
                    {"movement_us", movement}});
  }
  if (options.json) {
    print_json({{"chip", chip.id},
                {"predicted", true},
                {"basis", to_string(basis)},
                {"forward_ms", forward_ms},
                {"step_ms", total_ms},
                {"kernels", rows}});
    return kGood;
  }
  print(
      "stories110m, weights baked in, one sequence of 256: predicted on {}, "
      "not measured; {}\n\n{}\nforward pass {:.1f} ms, forward and backward "
      "{:.1f} ms of the engine\n",
      chip.name, to_string(basis), table.to_string(), forward_ms, total_ms);
  return kGood;
}

// ---- Command ---------------------------------------------------------------

Result<int> run_timing(const TimingCommandOptions& options) {
  if (options.step) {
    if (options.chip.empty()) return usage_error("--step needs --chip");
    return run_step(options);
  }
  if (options.table.empty()) {
    return usage_error("give a table of measurements: --table FILE.csv");
  }
  if (!options.plot.empty()) {
    ANEROID_TRY(refuse_overwriting(options.plot, {{options.table}}));
  }
  ANEROID_ASSIGN(const std::string text,
                 read_file(options.table, kMaxTableBytes));
  ANEROID_ASSIGN(const CsvTable table, CsvTable::parse(text, options.table));
  Report report;
  ANEROID_ASSIGN(report.scoring, conformance::score(table));
  if (!options.chip.empty()) {
    ANEROID_ASSIGN(const target::Chip chip, target::find_chip(options.chip));
    std::erase_if(report.scoring.rows, [&](const auto& row) {
      return row.reading.chip.id != chip.id;
    });
  }
  report.by_author = leave_one_source_out(report.scoring, SourceLevel::kAuthor);
  report.by_file = leave_one_source_out(report.scoring, SourceLevel::kFile);
  if (!options.plot.empty()) {
    ANEROID_TRY(write_file_atomically(
        options.plot,
        scatter_svg(report.scoring,
                    fmt::format("Predicted against measured, {} rows",
                                report.scoring.count(Verdict::kRead)))));
  }
  if (options.json) {
    print_json(to_json(options, report));
  } else {
    print_report(options, report);
  }
  return kGood;
}

}  // namespace

void setup_bench_timing(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_timing);
  describe(command,
           "Asks the timing model what each row of a table measured and "
           "reports how far off it is, per chip and kind of op, and for "
           "sources that had no part in its parameters. Rows that are not "
           "times, or not understood, are counted and listed. The table's "
           "format: docs/spec/timing.md.",
           "  aneroid bench timing --table timings.csv --plot timings.svg\n"
           "  aneroid bench timing --table timings.csv --chip m4 --rows\n"
           "  aneroid bench timing --step --chip m4\n");
  command.add_option("--table", options->table, "measurements, CSV")
      ->type_name("FILE");
  command
      .add_option("--plot", options->plot,
                  "write predicted against measured as SVG")
      ->type_name("FILE");
  add_chip_option(command, options->chip)
      ->description("only the rows of one chip");
  command.add_flag("--step", options->step,
                   "instead, the published training step kernel by kernel");
  command.add_flag("--rows", options->rows, "print every scored row too");
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
