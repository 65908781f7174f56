// Everything that is not for the array, in words.
#include <cctype>
#include <utility>

#include "aneroid/conformance/timing_phrasings.h"

namespace aneroid::conformance {
namespace {

using target::Unit;
using target::Work;

// Ops that tables name and MIL does not.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"argmax", "reduce_argmax"},
    {"argmin", "reduce_argmin"},
    {"rms_norm", "layer_norm"},
    {"group_norm", "layer_norm"},
    {"upsample", "upsample_nearest_neighbor"},
    {"pixel_shuffle", "transpose"},
    {"pixel_unshuffle", "transpose"},
    {"space_to_depth", "transpose"},
    {"depth_to_space", "transpose"},
    {"upsample_nearest", "upsample_nearest_neighbor"},
};

// The first word of the text that is an op.
std::optional<Work> read_op(std::string_view text, double elements) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
            text[end] == '_')) {
      ++end;
    }
    std::string_view word = text.substr(at, end - at);
    for (const auto& [alias, op] : kAliases) {
      if (word == alias) word = op;
    }
    if (auto work = target::op_work(word, elements)) return work;
    at = std::max(end, at + 1);
  }
  return std::nullopt;
}

Work element_op(std::string op, Unit unit, int operands, double elements) {
  Work work;
  work.op = std::move(op);
  work.unit = unit;
  work.operands = operands;
  work.elements = elements;
  return work;
}

std::optional<double> read_elements(std::string_view text) {
  constexpr std::string_view kShapes[] = {"in=[#,#,#,#]", "in=[#,#,#]",
                                          "in=[#,#]",     "in=[#]",
                                          "[#,#,#,#]",    "#x# #ch"};
  constexpr std::pair<std::string_view, double> kCounts[] = {
      {"#K elements", 1024.0},
      {"#M elements", 1048576.0},
      {"# MB", 1048576.0 / 2},
  };
  for (const auto& [pattern, unit] : kCounts) {
    if (const auto count = find_numbers(text, pattern)) {
      return (*count)[0] * unit;
    }
  }
  if (const auto shape = first_of(text, kShapes)) return product_of(*shape);
  return std::nullopt;
}

}  // namespace

Programs read_attention(const TimingRow& row) {
  const auto sizes = find_sizes(row.program, "H# S# D#");
  if (!sizes) return unread(row, "heads, length and width are not said");
  Work work;
  work.op = "scaled_dot_product_attention";
  work.unit = Unit::kAttention;
  work.elements = product_of(*sizes);
  DescribedProgram program = repeated({work}, 1);
  program.io_bytes = bytes_of(4 * work.elements);
  return std::vector{program};
}

Programs read_elementwise(const TimingRow& row) {
  const std::string& text = row.program;
  const auto elements = read_elements(text);
  if (!elements) return unread(row, "the tensor's size is not said");
  constexpr std::string_view kChains[] = {"chain", "stack", "# ops"};
  const int64_t depth = any_word(text, kChains) ? read_depth(row) : 1;
  std::vector<Work> task;
  int tensors = 2;
  if (const auto ports = find_sizes(text, "(# in # out)")) {
    task = {element_op("tile", Unit::kElementwise,
                       static_cast<int>(std::min<int64_t>((*ports)[0], 8)),
                       *elements)};
    tensors =
        static_cast<int>(std::min<int64_t>((*ports)[0] + (*ports)[1], 16));
  } else if (contains_word(text, "1-input chain") ||
             contains_word(text, "2 ops per task")) {
    // A task is two ops; a count of ops is twice that of tasks.
    const bool counts_ops = !contains_word(text, "2 ops per task");
    const Work op = element_op("unary", Unit::kElementwise, 1, *elements);
    task.assign(counts_ops ? 1 : 2, op);
  } else if (const auto op = read_op(text, *elements)) {
    task = {*op};
    if (contains_word(text, "two inputs")) tensors = 3;
  } else {
    return unread(row, "no op that is known by name");
  }
  DescribedProgram program = repeated(task, depth);
  program.io_bytes = bytes_of(tensors * *elements);
  return std::vector{program};
}

// "sum of 3 inputs [1,256,64,64] then 4x conv1x1"
Programs read_sum_then_convs(const TimingRow& row) {
  const auto sizes =
      find_sizes(row.program, "sum of # inputs [#,#,#,#] then #x conv1x1");
  if (!sizes) return unread(row, "not a sum of inputs");
  const int64_t inputs = std::min<int64_t>((*sizes)[0], 128);
  const Sizes shape(sizes->begin() + 1, sizes->begin() + 5);
  const double elements = product_of(shape);
  std::vector<Work> works(static_cast<size_t>(inputs - 1),
                          element_op("add", Unit::kElementwise, 2, elements));
  const int64_t pixels = times(shape[0], times(shape[2], shape[3]));
  const Work conv = matrix_product(pixels, shape[1], shape[1]);
  works.insert(works.end(),
               static_cast<size_t>(std::min<int64_t>((*sizes)[5], kMaxDepth)),
               conv);
  DescribedProgram program = repeated(works, 1);
  program.io_bytes = bytes_of(static_cast<double>(inputs + 1) * elements);
  return std::vector{program};
}

Programs read_matvec_by_hand(const TimingRow& row) {
  const auto sizes = find_sizes(row.program, "matvec #x#");
  if (!sizes) return unread(row, "sizes of the product are not said");
  const double elements = product_of(*sizes);
  DescribedProgram program =
      repeated({element_op("mul", Unit::kElementwise, 2, elements),
                element_op("reduce_sum", Unit::kElementwise, 2, elements)},
               1);
  program.io_bytes = bytes_of(elements);
  return std::vector{program};
}

}  // namespace aneroid::conformance
