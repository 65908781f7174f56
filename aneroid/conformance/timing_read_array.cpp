// Convolutions and matrix products in words.
#include <fmt/format.h>

#include "aneroid/conformance/timing_phrasings.h"

namespace aneroid::conformance {
namespace {

using target::Unit;
using target::Weights;
using target::Work;

// Takes "k=3x3" out, whose numbers would look like a spatial size.
std::string without_kernel(std::string text, int64_t& height, int64_t& width,
                           std::string_view kind) {
  const auto kernel = find_sizes(text, "k=#x#");
  if (kernel) {
    height = (*kernel)[0];
    width = (*kernel)[1];
    const std::string written = fmt::format("k={}x{}", height, width);
    if (const size_t at = text.find(written); at != std::string::npos) {
      text.erase(at, written.size());
    }
  } else if (kind.starts_with("conv3x3")) {
    height = width = 3;
  }
  return text;
}

DescribedProgram one_product(const Work& work) {
  DescribedProgram program = repeated({work}, 1);
  const double rows = static_cast<double>(work.out_pixels);
  double elements = rows * (static_cast<double>(work.in_channels) +
                            static_cast<double>(work.out_channels));
  if (work.weights == Weights::kRuntime) {
    elements += static_cast<double>(work.in_channels) *
                static_cast<double>(work.out_channels);
  }
  program.io_bytes = bytes_of(elements);
  return program;
}

// Blocks of published models, one token: the weights are what is read.
struct KnownBlock {
  std::string_view words;
  int64_t hidden;
  int64_t intermediate;
};
constexpr KnownBlock kMlps[] = {{"Llama-2-7B MLP x#", 4096, 11008}};

}  // namespace

Work matrix_product(int64_t rows, int64_t depth, int64_t columns) {
  Work work;
  work.op = "matmul";
  work.in_channels = depth;
  work.out_channels = columns;
  work.in_pixels = work.out_pixels = rows;
  return work;
}

Programs read_conv(const TimingRow& row) {
  Work work;
  work.op = "conv";
  std::string text = without_kernel(row.program, work.kernel_height,
                                    work.kernel_width, row.op_kind);
  if (contains_word(text, "conv3x3")) {
    work.kernel_height = work.kernel_width = 3;
  }

  constexpr std::string_view kTensors[] = {"in=[#,#,#,#]", "[#,#,#,#]"};
  constexpr std::string_view kInOut[] = {"cin=# cout=#", "#->#"};
  constexpr std::string_view kChannels[] = {
      "cin=#",       "C=#",        "#ch",       "chain # sp#",
      "chain # #x#", "conv # sp#", "conv # #x#"};
  const auto tensor = first_of(text, kTensors);
  const auto flat = find_sizes(text, "[#,#,# px]");
  if (contains_word(text, "S2D(#)->#ch")) {
    work.in_channels = (*find_sizes(text, "S2D(#)->#ch"))[1];
    work.out_channels = work.in_channels;
  } else if (const auto both = first_of(text, kInOut)) {
    work.in_channels = (*both)[0];
    work.out_channels = (*both)[1];
  } else if (const auto one = first_of(text, kChannels)) {
    work.in_channels = work.out_channels = (*one)[0];
    if (const auto out = find_sizes(text, "cout=#")) {
      work.out_channels = (*out)[0];
    }
  } else if (tensor) {
    work.in_channels = work.out_channels = (*tensor)[1];
  } else {
    return unread(row, "channels are not said");
  }

  if (tensor) {
    work.batch = (*tensor)[0];
    work.in_pixels = times((*tensor)[2], (*tensor)[3]);
  } else if (flat) {
    work.in_pixels = (*flat)[2];
  } else if (const auto square = find_sizes(text, "#x#")) {
    work.in_pixels = times((*square)[0], (*square)[1]);
  } else if (const auto spatial = find_sizes(text, "sp#")) {
    work.in_pixels = (*spatial)[0];
  } else if (const auto width = find_sizes(text, "w#")) {
    work.in_pixels = (*width)[0];
  } else {
    return unread(row, "spatial size is not said");
  }

  constexpr std::string_view kStride[] = {"stride=#", "s=#"};
  if (const auto stride = first_of(text, kStride)) work.stride = (*stride)[0];
  constexpr std::string_view kDilation[] = {"dil=#", "dilation=#"};
  if (const auto dilation = first_of(text, kDilation)) {
    work.dilation = (*dilation)[0];
  }
  constexpr std::string_view kGroups[] = {"groups=#", "g=#"};
  if (const auto groups = first_of(text, kGroups)) {
    work.groups = std::min((*groups)[0], work.in_channels);
  }
  if (contains_word(text, "depthwise")) work.groups = work.in_channels;
  if (const auto batch = find_sizes(text, "B=#")) work.batch = (*batch)[0];
  work.out_pixels =
      std::max<int64_t>(1, work.in_pixels / times(work.stride, work.stride));
  // A transposed convolution multiplies once for every input pixel.
  if (contains_word(text, "conv_transpose")) work.out_pixels = work.in_pixels;
  constexpr std::string_view kShared[] = {"shared", "identical"};
  const bool distinct = contains_word(text, "distinct");
  if (any_word(text, kShared) || !distinct) work.weights = Weights::kShared;
  read_dtype(row, work);

  std::vector<Work> task = {work};
  if (contains_word(text, "x mask")) {
    Work mask;
    mask.op = "mul";
    mask.unit = Unit::kElementwise;
    mask.operands = 2;
    mask.elements = static_cast<double>(work.out_channels) *
                    static_cast<double>(work.out_pixels) *
                    static_cast<double>(work.batch);
    task.push_back(mask);
  }
  // A slope over depths is of a chain, however long.
  const bool chain = !find_sizes(row.depth, "1");
  DescribedProgram program =
      repeated(task, std::max<int64_t>(chain ? 2 : 1, read_depth(row)));
  program.works.front().weights = Weights::kStreamed;
  const double pixels = static_cast<double>(work.batch);
  program.io_bytes =
      bytes_of(pixels * (static_cast<double>(work.in_channels) *
                             static_cast<double>(work.in_pixels) +
                         static_cast<double>(work.out_channels) *
                             static_cast<double>(work.out_pixels)));
  return std::vector{program};
}

Programs read_matmul(const TimingRow& row) {
  const std::string& text = row.program;
  constexpr std::string_view kPairs[] = {"x[#,#] @ W[#,#]", "[#,#] @ [#,#]",
                                         "#x#@#x#", "#x# @ #x#"};
  Work work;
  if (const auto pair = first_of(text, kPairs)) {
    if ((*pair)[1] != (*pair)[2]) {
      return unread(row, "the inner sizes of the product differ");
    }
    work = matrix_product((*pair)[0], (*pair)[1], (*pair)[3]);
  } else if (const auto constant = find_sizes(text, "const W #x# B#")) {
    work = matrix_product((*constant)[2], (*constant)[0], (*constant)[1]);
  } else if (const auto vector = find_sizes(text, "GEMV M=# W=#x#")) {
    work = matrix_product((*vector)[0], (*vector)[1], (*vector)[2]);
  } else if (const auto matvec = find_sizes(text, "matvec #x#")) {
    work = matrix_product(1, (*matvec)[0], (*matvec)[1]);
  } else if (const auto square = find_sizes(text, "matmul #x#");
             square && (*square)[0] == (*square)[1]) {
    work = matrix_product((*square)[0], (*square)[0], (*square)[0]);
  } else {
    return unread(row, "sizes of the product are not said");
  }
  constexpr std::string_view kRuntime[] = {"runtime", "dynamic"};
  const bool constant = contains_word(text, "const-weight");
  if (!constant && (row.api == "private" || any_word(text, kRuntime))) {
    work.weights = Weights::kRuntime;
  }
  read_dtype(row, work);
  return std::vector{one_product(work)};
}

Programs read_mlp_pairs(const TimingRow& row) {
  const auto sizes = find_sizes(row.program, "#->#->#");
  if (!sizes) return unread(row, "sizes of the layers are not said");
  const auto pairs = find_sizes(row.program, "# pairs");
  const auto tokens = find_sizes(row.program, "# token");
  const int64_t rows = tokens ? (*tokens)[0] : 1;
  std::vector<Work> task = {matrix_product(rows, (*sizes)[0], (*sizes)[1]),
                            matrix_product(rows, (*sizes)[1], (*sizes)[2])};
  for (Work& work : task) read_dtype(row, work);
  return std::vector{
      repeated(task, pairs ? std::min((*pairs)[0], kMaxDepth) : 1)};
}

Programs read_known_mlp(const TimingRow& row) {
  for (const KnownBlock& block : kMlps) {
    const auto count = find_sizes(row.program, block.words);
    if (!count) continue;
    std::vector<Work> task = {
        matrix_product(1, block.hidden, block.intermediate),
        matrix_product(1, block.hidden, block.intermediate),
        matrix_product(1, block.intermediate, block.hidden)};
    for (Work& work : task) read_dtype(row, work);
    return std::vector{repeated(task, std::min((*count)[0], kMaxDepth))};
  }
  return unread(row, "the layers of this model are not said");
}

}  // namespace aneroid::conformance
