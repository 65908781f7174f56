// Weight gradients: fp32 sums on the CPU, computed in the background while the
// engine works on earlier layers.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/model/config.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/pipeline.h"

namespace aneroid::train {

// Part of one tensor's gradient, [rows, columns]; to be read or changed by one
// thread at a time.
struct GradientPiece {
  size_t parameter = 0;
  int64_t first_row = 0;
  int64_t rows = 0;
  int64_t first_column = 0;
  int64_t columns = 0;
  float* values = nullptr;
  int64_t row_stride = 0;
};

// Gradients of every row of the parameter table, multiplied by whatever scale
// the logit gradients had. Thread-compatible.
class Gradients {
 public:
  Gradients(cpu::ThreadPool& pool, const model::ModelConfig& config,
            cpu::Accumulate accumulate);
  ~Gradients();
  Gradients(const Gradients&) = delete;
  Gradients& operator=(const Gradients&) = delete;

  // Before a backward pass. `first` is the first micro-step of an update:
  // its gradients replace what was there, later ones are added. With
  // `check_factors` finite() can be asked afterwards.
  void begin(bool first, bool check_factors = false);
  // For Pipeline::backward(): queues the work and returns.
  pipeline::GradientSink sink();
  // Waits for queued work: after a backward pass that failed.
  void abandon() { pool_.wait_all(); }
  // Waits for queued work, then adds the gradient at the embedding's output:
  // dx is [tokens, D].
  void finish(std::span<const int32_t> tokens, const std::vector<float>& dx);

  // After finish(): whether every factor of the last backward pass's gradients
  // was finite, and so the gradients are. Found in the background; much cheaper
  // than norm().
  bool finite() const { return finite_; }

  size_t size() const { return gradients_.size(); }
  std::vector<float>& operator[](size_t parameter) {
    return gradients_[parameter];
  }
  const std::vector<float>& operator[](size_t parameter) const {
    return gradients_[parameter];
  }
  // Euclidean norm over everything; NaN or infinite after an overflow. The
  // same for any number of threads.
  double norm();

 private:
  struct Pending {
    cpu::ThreadPool::JobHandle sum;
    cpu::ThreadPool::JobHandle check;
  };

  void queue(const pipeline::WeightGradient& gradient);
  void queue(const pipeline::GainGradient& gradient);
  // Waits until one fewer than may be pending are.
  Pending& next_pending();
  cpu::ThreadPool::JobHandle check(std::vector<pipeline::BlockView> factors);

  // Products that share scratch memory run one after the other; with two they
  // overlap at their ends.
  static constexpr size_t kScratch = 2;

  cpu::ThreadPool& pool_;
  const model::ModelConfig config_;
  const cpu::Accumulate accumulate_;
  std::vector<model::ParameterSpec> table_;
  std::vector<std::vector<float>> gradients_;
  std::vector<cpu::GemmScratch> scratch_;
  std::vector<Pending> pending_;
  size_t told_ = 0;
  bool first_ = true;
  bool check_factors_ = false;
  const void* checked_ = nullptr;  // the last x: several gradients share one
  std::atomic<bool> finite_ = true;
};

// Whether every element of the block, or of every block, is finite.
bool all_finite(const pipeline::BlockView& block);
bool all_finite(cpu::ThreadPool& pool,
                std::span<const pipeline::BlockView> blocks);

// Computes a gain gradient, [channels], into or onto `result`.
void gain_gradient(const pipeline::GainGradient& gradient, double epsilon,
                   bool add, float* result);

}  // namespace aneroid::train
