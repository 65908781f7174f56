#include "aneroid/conformance/timing_rows.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/conformance/timing_text.h"

namespace aneroid::conformance {
namespace {

using target::Prediction;
using target::TimingParameters;

struct TextField {
  std::string_view column;
  std::string TimingRow::*member;
};
constexpr TextField kColumns[] = {
    {"id", &TimingRow::id},           {"source", &TimingRow::source},
    {"chip", &TimingRow::chip},       {"api", &TimingRow::api},
    {"op_kind", &TimingRow::op_kind}, {"program", &TimingRow::program},
    {"dtype", &TimingRow::dtype},     {"depth", &TimingRow::depth},
    {"metric", &TimingRow::metric},   {"value", &TimingRow::value},
    {"unit", &TimingRow::unit},
};

// Metrics by the beginning of their name; the first that fits.
struct Metric {
  std::string_view begins;
  Quantity quantity;
};
constexpr Metric kMetrics[] = {
    {"per_layer", Quantity::kRepeat},
    {"per_task", Quantity::kRepeat},
    {"per_op", Quantity::kRepeat},
    {"intercept", Quantity::kIntercept},
    {"submit_to_task_end", Quantity::kTask},
    {"ane_task_time", Quantity::kTask},
    {"ane0_task_time", Quantity::kTask},
    {"ane1_task_time", Quantity::kTask},
    {"kernel_time", Quantity::kTask},
    {"task_end_to", Quantity::kHost},
    {"host_gap", Quantity::kHost},
    {"ane_time", Quantity::kCall},
    {"latency", Quantity::kCall},
    {"call_time", Quantity::kCall},
    {"call_total", Quantity::kCall},
    {"dispatch", Quantity::kCall},
    {"eval_latency", Quantity::kCall},
    {"floor", Quantity::kCall},
    {"throughput", Quantity::kCall},
    {"effective_weight_bw", Quantity::kCall},
};
constexpr std::string_view kTypicalWords[] = {"median", "p50", "avg", "mean",
                                              "high"};

// What the engine's model says nothing about.
constexpr std::string_view kNotEngineKinds[] = {"compile", "coldstart",
                                                "training", "llm", "clock"};
constexpr std::string_view kNotEngineMetrics[] = {
    "step_time",     "compile",       "load_",       "reload",
    "total_latency", "added",         "cold",        "call_user",
    "call_build",    "call_firmware", "call_kernel", "ane_task_time_cold",
    "time_per_token"};

struct TimeUnit {
  std::string_view unit;
  double microseconds;
};
constexpr TimeUnit kTimeUnits[] = {
    {"ns", 1e-3}, {"us", 1.0}, {"ms", 1e3}, {"s", 1e6}};
constexpr TimeUnit kRates[] = {  // operations per microsecond
    {"TFLOPS", 1e6},
    {"TOPS", 1e6},
    {"GFLOPS", 1e3},
    {"GOPS", 1e3}};

std::optional<double> look_up(std::span<const TimeUnit> units,
                              std::string_view unit) {
  for (const TimeUnit& known : units) {
    if (known.unit == unit) return known.microseconds;
  }
  return std::nullopt;
}

bool begins_with_any(std::string_view text,
                     std::span<const std::string_view> beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view beginning) {
    return text.starts_with(beginning);
  });
}

target::Path path_of(std::string_view api) {
  if (api.starts_with("e5rt") || api.starts_with("ANEForge")) {
    return target::Path::kE5;
  }
  return api == "private" ? target::Path::kRaw : target::Path::kCoreml;
}

std::string kind_of(const TimingRow& row) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {
      {"conv", "conv"},
      {"weight_stream", "conv"},
      {"mlp", "matmul"},
      {"matmul", "matmul"},
      {"elementwise", "elementwise"},
      {"norm", "elementwise"},
  };
  for (const auto& [begins, kind] : kKinds) {
    if (row.op_kind.starts_with(begins)) return std::string(kind);
  }
  return row.op_kind;
}

Reading refused(Reading reading, Verdict verdict, std::string reason) {
  reading.verdict = verdict;
  reading.reason = std::move(reason);
  return reading;
}

// "M5 Pro (host not recorded)" is an M5 Pro.
std::string_view bare_chip(std::string_view chip) {
  chip = chip.substr(0, chip.find('('));
  while (chip.ends_with(' ')) chip.remove_suffix(1);
  return chip;
}

std::vector<target::Work> task_of(const DescribedProgram& program) {
  const size_t count = std::min(program.task_works, program.works.size());
  return {program.works.end() - static_cast<std::ptrdiff_t>(count),
          program.works.end()};
}

double operations(std::span<const target::Work> works) {
  double sum = 0;
  for (const target::Work& work : works) {
    if (work.unit == target::Unit::kArray) {
      sum += 2 * target::multiplications(work);
    }
  }
  return sum;
}

// The time that a rate stands for; nullopt when the row says too little.
std::optional<double> time_of_rate(const TimingRow& row, double value,
                                   const Reading& reading) {
  if (reading.programs.size() != 1 || value <= 0) return std::nullopt;
  const DescribedProgram& program = reading.programs.front();
  if (const auto unit = look_up(kRates, row.unit);
      unit && row.metric.starts_with("throughput")) {
    const double work = reading.quantity == Quantity::kRepeat
                            ? operations(task_of(program))
                            : operations(program.works);
    if (work <= 0) return std::nullopt;
    return work / (value * *unit);
  }
  if (row.unit == "GB/s" && row.metric == "effective_weight_bw") {
    double bytes = 0;
    for (const target::Work& work : program.works) {
      bytes += target::stored_weight_bytes(work);
    }
    if (bytes > 0) return bytes / (value * 1e3);
  }
  return std::nullopt;
}

double repeat_us(const DescribedProgram& program, const Reading& reading,
                 const TimingParameters& parameters) {
  double sum = 0;
  for (const target::Work& work : task_of(program)) {
    const int engines =
        std::min(program.engines > 0 ? program.engines
                                     : target::engines_for(work, reading.chip),
                 reading.chip.engines);
    sum += target::op_time(work, parameters, engines).microseconds;
  }
  return sum;
}

}  // namespace

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRead:
      return "scored";
    case Verdict::kNotATime:
      return "not a time";
    case Verdict::kNotAnEngineTime:
      return "not the engine's time";
    case Verdict::kUnreadable:
      break;
  }
  return "unreadable";
}

Result<std::vector<TimingRow>> timing_rows(const CsvTable& table) {
  std::vector<TimingRow> rows(table.rows());
  for (const TextField& field : kColumns) {
    ANEROID_ASSIGN(const size_t column, table.column(field.column));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].*field.member = table.at(i, column);
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) rows[i].line = table.line(i);
  return rows;
}

Reading read_row(const TimingRow& row) {
  Reading reading;
  reading.kind = kind_of(row);
  const auto chip = target::find_chip(bare_chip(row.chip));
  if (!chip) {
    return refused(std::move(reading), Verdict::kUnreadable,
                   fmt::format("no chip '{}' is known", row.chip));
  }
  reading.chip = *chip;
  if (!target::timing_parameters(*chip)) {
    return refused(std::move(reading), Verdict::kUnreadable,
                   fmt::format("no timing is known for {}", chip->name));
  }
  const auto* metric = std::ranges::find_if(kMetrics, [&](const Metric& known) {
    return row.metric.starts_with(known.begins);
  });
  const bool engine_part = row.metric == "ane_time";
  if (begins_with_any(row.metric, kNotEngineMetrics) ||
      (begins_with_any(row.op_kind, kNotEngineKinds) && !engine_part)) {
    return refused(std::move(reading), Verdict::kNotAnEngineTime,
                   fmt::format("{} of {}", row.metric, row.op_kind));
  }
  const auto unit = look_up(kTimeUnits, row.unit);
  if (metric == std::end(kMetrics) || (!unit && !look_up(kRates, row.unit) &&
                                       row.metric != "effective_weight_bw")) {
    return refused(std::move(reading), Verdict::kNotATime,
                   fmt::format("{} in {}", row.metric, row.unit));
  }
  const auto value = as_number(row.value);
  if (!value || *value <= 0 || !std::isfinite(*value)) {
    return refused(
        std::move(reading), Verdict::kUnreadable,
        fmt::format("value '{}' is not one positive number", row.value));
  }
  auto programs = read_program(row);
  if (!programs) {
    return refused(std::move(reading), Verdict::kUnreadable,
                   programs.error().message);
  }
  reading.programs = *std::move(programs);
  reading.quantity = metric->quantity;
  reading.options.path = path_of(row.api);
  reading.options.caller_copies = contains_word(row.api, "python");
  reading.options.typical =
      std::ranges::any_of(kTypicalWords, [&](std::string_view word) {
        return row.metric.find(word) != std::string::npos;
      });
  if (unit) {
    reading.measured_us = *value * *unit;
  } else {
    // A rate is of the whole run, or of one layer where no depth is counted.
    if (!as_number(row.depth)) reading.quantity = Quantity::kRepeat;
    const auto time = time_of_rate(row, *value, reading);
    if (!time) {
      return refused(std::move(reading), Verdict::kNotATime,
                     "the program does not say how much work the rate is for");
    }
    reading.measured_us = *time;
  }
  reading.verdict = Verdict::kRead;
  return reading;
}

double predicted_us(const Reading& reading,
                    const TimingParameters& parameters) {
  double sum = 0;
  for (const DescribedProgram& program : reading.programs) {
    target::TimingOptions options = reading.options;
    options.engines = program.engines;
    options.io_bytes = program.io_bytes;
    const Prediction prediction =
        target::predict(program.works, reading.chip, parameters, options);
    double one = 0;
    switch (reading.quantity) {
      case Quantity::kCall:
        one = prediction.microseconds;
        break;
      case Quantity::kTask:
        one = prediction.task_microseconds;
        break;
      case Quantity::kHost:
        one = prediction.microseconds - prediction.task_microseconds;
        break;
      case Quantity::kRepeat:
        one = repeat_us(program, reading, parameters);
        break;
      case Quantity::kIntercept: {
        // What the first repetition costs beyond a later one.
        const auto task = task_of(program);
        options.io_bytes = 0;
        one = target::predict(task, reading.chip, parameters, options)
                  .task_microseconds -
              repeat_us(program, reading, parameters);
        break;
      }
    }
    sum += one * static_cast<double>(program.calls);
  }
  return sum;
}

}  // namespace aneroid::conformance
