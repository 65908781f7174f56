// Reading tables of measurements: what program a row describes and what of it
// was timed, so that the timing model can be asked the same question.
//
// The table is CSV with the columns id, source, chip, os, api, op_kind,
// program, dtype, depth, metric, value, unit, note (docs/spec/timing.md). The
// words of `program` follow no grammar; timing_program_text.cpp has the
// phrasings that are understood. A row that is not read keeps its reason.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/csv.h"
#include "aneroid/target/timing.h"

namespace aneroid::conformance {

struct TimingRow {
  std::string id;
  std::string source;
  std::string chip;
  std::string api;
  std::string op_kind;
  std::string program;
  std::string dtype;
  std::string depth;
  std::string metric;
  std::string value;
  std::string unit;
  int line = 0;
};

// Error ("csv"): a column is missing.
Result<std::vector<TimingRow>> timing_rows(const CsvTable& table);

// A program as described: `works` is the whole of it, of which the chain
// repeats its last op or task.
struct DescribedProgram {
  std::vector<target::Work> works;
  size_t task_works = 1;  // works of one repetition
  double io_bytes = 0;
  int engines = 0;  // 0 when not said
  int64_t calls = 1;
};
// Several for what takes several calls. Error ("timing.row"): why the words
// are not understood.
Result<std::vector<DescribedProgram>> read_program(const TimingRow& row);

// What was timed.
enum class Quantity : uint8_t {
  kCall,       // the call, as its caller sees it
  kTask,       // from submission to the engine's end
  kRepeat,     // one layer of a chain: the slope over depths
  kIntercept,  // what a chain costs without layers
  kHost,       // the call without the task
};

enum class Verdict : uint8_t {
  kRead,
  kNotATime,         // watts, GB/s, tokens: says nothing the model predicts
  kNotAnEngineTime,  // compile, load, cold start, the CPU's part
  kUnreadable,       // program, chip or value is not understood
};
std::string_view name(Verdict verdict);

struct Reading {
  Verdict verdict = Verdict::kUnreadable;
  std::string reason;  // why it is not kRead
  std::string kind;    // "conv", "matmul", "elementwise", or op_kind
  target::Chip chip;
  target::TimingOptions options;
  std::vector<DescribedProgram> programs;
  Quantity quantity = Quantity::kCall;
  double measured_us = 0;  // > 0 when kRead
};
Reading read_row(const TimingRow& row);

// What the model answers, with the chip's parameters or others.
double predicted_us(const Reading& reading,
                    const target::TimingParameters& parameters);

}  // namespace aneroid::conformance
