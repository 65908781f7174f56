// What the static programs share: blocks stacked along the channels of one
// surface, and linear layers whose weights are files. Internal to this folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/kernels/static_pipeline.h"
#include "aneroid/kernels/writer.h"

namespace aneroid::kernels {

class StaticWriter {
 public:
  // Error "kernel": a surface too large for the engine.
  static Result<StaticWriter> open(std::string name, int64_t columns,
                                   const std::vector<ChannelCount>& inputs,
                                   const std::vector<ChannelCount>& outputs);

  KernelWriter& shared() { return shared_; }
  mil::Builder& mil() { return shared_.mil(); }

  // [1, channels, 1, S].
  mil::Var input(std::string_view block);

  struct Layer {
    std::string file;  // "wq"
    std::string role;  // "q_proj"
    int64_t out = 0;
    bool transposed = false;
  };
  // W x by a 1x1 convolution.
  mil::Var linear(const Layer& layer, const mil::Var& x);
  // [1, D, 1, 1].
  mil::Var gain(const std::string& role, int64_t channels);

  // `results` in the order of the output blocks.
  Result<StaticProgram> finish(const std::vector<mil::Var>& results);

 private:
  explicit StaticWriter(KernelWriter shared) : shared_(std::move(shared)) {}
  mil::Var baked(const BakedWeight& weight, const std::string& file,
                 const Shape& shape);

  StaticProgram program_;
  KernelWriter shared_;
  mil::Var surface_;
};

}  // namespace aneroid::kernels
