#include "aneroid/kernels/static_writer.h"

#include <utility>

#include "aneroid/kernels/sizes.h"

namespace aneroid::kernels {

using mil::Var;

Result<StaticWriter> StaticWriter::open(
    std::string name, int64_t columns, const std::vector<ChannelCount>& inputs,
    const std::vector<ChannelCount>& outputs) {
  std::vector<OutputBlock> blocks;
  int64_t channels = 0;
  for (const ChannelCount& block : inputs) {
    blocks.push_back({block.name, channels, block.channels});
    channels += block.channels;
  }
  ANEROID_TRY(check_dimension(name, "input channels", channels));
  ANEROID_ASSIGN(
      KernelWriter shared,
      KernelWriter::open(name, columns, {name, {{"blocks", channels, columns}}},
                         outputs));
  StaticWriter writer(std::move(shared));
  writer.program_.name = std::move(name);
  writer.program_.columns = columns;
  writer.program_.input_channels = channels;
  writer.program_.inputs = std::move(blocks);
  writer.surface_ = writer.shared_.activation("blocks");
  return writer;
}

Var StaticWriter::input(std::string_view block) {
  const OutputBlock& b = program_.input(block);
  if (b.channels == program_.input_channels) return surface_;
  return mil().slice(surface_, {0, b.channel, 0, 0},
                     {1, b.channels, 1, program_.columns});
}

Var StaticWriter::baked(const BakedWeight& weight, const std::string& file,
                        const Shape& shape) {
  program_.baked.push_back(weight);
  return mil().weight(file, mil::tensor(DataType::kFp16, shape), weight.path);
}

Var StaticWriter::linear(const Layer& layer, const Var& x) {
  const Var weight = baked({"@model_path/weights/" + layer.file + ".bin",
                            layer.role, layer.transposed},
                           layer.file, {layer.out, x.type.shape[1], 1, 1});
  return mil().conv1x1(x, weight);
}

Var StaticWriter::gain(const std::string& role, int64_t channels) {
  return baked({"@model_path/weights/gain.bin", role}, "gain",
               {1, channels, 1, 1});
}

Result<StaticProgram> StaticWriter::finish(const std::vector<Var>& results) {
  ANEROID_ASSIGN(KernelProgram shared, shared_.finish(results));
  program_.mil_text = std::move(shared.mil_text);
  program_.tables = std::move(shared.weights);
  program_.output_channels = shared.channels;
  program_.outputs = std::move(shared.outputs);
  return std::move(program_);
}

}  // namespace aneroid::kernels
