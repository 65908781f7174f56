#include "aneroid/train/deferred.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/optimizer.h"
#include "aneroid/pipeline/surface_io.h"

namespace aneroid::train {
namespace {

// Products whose pieces may be in flight at the same time.
constexpr size_t kPending = 4;

}  // namespace

DeferredGradients::DeferredGradients(cpu::ThreadPool& pool,
                                     const model::ModelConfig& config)
    : pool_(pool),
      config_(config),
      table_(model::parameter_table(config)),
      embedding_(
          static_cast<size_t>(model::find_parameter(table_, "embed_tokens"))),
      scratch_(kPending) {}

pipeline::GradientSink DeferredGradients::begin() {
  weights_.clear();
  gain_operands_.clear();
  gains_.clear();
  embedding_rows_.clear();
  x_of_gram_ = nullptr;
  return {
      [this](const pipeline::WeightGradient& g) { weights_.push_back(g); },
      [this](const pipeline::GainGradient& g) { gain_operands_.push_back(g); }};
}

void DeferredGradients::finish(std::span<const int32_t> tokens,
                               const std::vector<float>& dx) {
  const auto d = static_cast<size_t>(config_.hidden_size);
  // In the order of the tokens: sums do not depend on how they are kept.
  std::map<int32_t, std::vector<float>> rows;
  for (size_t t = 0; t < tokens.size(); ++t) {
    std::vector<float>& row = rows[tokens[t]];
    row.resize(d, 0.0F);
    for (size_t i = 0; i < d; ++i) row[i] += dx[t * d + i];
  }
  for (auto& [token, values] : rows) {
    embedding_rows_.push_back({token, std::move(values)});
  }
  gains_.resize(gain_operands_.size());
  pool_.run(static_cast<int64_t>(gains_.size()), [&](int64_t i, int) {
    const pipeline::GainGradient& from = gain_operands_[static_cast<size_t>(i)];
    Gain& gain = gains_[static_cast<size_t>(i)];
    gain.parameter = from.parameter;
    gain.values.resize(static_cast<size_t>(from.x.rows));
    gain_gradient(from, config_.rms_norm_eps, false, gain.values.data());
  });
}

bool DeferredGradients::finite() const {
  std::vector<pipeline::BlockView> factors;
  for (const pipeline::WeightGradient& gradient : weights_) {
    factors.push_back(gradient.dy);
    factors.push_back(gradient.x);
  }
  return all_finite(pool_, factors) &&
         std::ranges::all_of(gains_,
                             [](const Gain& gain) {
                               return cpu::all_finite(gain.values.data(),
                                                      gain.values.size());
                             }) &&
         std::ranges::all_of(embedding_rows_, [](const EmbeddingRow& row) {
           return cpu::all_finite(row.values.data(), row.values.size());
         });
}

void DeferredGradients::gram(const pipeline::BlockView& block,
                             std::vector<float>& result) {
  const int64_t n = block.columns;
  result.resize(static_cast<size_t>(n * n));
  cpu::ConstMatrix transposed = block.matrix;
  std::swap(transposed.row_stride, transposed.col_stride);
  cpu::gemm(pool_, gram_scratch_, {n, n, block.rows}, transposed, block.matrix,
            {result.data(), cpu::Storage::kFloat, n, 1});
}

double DeferredGradients::weight_squares(
    const pipeline::WeightGradient& gradient) {
  gram(gradient.dy, dy_gram_);
  if (gradient.x.matrix.data != x_of_gram_) gram(gradient.x, x_gram_);
  x_of_gram_ = gradient.x.matrix.data;
  double sum = 0;
  for (size_t i = 0; i < dy_gram_.size(); ++i) {
    sum += double{dy_gram_[i]} * x_gram_[i];
  }
  // Cancellation may leave a tiny negative where the truth is a tiny positive.
  return std::max(0.0, sum) * double{gradient.scale} * gradient.scale;
}

double DeferredGradients::embedding_squares() const {
  double sum = 0;
  for (const EmbeddingRow& row : embedding_rows_) {
    sum += cpu::sum_of_squares(row.values.data(), row.values.size());
  }
  if (!config_.tie_word_embeddings) return sum;
  // Rows of tokens that occur have a part from the classifier too:
  // |c + e|^2 = |c|^2 + 2 c e + |e|^2.
  std::vector<double> crossed(embedding_rows_.size(), 0.0);
  pool_.run(static_cast<int64_t>(crossed.size()), [&](int64_t i, int) {
    const EmbeddingRow& row = embedding_rows_[static_cast<size_t>(i)];
    for (const pipeline::WeightGradient& g : weights_) {
      const int64_t local = row.token - g.first_row;
      if (g.parameter != embedding_ || local < 0 || local >= g.dy.rows) {
        continue;
      }
      const auto columns = static_cast<size_t>(g.x.columns);
      std::vector<float> dy(columns);
      std::vector<float> x(columns);
      pipeline::read_rows(g.dy.matrix, dy.data(), g.dy.columns, 1, g.dy.columns,
                          local);
      for (int64_t c = 0; c < g.x.rows; ++c) {
        pipeline::read_rows(g.x.matrix, x.data(), g.x.columns, 1, g.x.columns,
                            c);
        double dot = 0;
        for (size_t t = 0; t < columns; ++t) dot += double{dy[t]} * x[t];
        crossed[static_cast<size_t>(i)] +=
            dot * g.scale * row.values[static_cast<size_t>(c)];
      }
    }
  });
  for (const double value : crossed) sum += 2 * value;
  return sum;
}

double DeferredGradients::norm() {
  const cpu::ThreadPool::Label label(pool_, "gradient norm");
  double sum = embedding_squares();
  for (const pipeline::WeightGradient& gradient : weights_) {
    sum += weight_squares(gradient);
  }
  for (const Gain& gain : gains_) {
    sum += cpu::sum_of_squares(gain.values.data(), gain.values.size());
  }
  return std::sqrt(std::max(0.0, sum));
}

void DeferredGradients::add_embedding_rows(const GradientPiece& piece) const {
  auto row = std::ranges::lower_bound(
      embedding_rows_, piece.first_row, {},
      [](const EmbeddingRow& each) { return int64_t{each.token}; });
  for (; row != embedding_rows_.end() &&
         row->token < piece.first_row + piece.rows;
       ++row) {
    float* const to =
        piece.values + (row->token - piece.first_row) * piece.row_stride;
    for (int64_t c = 0; c < piece.columns; ++c) {
      to[c] += row->values[static_cast<size_t>(piece.first_column + c)];
    }
  }
}

void DeferredGradients::scatter_untied(
    const std::function<void(const GradientPiece&)>& consume) {
  // Most rows have no gradient, and yet decay and moments move them.
  constexpr int64_t kRows = 64;
  const int64_t width = config_.hidden_size;
  pool_.run((config_.vocab_size + kRows - 1) / kRows, [&](int64_t task, int) {
    const int64_t first = task * kRows;
    const int64_t rows = std::min(kRows, config_.vocab_size - first);
    std::vector<float> values(static_cast<size_t>(rows * width), 0.0F);
    const GradientPiece piece{embedding_, first,         rows, 0,
                              width,      values.data(), width};
    add_embedding_rows(piece);
    consume(piece);
  });
}

void DeferredGradients::update(
    const std::function<void(const GradientPiece&)>& consume) {
  size_t next = 0;
  std::vector<cpu::ThreadPool::JobHandle> pending(kPending);
  for (const pipeline::WeightGradient& gradient : weights_) {
    const cpu::ThreadPool::Label label(
        pool_, pool_.traced()
                   ? "d " + table_[gradient.parameter].role + " and adamw"
                   : "");
    cpu::ConstMatrix x = gradient.x.matrix;
    std::swap(x.row_stride, x.col_stride);  // x^T
    const bool embedding =
        gradient.parameter == embedding_ && config_.tie_word_embeddings;
    const size_t slot = next++ % kPending;
    pool_.wait(pending[slot]);
    pending[slot] = cpu::gemm_to_sink(
        pool_, scratch_[slot],
        {gradient.dy.rows, gradient.x.rows, gradient.dy.columns},
        gradient.dy.matrix, x,
        [this, &consume, &gradient, embedding](const cpu::GemmTile& tile) {
          const GradientPiece piece{
              gradient.parameter, gradient.first_row + tile.row,
              tile.rows,          tile.column,
              tile.columns,       tile.values,
              tile.row_stride};
          if (embedding) add_embedding_rows(piece);
          consume(piece);
        },
        gradient.scale);
  }
  for (Gain& gain : gains_) {
    consume({gain.parameter, 0, static_cast<int64_t>(gain.values.size()), 0, 1,
             gain.values.data(), 1});
  }
  pool_.wait_all();
  if (!config_.tie_word_embeddings) scatter_untied(consume);
}

}  // namespace aneroid::train
