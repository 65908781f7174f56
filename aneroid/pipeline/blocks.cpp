#include "aneroid/pipeline/blocks.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

namespace aneroid::pipeline {
namespace {

MatrixBlock cut(device::Surface& surface, int64_t row_stride, int64_t row,
                int64_t column, int64_t rows, int64_t columns) {
  SurfaceMatrix whole = matrix_of(surface, row_stride);
  whole.data = whole.at(row, column);
  return {whole, rows, columns};
}

int64_t total_bytes(
    const std::vector<std::unique_ptr<device::Surface>>& surfaces) {
  int64_t sum = 0;
  for (const auto& surface : surfaces) {
    sum += static_cast<int64_t>(surface->bytes().size());
  }
  return sum;
}

}  // namespace

Status InputSurfaces::allocate(device::Device& device,
                               const kernels::KernelProgram& layout,
                               int64_t count) {
  name_ = layout.surface;
  width_ = layout.width;
  blocks_ = layout.inputs;
  for (int64_t i = 0; i < count; ++i) {
    ANEROID_ASSIGN(auto surface, device.allocate(DataType::kFp16,
                                                 layout.rows * layout.width));
    surfaces_.push_back(std::move(surface));
  }
  return {};
}

MatrixBlock InputSurfaces::block(size_t index, std::string_view name) const {
  const auto b = std::ranges::find(blocks_, name, &kernels::InputBlock::name);
  assert(b != blocks_.end());
  return cut(*surfaces_[index], width_, 0, b->column, b->rows, b->columns);
}

int64_t InputSurfaces::bytes() const { return total_bytes(surfaces_); }

Status Kernel::prepare(device::Device& device, kernels::KernelProgram program,
                       int64_t outputs) {
  device::ModelSource source;
  source.name = program.name;
  source.mil_text = program.mil_text;
  for (const auto& [path, file] : program.weights) {
    source.weights[path] = file;
  }
  ANEROID_ASSIGN(executable_, device.compile(source));
  program_ = std::move(program);
  for (int64_t i = 0; i < outputs; ++i) {
    ANEROID_ASSIGN(
        auto surface,
        device.allocate(DataType::kFp16, program_.channels * program_.columns));
    outputs_.push_back(std::move(surface));
  }
  return {};
}

Status Kernel::run(device::Surface* input, size_t index) {
  device::Surface* output = outputs_[index % outputs_.size()].get();
  return executable_->run({&input, 1}, {&output, 1});
}

MatrixBlock Kernel::output(size_t index, std::string_view name) const {
  const kernels::OutputBlock& b = program_.output(name);
  return cut(*outputs_[index % outputs_.size()], program_.columns, b.channel, 0,
             b.channels, program_.columns);
}

int64_t Kernel::output_bytes() const { return total_bytes(outputs_); }

Result<HostBlocks> HostBlocks::allocate(cpu::Storage storage, int64_t columns,
                                        std::vector<Size> sizes,
                                        int64_t copies) {
  HostBlocks blocks;
  blocks.storage_ = storage;
  blocks.columns_ = columns;
  for (const Size& size : sizes) blocks.rows_ += size.rows;
  blocks.sizes_ = std::move(sizes);
  const size_t bytes = static_cast<size_t>(blocks.rows_ * columns * copies) *
                       element_bytes(storage);
  blocks.memory_ = ZeroedMemory(bytes);
  if (blocks.memory_.data() == nullptr) {
    return device_error("memory", "",
                        fmt::format("out of memory for {} bytes", bytes));
  }
  return blocks;
}

MatrixBlock HostBlocks::block(size_t index, std::string_view name) const {
  int64_t row = static_cast<int64_t>(index) * rows_;
  for (const Size& size : sizes_) {
    if (size.name == name) {
      SurfaceMatrix all{memory_.data(), storage_, columns_};
      all.data = all.at(row, 0);
      return {all, size.rows, columns_};
    }
    row += size.rows;
  }
  assert(false && "no such block");
  std::abort();
}

void BlockCopies::add(const MatrixBlock& from, const MatrixBlock& to) {
  // Enough to be worth handing out.
  constexpr int64_t kPieceElements = int64_t{1} << 16;
  assert(from.rows == to.rows && from.columns == to.columns);
  const int64_t step = std::max<int64_t>(1, kPieceElements / from.columns);
  for (int64_t row = 0; row < from.rows; row += step) {
    Piece piece{from.matrix, to.matrix, std::min(step, from.rows - row),
                from.columns};
    piece.from.data = from.matrix.at(row, 0);
    piece.to.data = to.matrix.at(row, 0);
    pieces_.push_back(piece);
  }
}

void BlockCopies::run(cpu::ThreadPool& pool) {
  const cpu::ThreadPool::Label label(pool, "copy blocks");
  pool.run(static_cast<int64_t>(pieces_.size()), [this](int64_t i, int) {
    const Piece& piece = pieces_[static_cast<size_t>(i)];
    copy_rows(piece.to, piece.from, piece.rows, piece.columns);
  });
  pieces_.clear();
}

}  // namespace aneroid::pipeline
