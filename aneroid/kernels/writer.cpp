#include "aneroid/kernels/writer.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "aneroid/base/half.h"
#include "aneroid/blob/blob.h"
#include "aneroid/kernels/sizes.h"
#include "aneroid/mil/text.h"

namespace aneroid::kernels {

using mil::Var;

namespace {

constexpr auto kFp16 = DataType::kFp16;
constexpr auto kFp32 = DataType::kFp32;
// Plain words such as x or y are suspect as port names (rule C006).
constexpr auto kInputName = "packed_input";
constexpr auto kOutputName = "packed_output";

// [1, C, 1, S] as a matrix [1, 1, C, S], and back.
Var as_matrix(mil::Builder& b, const Var& activation) {
  const Shape& shape = activation.type.shape;
  return b.reshape(activation, {1, 1, shape[1], shape[3]});
}
Var as_activation(mil::Builder& b, const Var& matrix) {
  const Shape& shape = matrix.type.shape;
  return b.reshape(matrix, {1, shape[2], 1, shape[3]});
}

}  // namespace

Result<KernelWriter> KernelWriter::open(
    std::string name, int64_t columns, const SurfaceLayout& inputs,
    const std::vector<ChannelCount>& outputs) {
  KernelWriter writer;
  KernelProgram& program = writer.program_;
  program.name = std::move(name);
  program.surface = inputs.name;
  program.columns = columns;
  for (const BlockSize& block : inputs.blocks) {
    int64_t column = program.width;
    if (block.over_previous) {
      assert(!program.inputs.empty() &&
             program.inputs.back().columns == block.columns);
      column = program.inputs.back().column;
    }
    program.inputs.push_back({block.name, block.rows, column, block.columns});
    program.rows = std::max(program.rows, block.rows);
    program.width = column + padded_columns(block.columns);
  }
  for (const ChannelCount& block : outputs) {
    program.outputs.push_back({block.name, program.channels, block.channels});
    program.channels += block.channels;
  }
  ANEROID_TRY(check_dimension(program.name, "input width", program.width));
  ANEROID_TRY(
      check_dimension(program.name, "output channels", program.channels));
  writer.surface_ = writer.builder_.input(
      kInputName, mil::tensor(kFp16, {1, program.rows, 1, program.width}));
  return writer;
}

Var KernelWriter::cut(std::string_view name, int64_t columns) {
  const auto at = std::ranges::find(program_.inputs, name, &InputBlock::name);
  assert(at != program_.inputs.end());
  InputBlock& block = *at;
  block.read = true;
  if (block.rows == program_.rows && columns == program_.width) {
    return surface_;  // the block is all there is
  }
  return builder_.op("slice_by_size",
                     {{"x", surface_},
                      {"begin", mil::ints_value({0, 0, 0, block.column})},
                      {"size", mil::ints_value({1, block.rows, 1, columns})}},
                     block.name + "_block");
}

Var KernelWriter::activation(std::string_view block) {
  return cut(block, program_.input(block).columns);
}

Var KernelWriter::gain() { return cut("gain", 1); }

Var KernelWriter::weight(std::string_view block) {
  return as_matrix(builder_, activation(block));
}

Var KernelWriter::product(const Var& w, const Var& a, bool transposed) {
  return as_activation(builder_,
                       builder_.matmul(w, as_matrix(builder_, a), transposed));
}
Var KernelWriter::times(const Var& w, const Var& a) {
  return product(w, a, false);
}
Var KernelWriter::transposed_times(const Var& w, const Var& a) {
  return product(w, a, true);
}

Var KernelWriter::scalar(double value) {
  if (static_cast<double>(to_float(to_half_even(value))) == value) {
    return builder_.fp16(value);
  }
  const Var whole =
      builder_.constant(mil::float_value(kFp32, value), "scalar_fp32");
  return builder_.op("cast",
                     {{"x", whole}, {"dtype", mil::string_value("fp16")}},
                     "scalar_fp16");
}

Var KernelWriter::blob(const std::string& name, const mil::Type& type,
                       std::span<const std::byte> bytes) {
  const std::string path = "@model_path/weights/" + name + ".bin";
  program_.weights[path] = blob::single_blob(type.dtype, bytes);
  return builder_.weight(name, type, path);
}

Var KernelWriter::half_table(const std::string& name, const Shape& shape,
                             std::span<const float> values) {
  std::vector<Half> halves;
  halves.reserve(values.size());
  for (const float value : values) {
    halves.push_back(to_half_even(value));
    assert(to_float(halves.back()) == value);
  }
  return blob(name, mil::tensor(kFp16, shape),
              std::as_bytes(std::span(halves)));
}

Var KernelWriter::float_table(const std::string& name, const Shape& shape,
                              std::span<const float> values) {
  const Var whole =
      blob(name, mil::tensor(kFp32, shape), std::as_bytes(values));
  return builder_.op("cast",
                     {{"x", whole}, {"dtype", mil::string_value("fp16")}},
                     name + "_fp16");
}

Result<KernelProgram> KernelWriter::finish(const std::vector<Var>& results) {
  assert(results.size() == program_.outputs.size());
  const Var packed =
      results.size() == 1 ? results.front() : builder_.concat(results, 1);
  ANEROID_ASSIGN(const mil::Program text,
                 builder_.finish({{kOutputName, packed}}));
  program_.mil_text = mil::print(text);
  return std::move(program_);
}

}  // namespace aneroid::kernels
