#include "apps/aneroid/bench_suite_command.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <sys/utsname.h>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/suite/chart.h"
#include "aneroid/suite/report.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using suite::Report;
using suite::ReportRow;
using suite::RowUnit;

constexpr uint64_t kMaxTableBytes = uint64_t{64} << 20;
// Comparisons further apart than this are said to disagree.
constexpr double kAgreement = 1.25;

struct SuiteOptions {
  std::string suite;
  std::string path = "raw";
  std::string csv;
  std::string plot;
  std::string measured;
  std::string machine;
  int64_t iterations = 5;
  double max_gflop = 20;
  bool quick = false;
  bool no_run = false;
  bool json = false;
  DeviceFlags device;
};

target::Path path_named(const std::string& name) {
  for (const target::Path path : {target::Path::kCoreml, target::Path::kE5}) {
    if (target::name(path) == name) return path;
  }
  return target::Path::kRaw;
}

suite::Conditions this_computer(const SuiteOptions& options,
                                const OpenedDevice* opened) {
  suite::Conditions conditions;
  utsname name{};
  if (uname(&name) == 0) {
    conditions.machine = name.machine;
    conditions.os = fmt::format("{} {}", name.sysname, name.release);
  }
  if (!options.machine.empty()) conditions.machine = options.machine;
  conditions.chip = suite::kCpu;
  if (opened == nullptr) return conditions;
  const device::DeviceInfo& info = opened->device->info();
  if (info.is_chip) conditions.chip = info.chip;
  conditions.device = info.name;
  conditions.numerics = info.numerics;
  conditions.threads = opened->pool->threads();
  return conditions;
}

// ---- Text ------------------------------------------------------------------

// In ms, or the ratio itself.
std::string value(const ReportRow& row, double number) {
  return row.unit == RowUnit::kRatio ? fmt::format("{:.3g} x", number)
                                     : fmt::format("{:.4g}", number / 1e3);
}

std::string rate(const Report& report, const ReportRow& row, double us) {
  if (report.suite->measure == suite::Measure::kWeightRate) {
    return row.weight_bytes > 0
               ? fmt::format("{:.3g}", row.weight_bytes / us / 1e3)
               : "";
  }
  return row.flops > 0 ? fmt::format("{:.3g}", row.flops / us / 1e6) : "";
}

// Whether the row's own prediction answers to the conditions of the figure.
bool has_conditions_of(const Report& report, const suite::Figure& figure) {
  return figure.path == report.path &&
         figure.statistic == suite::Statistic::kBest && !figure.copies &&
         figure.engines == 0;
}

// Who, and under which conditions when they are others.
std::string source_of(const Report& report, const suite::Figure& figure) {
  std::string words = figure.source;
  if (figure.kind != suite::Kind::kPublished) {
    words = fmt::format("contributed: {}", figure.machine);
  }
  if (figure.path != report.path) {
    words += fmt::format("; {}", target::name(figure.path));
  }
  if (figure.statistic == suite::Statistic::kTypical) words += "; typical";
  if (figure.copies) words += "; with copies";
  if (figure.engines > 0) words += fmt::format("; engines {}", figure.engines);
  return visible(words);
}

// The row, then a line for each figure whose conditions are others.
void add_row(Table& table, const Report& report, const ReportRow& row) {
  const std::vector<std::string> none(8);
  std::vector<std::string> cells = none;
  cells[0] = row.key;
  if (row.flops > 0) cells[1] = fmt::format("{:.3g}", row.flops / 1e9);
  cells[2] = row.measured ? value(row, row.measured->best_us) : "-";
  cells[3] = row.predicted ? value(row, *row.predicted) : "refused";
  if (row.predicted) cells[4] = rate(report, row, *row.predicted);
  bool is_first = true;
  for (const suite::Comparison& one : row.comparisons) {
    if (!is_first || !has_conditions_of(report, one.figure) || !row.predicted) {
      table.add(cells);
      cells = none;
      cells[3] = value(row, one.predicted);
      cells[4] = rate(report, row, one.predicted);
    }
    is_first = false;
    cells[5] = value(row, one.value);
    cells[6] = fmt::format("{:.2f}", one.ratio());
    cells[7] = source_of(report, one.figure);
  }
  table.add(cells);
}

void print_layers(const Report& report) {
  // What the first publications divided by, and the chip's own peak: 16 cores
  // of 256 multiply-adds a cycle, two operations each.
  constexpr double kPublishedPeak = 15.8;
  const target::Figure* clock = report.chip.figure("clock_ghz");
  const double peak =
      clock == nullptr ? 0 : 8.192 * clock->value * report.chip.engines;
  for (const ReportRow& row : report.rows) {
    const auto* layer = row.source == nullptr
                            ? nullptr
                            : std::get_if<suite::Layer>(&row.source->recipe);
    if (layer == nullptr || !row.predicted) continue;
    const double flops = suite::published_flops(*layer);
    const auto utilisation = [&](double us) {
      const double tflops = flops / us / 1e6;
      return fmt::format("{:.3g} TFLOPS, {:.1f} % of {} and {:.1f} % of {:.1f}",
                         tflops, 100 * tflops / kPublishedPeak, kPublishedPeak,
                         100 * tflops / peak, peak);
    };
    print(
        "\n{}: {:.3g} GFLOP as published ({:.3g} with the attention of the "
        "forward pass)\n",
        row.key, flops / 1e9, row.flops / 1e9);
    print("  predicted  {}\n", utilisation(*row.predicted));
    for (const suite::Comparison& one : row.comparisons) {
      print("  published  {}\n", utilisation(one.value));
    }
    for (const suite::ProgramForecast& program : row.programs) {
      print("    {:<10} {:8.1f} us predicted, {:.1f} of it surfaces\n",
            program.name, program.prediction.microseconds,
            program.prediction.io_microseconds);
    }
  }
}

void print_notes(const Report& report, const suite::Conditions& conditions) {
  std::set<std::string> bases;
  int large = 0;
  int compared = 0;
  int agree = 0;
  for (const ReportRow& row : report.rows) {
    if (row.predicted) bases.insert(target::to_string(row.basis));
    if (row.flops / 1e9 > report.max_gflop) ++large;
    for (const suite::Comparison& one : row.comparisons) {
      ++compared;
      const double off = std::max(one.ratio(), 1 / one.ratio());
      if (off <= kAgreement) ++agree;
    }
  }
  cli::print("\nhere: this computer; predicted: {}, {}\n", report.chip.name,
             fmt::join(bases, "; "));
  if (report.ran && conditions.chip == suite::kCpu &&
      !report.suite->on_cpu.empty()) {
    print("here, {}\n", report.suite->on_cpu);
  }
  print(
      "ratio: predicted over published, both under the conditions of the "
      "figure (docs/benchmarks.md)\n");
  if (compared > 0) {
    print(
        "{} of {} published or contributed figures are within 25 % of their "
        "prediction\n",
        agree, compared);
  } else {
    print("nobody has published figures of these rows on {}\n",
          report.chip.name);
  }
  if (large > 0 && report.ran) {
    print("{} rows of more than {:g} GFLOP were not run here: --max-gflop\n",
          large, report.max_gflop);
  }
  for (const ReportRow& row : report.rows) {
    if (row.source == nullptr) continue;
    if (!row.refused.empty()) {
      print("{}: refused, {}\n", row.key, row.refused);
    } else if (report.ran && !row.measured &&
               row.flops / 1e9 <= report.max_gflop) {
      print("{}: not run, {}\n", row.key, row.not_measured);
    }
  }
}

void print_report(const Report& report, const suite::Conditions& conditions) {
  print("{}: {}\n", report.suite->name, report.suite->summary);
  if (!report.ran) {
    print("predicted on {}; nothing was run\n\n", report.chip.name);
  } else {
    print(
        "predicted on {}; measured here with the {}, {} numerics, {} threads"
        "{}\n\n",
        report.chip.name, conditions.device, conditions.numerics,
        conditions.threads,
        conditions.chip == suite::kCpu ? ": a CPU's times, never a chip's"
                                       : "");
  }
  Table table({{"row"},
               {"GFLOP", Align::kRight},
               {"here ms", Align::kRight},
               {"predicted ms", Align::kRight},
               {report.suite->measure == suite::Measure::kWeightRate
                    ? "GB/s"
                    : std::string(report.suite->rate_unit),
                Align::kRight},
               {"published ms", Align::kRight},
               {"ratio", Align::kRight},
               {"source"}});
  for (const ReportRow& row : report.rows) add_row(table, report, row);
  print("{}", table.to_string());
  print_layers(report);
  print_notes(report, conditions);
}

// ---- Command ---------------------------------------------------------------

Result<std::vector<suite::Figure>> contributed(const std::string& file) {
  if (file.empty()) return std::vector<suite::Figure>();
  ANEROID_ASSIGN(const std::string text, read_file(file, kMaxTableBytes));
  return suite::read_figures(text, file);
}

Status check_files(const SuiteOptions& options) {
  for (const std::string& output : {options.csv, options.plot}) {
    if (!output.empty() && !options.measured.empty()) {
      ANEROID_TRY(refuse_overwriting(output, {{options.measured}}));
    }
  }
  if (!options.csv.empty() && options.csv == options.plot) {
    return usage_error("--csv and --plot name the same file");
  }
  return {};
}

Result<int> run_suite(const SuiteOptions& options) {
  ANEROID_TRY(check_files(options));
  ANEROID_ASSIGN(const auto others, contributed(options.measured));
  suite::ReportOptions wanted;
  ANEROID_ASSIGN(wanted.chip, target::find_chip(options.device.options.chip));
  wanted.path = path_named(options.path);
  wanted.quick = options.quick;
  wanted.max_gflop = options.max_gflop;
  wanted.contributed = others;
  std::optional<OpenedDevice> opened;
  catch_interrupts();
  Progress progress({"measuring", "rows", 0});
  uint64_t done = 0;
  if (!options.no_run) {
    ANEROID_ASSIGN(opened, open_device(options.device));
    suite::MeasureOptions measuring;
    measuring.iterations = options.iterations;
    measuring.interrupt = &interrupt_flag();
    wanted.run = [&, measuring](std::span<const suite::TestProgram> programs) {
      progress.update(++done);
      return suite::measure(*opened->device, programs, measuring);
    };
  }
  auto report = suite::make_report(*suite::find_suite(options.suite), wanted);
  progress.clear();
  if (interrupted()) return kInterrupted;
  if (!report) return tl::unexpected(std::move(report).error());
  const suite::Conditions conditions =
      this_computer(options, opened ? &*opened : nullptr);
  if (!options.csv.empty()) {
    ANEROID_TRY(write_file_atomically(
        options.csv,
        suite::write_figures(suite::figures(*report, conditions))));
  }
  if (!options.plot.empty()) {
    ANEROID_TRY(write_file_atomically(options.plot, suite::chart_svg(*report)));
  }
  if (options.json) {
    print("{}\n", suite::to_json(*report, conditions));
  } else {
    print_report(*report, conditions);
  }
  return kGood;
}

void add_suite(CLI::App& bench, Action& chosen, const suite::Suite& suite) {
  const std::string name(suite.name);
  CLI::App& command = *bench.add_subcommand(name, std::string(suite.summary));
  command.group("Published benchmarks");
  const auto options = bind(command, chosen, run_suite);
  options->suite = name;
  describe(command, suite.details,
           fmt::format("  aneroid bench {0}\n"
                       "  aneroid bench {0} --no-run --chip m5-pro\n"
                       "  aneroid bench {0} --csv mine.csv --plot {0}.svg\n",
                       name));
  command
      .add_option("--iterations", options->iterations,
                  "timed calls of each row, after one to warm up")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command
      .add_option("--max-gflop", options->max_gflop,
                  "rows of more work are predicted, not run")
      ->type_name("GFLOP")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  command.add_flag("--quick", options->quick, "a small sweep of its own");
  command.add_flag("--no-run", options->no_run, "predict only");
  command
      .add_option("--path", options->path,
                  "how the predicted call reaches the engine: raw, coreml or "
                  "e5")
      ->type_name("NAME")
      ->check(CLI::IsMember({"raw", "coreml", "e5"}))
      ->capture_default_str();
  command
      .add_option("--measured", options->measured,
                  "show measurements of others beside ours: CSV, "
                  "docs/spec/bench-results.md")
      ->type_name("FILE");
  command.add_option("--csv", options->csv, "write all figures as CSV")
      ->type_name("FILE");
  command.add_option("--plot", options->plot, "write a chart as SVG")
      ->type_name("FILE");
  command
      .add_option("--machine", options->machine,
                  "what to call this computer in the CSV")
      ->type_name("TEXT");
  add_json_option(command, options->json);
  add_device_options(command, options->device);
}

}  // namespace

void setup_bench_suites(CLI::App& bench, Action& chosen) {
  for (const suite::Suite& suite : suite::suites()) {
    add_suite(bench, chosen, suite);
  }
}

}  // namespace aneroid::cli
