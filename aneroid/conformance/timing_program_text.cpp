// The phrasings of programs, most specific first. A new phrasing is a row of
// kPhrasings and its function, or a pattern of an existing one.
#include "aneroid/conformance/static_step.h"
#include "aneroid/conformance/timing_phrasings.h"

namespace aneroid::conformance {
namespace {

using target::Work;

constexpr size_t kMaxText = 400;
constexpr double kMaxPixels = 1e12;

void read_dtype(std::string_view dtype, bool expands_int8, Work& work) {
  constexpr std::string_view kBits[] = {"#-bit", "#bit",         "int#", "A8W#",
                                        "LUT#",  "palettized #", "W#"};
  constexpr std::string_view kInt8Activations[] = {"W#A8", "A8W#", "A8"};
  constexpr std::string_view kPalette[] = {"LUT",  "palette", "palettized",
                                           "LUT#", "W4A16",   "A8W4"};
  const auto integers = find_sizes(dtype, "W#A#");
  if (integers) work.weight_bits = static_cast<double>((*integers)[0]);
  if (!integers) {
    if (const auto bits = first_of(dtype, kBits)) {
      work.weight_bits = static_cast<double>((*bits)[0]);
    }
  }
  work.int8_activations =
      any_word(dtype, kInt8Activations) || (integers && (*integers)[1] == 8);
  work.palette = any_word(dtype, kPalette);
  if (const auto zeros = find_numbers(dtype, "pruned #%")) {
    work.density = 1 - (*zeros)[0] / 100;
  } else if (const auto sparse = find_numbers(dtype, "sparse #% zero")) {
    work.density = 1 - (*sparse)[0] / 100;
  }
  work.weight_bits = std::clamp(work.weight_bits, 1.0, 16.0);
  work.density = std::clamp(work.density, 0.0, 1.0);
  const bool only_weights =
      work.weight_bits == 8 && !work.palette && !work.int8_activations;
  if (expands_int8 && only_weights) work.weight_bits = 16;
}

Programs read_empty(const TimingRow&) {
  return std::vector{DescribedProgram{}};
}

Programs read_static_step(const TimingRow&) {
  return static_forward(kStories110m, 256);
}

Programs refuse(const TimingRow& row) {
  return unread(row, "several programs at once, or an op outside the model");
}

// ---- Which is which --------------------------------------------------------

struct Phrasing {
  std::string_view words;  // a pattern in `program`
  Programs (*read)(const TimingRow&);
};
constexpr Phrasing kPhrasings[] = {
    {"parallel", refuse},
    {"# processes", refuse},
    {"A# then B#", refuse},
    {"upsample+avgpool", refuse},
    {"added", refuse},
    {"extra time", refuse},
    {"sort", refuse},
    {"sum of # inputs", read_sum_then_convs},
    {"training step, ANE part", read_static_step},
    {"empty-ish program", read_empty},
    {"one small call", read_empty},
    {"per-call overhead", read_empty},
    {"#->#->#", read_mlp_pairs},
    {"MLP x#", read_known_mlp},
    {"H# S# D#", read_attention},
    {"runtime mul+reduce_sum", read_matvec_by_hand},
    {"matmul", read_matmul},
    {"GEMV", read_matmul},
    {"matvec", read_matmul},
    {"conv", read_conv},
    {"conv+relu", read_conv},
    {"conv1x1", read_conv},
    {"conv3x3", read_conv},
    {"conv_transpose", read_conv},
    {"depthwise", read_conv},
};

}  // namespace

tl::unexpected<Diagnostic> unread(const TimingRow& row, std::string reason) {
  return input_error("timing.row", row.id, std::move(reason));
}

int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(
      std::min(kMaxPixels, static_cast<double>(a) * static_cast<double>(b)));
}

std::optional<Sizes> first_of(std::string_view text,
                              std::span<const std::string_view> patterns) {
  for (const std::string_view pattern : patterns) {
    if (auto sizes = find_sizes(text, pattern)) return sizes;
  }
  return std::nullopt;
}

bool any_word(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(
      words, [&](std::string_view word) { return contains_word(text, word); });
}

void read_dtype(const TimingRow& row, Work& work) {
  read_dtype(row.dtype, row.api.starts_with("e5rt"), work);
}

int64_t read_depth(const TimingRow& row) {
  for (const std::string_view text :
       {std::string_view(row.depth), std::string_view(row.program)}) {
    constexpr std::string_view kDepths[] = {"x# chain", "L#"};
    const auto depth =
        text == row.depth ? find_sizes(text, "#") : first_of(text, kDepths);
    if (depth && (*depth)[0] > 1) return std::min((*depth)[0], kMaxDepth);
  }
  return 1;
}

DescribedProgram repeated(const std::vector<Work>& task, int64_t depth) {
  DescribedProgram program;
  program.task_works = task.size();
  for (int64_t i = 0; i < depth; ++i) {
    program.works.insert(program.works.end(), task.begin(), task.end());
  }
  return program;
}

int read_engines(const TimingRow& row) {
  if (contains_word(row.program, "single-engine")) return 1;
  const bool int8 = contains_word(row.dtype, "w8a8");
  for (const std::string_view pattern :
       {int8 ? "w8a8:#" : "fp16:#", "engines=#"}) {
    if (const auto engines = find_sizes(row.program, pattern)) {
      return static_cast<int>(std::min<int64_t>((*engines)[0], 4));
    }
  }
  return 0;
}

double product_of(const Sizes& sizes) {
  double count = 1;
  for (const int64_t size : sizes) count *= static_cast<double>(size);
  return count;
}

double bytes_of(double elements) { return 2 * elements; }

Result<std::vector<DescribedProgram>> read_program(const TimingRow& row) {
  if (row.program.size() > kMaxText) {
    return unread(row, "the description is too long");
  }
  const auto* phrasing =
      std::ranges::find_if(kPhrasings, [&](const Phrasing& candidate) {
        return contains_word(row.program, candidate.words);
      });
  Programs (*read)(const TimingRow&) =
      phrasing == std::end(kPhrasings) ? read_elementwise : phrasing->read;
  ANEROID_ASSIGN(std::vector<DescribedProgram> programs, read(row));
  for (DescribedProgram& program : programs) {
    program.engines = read_engines(row);
  }
  return programs;
}

}  // namespace aneroid::conformance
