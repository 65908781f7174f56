// What the eight programs share: the packed surface and its blocks, linear
// layers whose weights are columns of that surface, constants, and the packed
// result. Internal to this folder.
//
// Activations are Vars [1, channels, 1, S], weights [1, 1, rows, columns].
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/mil/builder.h"

namespace aneroid::kernels {

struct BlockSize {
  std::string name;
  int64_t rows = 0;
  int64_t columns = 0;
  // In the columns of the block before, which it may overwrite.
  bool over_previous = false;
};
// Input blocks of a forward program and its gradient, side by side, each
// starting at a multiple of 32.
struct SurfaceLayout {
  std::string name;
  std::vector<BlockSize> blocks;
};
inline BlockSize gain_block(int64_t rows) {
  return {"gain", rows, kGainColumns};
}
struct ChannelCount {
  std::string name;
  int64_t channels = 0;
};

class KernelWriter {
 public:
  // Output blocks are stacked in the order given. Error "kernel": a surface
  // too large for the engine.
  static Result<KernelWriter> open(std::string name, int64_t columns,
                                   const SurfaceLayout& inputs,
                                   const std::vector<ChannelCount>& outputs);

  mil::Builder& mil() { return builder_; }

  mil::Var activation(std::string_view block);
  mil::Var gain();
  mil::Var weight(std::string_view block);

  // w a, and w^T a: a product over the columns or rows of `w` as it lies in
  // the surface, so that one copy of a weight serves both directions.
  mil::Var times(const mil::Var& w, const mil::Var& a);
  mil::Var transposed_times(const mil::Var& w, const mil::Var& a);

  // An fp16 scalar. One that fp16 cannot hold is written as fp32 and cast:
  // the engine rounds it once when it compiles, a device that computes in
  // fp32 keeps it whole.
  mil::Var scalar(double value);
  // A weight file "@model_path/weights/<name>.bin" in fp16; the values must be
  // fp16 numbers.
  mil::Var half_table(const std::string& name, const Shape& shape,
                      std::span<const float> values);
  // The same in fp32 and cast, for the reason given at scalar().
  mil::Var float_table(const std::string& name, const Shape& shape,
                       std::span<const float> values);

  // `results` in the order of the output blocks.
  Result<KernelProgram> finish(const std::vector<mil::Var>& results);

 private:
  KernelWriter() = default;
  mil::Var cut(std::string_view block, int64_t columns);
  mil::Var product(const mil::Var& w, const mil::Var& a, bool transposed);
  mil::Var blob(const std::string& name, const mil::Type& type,
                std::span<const std::byte> bytes);

  KernelProgram program_;
  mil::Builder builder_;
  mil::Var surface_;
};

}  // namespace aneroid::kernels
