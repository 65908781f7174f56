// The dynamic pipeline on a device: eight programs compiled once, an input
// surface per layer that carries that layer's weights, output surfaces that
// keep what the backward pass and the weight gradients need.
//
// Knows a device only by its interface. Thread-compatible.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/kernels/pipeline.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"

namespace aneroid::pipeline {

// Where wall time goes, as the pipeline's owner wants to account for it.
enum class Part : uint8_t {
  kEngineForward,
  kEngineBackward,
  kSurfaces,   // moving data between programs
  kGradients,  // telling the sink, which may make the caller wait
};
using Account = std::function<void(Part)>;  // called when the part begins

struct DynamicOptions {
  int64_t sequence = 0;
  bool backward = true;  // compile and allocate for training
};

// A block of a surface as a matrix [channels or rows, columns].
struct BlockView {
  cpu::ConstMatrix matrix;
  int64_t rows = 0;
  int64_t columns = 0;  // padded; see kernels::padded_columns
};

// One weight gradient: dW[rows, cols] += scale dy x^T over the columns.
struct WeightGradient {
  size_t parameter = 0;   // row of the parameter table
  int64_t first_row = 0;  // tiles of the classifier start further down
  BlockView dy;           // [rows, S]
  BlockView x;            // [cols, S]
  float scale = 1.0F;
};
// One gain gradient: dg[c] += sum_t dxn[c, t] x[c, t] r[t],
// r = rsqrt(mean_c x^2 + eps).
struct GainGradient {
  size_t parameter = 0;
  BlockView dxn;
  BlockView x;
};
// Told of each gradient as soon as its operands stand on surfaces, which stay
// untouched until the next forward(): the work may be done in the background.
struct GradientSink {
  std::function<void(const WeightGradient&)> weight;
  std::function<void(const GainGradient&)> gain;
};

// What a chip's engine would spend on one micro-step: predicted, and of the
// programs alone. Weight gradients and the optimizer are the CPU's and partly
// run at the same time.
struct PredictedStep {
  struct Program {
    std::string name;
    int64_t calls = 0;
    double call_ms = 0;
  };
  std::string chip;
  double engine_ms = 0;
  std::vector<Program> programs;
  std::string basis;  // device::PredictedTime::basis of the costliest program
};

class Dynamic {
 public:
  // Compiles and allocates. Errors: the kernels', the device's.
  static Result<std::unique_ptr<Dynamic>> create(
      device::Device& device, cpu::ThreadPool& pool,
      const model::ModelConfig& config, const DynamicOptions& options);
  ~Dynamic();

  // Writes weights into the surfaces, rounding as the storage demands. The
  // tensors are in the order of the parameter table.
  void stage(const model::Weights& weights);
  // Rows [first, first + count) of one tensor, on the calling thread. Safe to
  // call from several threads for different rows.
  void stage_rows(size_t parameter, const float* tensor, int64_t first,
                  int64_t count) const;
  // A good number of rows per task when the caller shares out the work.
  int64_t rows_per_task(size_t parameter) const;

  // Runs tokens [0, n), n <= sequence, through all layers to the logits.
  // `embedding` is [V, D]. Ids must be below V.
  Status forward(std::span<const int32_t> tokens, const float* embedding,
                 const Account& account = {});

  // After forward(): tiles of logits [tile_size, columns], first class of each
  // tile = index * tile_size.
  struct Tile {
    std::byte* data = nullptr;
    cpu::Storage storage = cpu::Storage::kHalf;
    int64_t row_stride = 0;
  };
  std::vector<Tile> logits();
  // Where backward() expects the gradient of the logits times
  // kLogitGradientScale, same tiling; columns past the tokens must be zero.
  //
  // Most classes have tiny gradients, and the engine drops products of small
  // factors (rule N03): at a loss scale of 8192 about a tenth of those of the
  // classifier, which then misses every gradient by 6 %. A scale of its own,
  // taken out on the CPU where tiles are summed, costs nothing.
  static constexpr float kLogitGradientScale = 16.0F;
  std::vector<Tile> logit_gradients();
  int64_t tile_size() const;
  int64_t columns() const;

  // Gradients of everything. dx, when not null, receives the gradient at the
  // embedding's output: [S, D] rows for the tokens of forward().
  Status backward(const GradientSink& sink, std::vector<float>* dx,
                  const Account& account = {});

  // What the forward pass left: rotated keys [K, S] and values [K, S] of a
  // layer, to fill a key/value cache.
  BlockView keys(int64_t layer) const;
  BlockView values(int64_t layer) const;

  int64_t surface_bytes() const;  // all surfaces together
  int programs() const;
  // Nothing when the device predicts none.
  std::optional<PredictedStep> predicted() const;

 private:
  struct Impl;
  explicit Dynamic(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace aneroid::pipeline
