// Named blocks as matrices: of the surfaces that the dynamic programs read, of
// those that they write, and of host memory. Internal to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/zeroed_memory.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/pipeline/pipeline.h"
#include "aneroid/pipeline/surface_io.h"

namespace aneroid::pipeline {

// Row-major elements [rows, columns].
struct MatrixBlock {
  SurfaceMatrix matrix;
  int64_t rows = 0;
  int64_t columns = 0;

  BlockView view() const { return {matrix, rows, columns}; }
};

// One surface per layer or vocabulary tile, laid out for a forward program and
// its gradient.
class InputSurfaces {
 public:
  // Zeros. Errors: the device's.
  Status allocate(device::Device& device, const kernels::KernelProgram& layout,
                  int64_t count);
  const std::string& name() const { return name_; }
  size_t count() const { return surfaces_.size(); }
  device::Surface* surface(size_t index) const {
    return surfaces_[index].get();
  }
  // Of the layout: a wrong name is a bug and asserts.
  MatrixBlock block(size_t index, std::string_view name) const;
  int64_t bytes() const;

 private:
  std::string name_;
  int64_t width_ = 0;
  std::vector<kernels::InputBlock> blocks_;
  std::vector<std::unique_ptr<device::Surface>> surfaces_;
};

// A compiled program and the surfaces that it writes, in turn.
class Kernel {
 public:
  // Errors: the device's.
  Status prepare(device::Device& device, kernels::KernelProgram program,
                 int64_t outputs);
  bool is_prepared() const { return executable_ != nullptr; }
  const std::string& name() const { return program_.name; }
  // Nothing when the device predicts none.
  const device::PredictedTime* predicted() const {
    return executable_->predicted();
  }
  // Writes output `index`, modulo their number. Errors: the device's.
  Status run(device::Surface* input, size_t index);
  MatrixBlock output(size_t index, std::string_view name) const;
  int64_t output_bytes() const;

 private:
  kernels::KernelProgram program_;
  std::unique_ptr<device::Executable> executable_;
  std::vector<std::unique_ptr<device::Surface>> outputs_;
};

// Host memory for blocks of `columns` columns, `copies` times.
class HostBlocks {
 public:
  struct Size {
    std::string name;
    int64_t rows = 0;
  };
  HostBlocks() = default;
  // Error "memory" (device): there is none left.
  static Result<HostBlocks> allocate(cpu::Storage storage, int64_t columns,
                                     std::vector<Size> sizes, int64_t copies);
  MatrixBlock block(size_t index, std::string_view name) const;
  int64_t bytes() const { return static_cast<int64_t>(memory_.size()); }

 private:
  cpu::Storage storage_ = cpu::Storage::kHalf;
  int64_t columns_ = 0;
  std::vector<Size> sizes_;
  int64_t rows_ = 0;  // of one copy
  ZeroedMemory memory_;
};

// Copies between blocks of one size and storage, collected and then done
// together by all threads.
class BlockCopies {
 public:
  void add(const MatrixBlock& from, const MatrixBlock& to);
  // Forgets them afterwards.
  void run(cpu::ThreadPool& pool);

 private:
  struct Piece {
    SurfaceMatrix from;
    SurfaceMatrix to;
    int64_t rows = 0;
    int64_t columns = 0;
  };
  std::vector<Piece> pieces_;
};

}  // namespace aneroid::pipeline
