#include "aneroid/pipeline/baked_kernel.h"

#include <algorithm>
#include <cassert>

#include "aneroid/base/half.h"
#include "aneroid/blob/blob.h"
#include "aneroid/pipeline/residual_scale.h"

namespace aneroid::pipeline {
namespace {

std::vector<std::byte> half_file(const model::ParameterSpec& spec,
                                 const model::Tensor& tensor, bool transposed,
                                 const BakeSource& source) {
  const int64_t rows = spec.shape[0];
  const int64_t columns = spec.shape.size() == 1 ? 1 : spec.shape[1];
  const double scale = staging_scale(spec, source.residual_scale);
  std::vector<std::byte> elements(tensor.data.size() * sizeof(Half));
  const SurfaceMatrix target{elements.data(), cpu::Storage::kHalf,
                             transposed ? rows : columns};
  constexpr int64_t kRows = 64;  // a cache line of fp16 and more when turned
  source.pool.run((rows + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t first = task * kRows;
    const int64_t count = std::min(kRows, rows - first);
    const ScaledRows part(tensor.data.data() + first * columns, columns, count,
                          columns, scale);
    SurfaceMatrix place = target;
    if (transposed) {
      place.data = target.at(0, first);
      write_transposed(place, part.data(), columns, columns, count);
    } else {
      place.data = target.at(first, 0);
      write_rows(place, part.data(), columns, count, columns);
    }
  });
  return blob::single_blob(DataType::kFp16, elements);
}

SurfaceMatrix block_of(device::Surface& surface,
                       const kernels::OutputBlock& block, int64_t columns) {
  SurfaceMatrix matrix = matrix_of(surface, columns);
  matrix.data = matrix.at(block.channel, 0);
  return matrix;
}

}  // namespace

WeightFiles bake(const kernels::StaticProgram& program, int64_t layer,
                 const BakeSource& source) {
  WeightFiles files;
  for (const kernels::BakedWeight& weight : program.baked) {
    int64_t row = model::find_parameter(source.table, weight.role, layer);
    if (row < 0) row = model::find_parameter(source.table, weight.role);
    assert(row >= 0);
    const auto p = static_cast<size_t>(row);
    files[weight.path] = half_file(source.table[p], source.weights[p],
                                   weight.transposed, source);
  }
  return files;
}

Result<BakedKernel> BakedKernel::create(device::Device& device,
                                        kernels::StaticProgram program,
                                        size_t copies) {
  BakedKernel kernel;
  kernel.program_ = std::move(program);
  kernel.executables_.resize(copies);
  const kernels::StaticProgram& p = kernel.program_;
  for (size_t i = 0; i < copies; ++i) {
    ANEROID_ASSIGN(auto input, device.allocate(DataType::kFp16,
                                               p.input_channels * p.columns));
    ANEROID_ASSIGN(auto output, device.allocate(DataType::kFp16,
                                                p.output_channels * p.columns));
    kernel.surface_bytes_ +=
        static_cast<int64_t>(input->bytes().size() + output->bytes().size());
    kernel.inputs_.push_back(std::move(input));
    kernel.outputs_.push_back(std::move(output));
  }
  return kernel;
}

device::WeightMap BakedKernel::all_files(const WeightFiles& files) const {
  device::WeightMap map;
  for (const auto* group : {&program_.tables, &files}) {
    for (const auto& [path, bytes] : *group) map[path] = bytes;
  }
  return map;
}

Status BakedKernel::compile(device::Device& device, size_t index,
                            const WeightFiles& files) {
  executables_[index].reset();
  device::ModelSource source;
  source.name = program_.name;
  source.mil_text = program_.mil_text;
  source.weights = all_files(files);
  ANEROID_ASSIGN(executables_[index], device.compile(source));
  return {};
}

Status BakedKernel::reload(size_t index, const WeightFiles& files) {
  return executables_[index]->reload(all_files(files));
}

void BakedKernel::unload() {
  for (auto& executable : executables_) executable.reset();
}

const device::PredictedTime* BakedKernel::predicted() const {
  return executables_.front() == nullptr ? nullptr
                                         : executables_.front()->predicted();
}

Status BakedKernel::run(size_t index) {
  assert(loaded(index));
  device::Surface* in = inputs_[index].get();
  device::Surface* out = outputs_[index].get();
  return executables_[index]->run({&in, 1}, {&out, 1});
}

SurfaceMatrix BakedKernel::input(size_t index, std::string_view block) const {
  return block_of(*inputs_[index], program_.input(block), program_.columns);
}
SurfaceMatrix BakedKernel::output(size_t index, std::string_view block) const {
  return block_of(*outputs_[index], program_.output(block), program_.columns);
}
BlockView BakedKernel::input_view(size_t index, std::string_view block) const {
  return {input(index, block), program_.input(block).channels,
          program_.columns};
}
BlockView BakedKernel::output_view(size_t index, std::string_view block) const {
  return {output(index, block), program_.output(block).channels,
          program_.columns};
}

void carry(const BakedKernel& from, size_t from_index,
           std::string_view from_block, const BakedKernel& to, size_t to_index,
           std::string_view to_block) {
  copy_rows(to.input(to_index, to_block), from.output(from_index, from_block),
            from.program().output(from_block).channels, from.program().columns);
}

}  // namespace aneroid::pipeline
