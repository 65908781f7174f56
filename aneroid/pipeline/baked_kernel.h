// A static program on a device: an executable and a pair of surfaces for each
// layer, and the weight files it is compiled with. Internal to this folder.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/pipeline/surface_io.h"

namespace aneroid::pipeline {

// What weight files are made of.
struct BakeSource {
  cpu::ThreadPool& pool;
  const std::vector<model::ParameterSpec>& table;
  const model::Weights& weights;
  double residual_scale = 1;  // Options::residual_scale
};
using WeightFiles = std::map<std::string, std::vector<std::byte>>;
// The baked files of `program` for a layer, fp16; tables are not among them.
WeightFiles bake(const kernels::StaticProgram& program, int64_t layer,
                 const BakeSource& source);

class BakedKernel {
 public:
  BakedKernel() = default;  // nothing: to be assigned to
  // Allocates `copies` pairs of surfaces. Errors: the device's.
  static Result<BakedKernel> create(device::Device& device,
                                    kernels::StaticProgram program,
                                    size_t copies);

  const kernels::StaticProgram& program() const { return program_; }
  size_t copies() const { return executables_.size(); }
  // Whether an update has to put new weights in.
  bool has_weights() const { return !program_.baked.empty(); }
  int64_t surface_bytes() const { return surface_bytes_; }

  // Compiles copy `index` in place of what was there. `files` are what bake()
  // gave for it. Errors: the device's.
  Status compile(device::Device& device, size_t index,
                 const WeightFiles& files);
  // The same weights into the program as it is compiled.
  Status reload(size_t index, const WeightFiles& files);
  void unload();
  bool loaded(size_t index) const { return executables_[index] != nullptr; }
  const device::PredictedTime* predicted() const;

  Status run(size_t index);
  SurfaceMatrix input(size_t index, std::string_view block) const;
  SurfaceMatrix output(size_t index, std::string_view block) const;
  BlockView input_view(size_t index, std::string_view block) const;
  BlockView output_view(size_t index, std::string_view block) const;

 private:
  device::WeightMap all_files(const WeightFiles& files) const;

  kernels::StaticProgram program_;
  std::vector<std::unique_ptr<device::Executable>> executables_;
  std::vector<std::unique_ptr<device::Surface>> inputs_;
  std::vector<std::unique_ptr<device::Surface>> outputs_;
  int64_t surface_bytes_ = 0;
};

// Surface to surface: a block of one program's output into another's input.
void carry(const BakedKernel& from, size_t from_index,
           std::string_view from_block, const BakedKernel& to, size_t to_index,
           std::string_view to_block);

}  // namespace aneroid::pipeline
