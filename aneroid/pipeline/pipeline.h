// A pipeline: one way for weights to reach the engine, and the micro-step that
// follows from it. Trainers know pipelines by this interface alone.
//
// Thread-compatible, but for what stage_block() says.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/device/device.h"
#include "aneroid/model/parameters.h"

namespace aneroid::pipeline {

// Where wall time goes, as the pipeline's owner wants to account for it.
enum class Part : uint8_t {
  kEngineForward,
  kEngineBackward,
  kSurfaces,    // moving data between programs
  kGradients,   // telling the sink, which may make the caller wait
  kClassifier,  // on the CPU, where the pipeline has it there
  kNorm,        // norms, their gradients and residuals on the CPU
};
using Account = std::function<void(Part)>;  // called when the part begins

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
// Who is told of gradients may still be working on this many, the last ones.
inline constexpr int64_t kGradientsInFlight = 8;
// Told of each gradient as soon as its operands stand in memory, where they
// stay untouched until kGradientsInFlight more were told or the next forward();
// until the latter with Options::keep_operands. So the work may be done in the
// background.
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
// Adds a program that a micro-step runs `calls` times.
void add_program(PredictedStep& step, std::string name, int64_t calls,
                 const device::PredictedTime& time);

// Logits or their gradients of one vocabulary tile, [tile_size(), columns()];
// first class of tile i = i * tile_size().
struct LogitTile {
  std::byte* data = nullptr;
  cpu::Storage storage = cpu::Storage::kHalf;
  int64_t row_stride = 0;
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;

  // Puts weights, in the order of the parameter table, where the programs read
  // them. Errors: the device's, where this means compiling.
  virtual Status stage(const model::Weights& weights) = 0;
  // False when the device's compile budget allows no further stage() in this
  // process: what must go on has to be saved for another process.
  virtual bool can_stage() const { return true; }
  // Programs that the next stage() compiles.
  virtual int compiles_per_stage() const { return 0; }
  // Whether stage_block() may stand in for stage().
  virtual bool stages_blocks() const { return false; }
  // A rectangle of a tensor with rows of shape[1] elements (a gain: of one).
  struct Block {
    int64_t first_row = 0;
    int64_t rows = 0;
    int64_t first_column = 0;
    int64_t columns = 0;
  };
  // Stages part of one tensor, on the calling thread, when stages_blocks().
  // Safe to call from several threads for blocks that do not overlap.
  virtual void stage_block(size_t parameter, const float* tensor,
                           const Block& block) const;
  // A good number of rows per task for who shares out an update.
  virtual int64_t rows_per_task(size_t parameter) const = 0;

  // Runs tokens [0, n), n <= the sequence, through all layers to the logits.
  // `embedding` is [V, D]. Ids must be below V. Errors: the device's.
  virtual Status forward(std::span<const int32_t> tokens,
                         const float* embedding,
                         const Account& account = {}) = 0;
  // After forward().
  virtual std::vector<LogitTile> logits() = 0;
  // Where backward() expects the gradient of the logits times
  // logit_gradient_scale(): rows of the vocabulary and all columns, those past
  // the tokens zero. What was there before is of no use.
  virtual std::vector<LogitTile> logit_gradients() = 0;
  virtual float logit_gradient_scale() const = 0;
  virtual int64_t tile_size() const = 0;
  virtual int64_t columns() const = 0;

  // Gradients of everything. dx, when not null, receives the gradient at the
  // embedding's output: [S, D] rows for the tokens of forward().
  virtual Status backward(const GradientSink& sink, std::vector<float>* dx,
                          const Account& account = {}) = 0;

  virtual int64_t surface_bytes() const = 0;  // all surfaces together
  virtual int programs() const = 0;           // compiled at present
  // Nothing when the device predicts none.
  virtual std::optional<PredictedStep> predicted() const = 0;
};

inline void Pipeline::stage_block(size_t /*parameter*/, const float* /*tensor*/,
                                  const Block& /*block*/) const {
  assert(!stages_blocks());
}

}  // namespace aneroid::pipeline
