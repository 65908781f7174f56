#include "aneroid/train/gradients.h"

#include <algorithm>
#include <cmath>

#include "aneroid/base/zeroed_memory.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/norm_gradient.h"
#include "aneroid/cpu/optimizer.h"

namespace aneroid::train {

bool all_finite(const pipeline::BlockView& block) {
  const auto columns = static_cast<size_t>(block.columns);
  for (int64_t r = 0; r < block.rows; ++r) {
    const int64_t at = r * block.matrix.row_stride;
    const bool fine =
        block.matrix.storage == cpu::Storage::kHalf
            ? cpu::all_finite(static_cast<const Half*>(block.matrix.data) + at,
                              columns)
            : cpu::all_finite(static_cast<const float*>(block.matrix.data) + at,
                              columns);
    if (!fine) return false;
  }
  return true;
}

void gain_gradient(const pipeline::GainGradient& gradient, double epsilon,
                   bool add, float* result) {
  cpu::norm_gain_gradient({gradient.dxn.matrix, gradient.x.matrix,
                           gradient.x.rows, gradient.x.columns, epsilon},
                          add, result);
}

bool all_finite(cpu::ThreadPool& pool,
                std::span<const pipeline::BlockView> blocks) {
  const cpu::ThreadPool::Label label(pool, "overflow check");
  std::vector<char> fine(blocks.size());
  pool.run(static_cast<int64_t>(fine.size()), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    fine[at] = all_finite(blocks[at]) ? 1 : 0;
  });
  return std::ranges::all_of(fine, [](char ok) { return ok != 0; });
}

Gradients::Gradients(cpu::ThreadPool& pool, const model::ModelConfig& config,
                     cpu::Accumulate accumulate)
    : pool_(pool),
      config_(config),
      accumulate_(accumulate),
      table_(model::parameter_table(config)),
      scratch_(kScratch),
      pending_(pipeline::kGradientsInFlight) {
  for (const model::ParameterSpec& spec : table_) {
    const auto count = static_cast<size_t>(spec.count());
    reserve_in_large_pages(gradients_.emplace_back(), count);
    gradients_.back().resize(count, 0.0F);
  }
}

Gradients::~Gradients() { pool_.wait_all(); }

void Gradients::begin(bool first, bool check_factors) {
  first_ = first;
  check_factors_ = check_factors;
  checked_ = nullptr;
  finite_ = true;
  // Nothing writes the embedding's gradient as a whole when it is not tied.
  if (first && !config_.tie_word_embeddings) {
    std::vector<float>& embedding = gradients_[static_cast<size_t>(
        model::find_parameter(table_, "embed_tokens"))];
    std::fill(embedding.begin(), embedding.end(), 0.0F);
  }
}

pipeline::GradientSink Gradients::sink() {
  return {[this](const pipeline::WeightGradient& g) { queue(g); },
          [this](const pipeline::GainGradient& g) { queue(g); }};
}

Gradients::Pending& Gradients::next_pending() {
  Pending& slot = pending_[told_++ % pending_.size()];
  pool_.wait(slot.sum);
  pool_.wait(slot.check);
  return slot;
}

cpu::ThreadPool::JobHandle Gradients::check(
    std::vector<pipeline::BlockView> factors) {
  if (!check_factors_) return nullptr;
  const cpu::ThreadPool::Label label(pool_, "overflow check");
  const auto count = static_cast<int64_t>(factors.size());
  return pool_.submit(count,
                      [this, factors = std::move(factors)](int64_t i, int) {
                        if (!all_finite(factors[static_cast<size_t>(i)])) {
                          finite_ = false;
                        }
                      });
}

void Gradients::queue(const pipeline::WeightGradient& gradient) {
  const cpu::ThreadPool::Label label(
      pool_, pool_.traced() ? "d " + table_[gradient.parameter].role : "");
  const cpu::GemmShape shape{gradient.dy.rows, gradient.x.rows,
                             gradient.dy.columns};
  cpu::ConstMatrix x = gradient.x.matrix;
  std::swap(x.row_stride, x.col_stride);  // x^T
  cpu::GemmOptions options;
  options.accumulate = accumulate_;
  options.add_to_c = !first_;
  options.scale = gradient.scale;
  Pending& slot = next_pending();
  float* result = gradients_[gradient.parameter].data() +
                  gradient.first_row * gradient.x.rows;
  slot.sum = cpu::gemm_background(
      pool_, scratch_[told_ % kScratch], shape, gradient.dy.matrix, x,
      {result, cpu::Storage::kFloat, gradient.x.rows, 1}, options);
  std::vector<pipeline::BlockView> factors = {gradient.dy};
  if (gradient.x.matrix.data != checked_) factors.push_back(gradient.x);
  checked_ = gradient.x.matrix.data;
  slot.check = check(std::move(factors));
}

void Gradients::queue(const pipeline::GainGradient& gradient) {
  const cpu::ThreadPool::Label label(pool_, "d gain");
  Pending& slot = next_pending();
  float* result = gradients_[gradient.parameter].data();
  slot.sum =
      pool_.submit(1, [this, gradient, result, add = !first_](int64_t, int) {
        gain_gradient(gradient, config_.rms_norm_eps, add, result);
      });
  slot.check = check({gradient.dxn});
}

void Gradients::finish(std::span<const int32_t> tokens,
                       const std::vector<float>& dx) {
  pool_.wait_all();
  if (!cpu::all_finite(dx.data(), dx.size())) finite_ = false;
  const auto d = static_cast<size_t>(config_.hidden_size);
  std::vector<float>& embedding = gradients_[static_cast<size_t>(
      model::find_parameter(table_, "embed_tokens"))];
  for (size_t t = 0; t < tokens.size(); ++t) {
    float* row = embedding.data() + static_cast<size_t>(tokens[t]) * d;
    for (size_t i = 0; i < d; ++i) row[i] += dx[t * d + i];
  }
}

double Gradients::norm() {
  // Fixed pieces, summed in order: independent of the number of threads.
  constexpr size_t kPiece = size_t{1} << 18;
  struct Piece {
    const float* data;
    size_t count;
  };
  std::vector<Piece> pieces;
  for (const std::vector<float>& gradient : gradients_) {
    for (size_t i = 0; i < gradient.size(); i += kPiece) {
      pieces.push_back(
          {gradient.data() + i, std::min(kPiece, gradient.size() - i)});
    }
  }
  std::vector<double> sums(pieces.size());
  const cpu::ThreadPool::Label label(pool_, "gradient norm");
  pool_.run(static_cast<int64_t>(pieces.size()), [&](int64_t i, int) {
    const Piece& piece = pieces[static_cast<size_t>(i)];
    sums[static_cast<size_t>(i)] = cpu::sum_of_squares(piece.data, piece.count);
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

}  // namespace aneroid::train
