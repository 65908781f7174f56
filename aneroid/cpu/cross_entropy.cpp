#include "aneroid/cpu/cross_entropy.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "aneroid/cpu/math-inl.h"
#include "aneroid/cpu/simd-inl.h"

#ifndef ANEROID_CPU_CROSS_ENTROPY_ONCE
#define ANEROID_CPU_CROSS_ENTROPY_ONCE
namespace aneroid::cpu {
namespace {

// Rows are handed out in blocks; each keeps its own maxima and sums, which are
// merged in order, so that the result does not depend on the threads.
constexpr int64_t kBlockRows = 256;
// Rows that are read for the maximum and again, from L1, for the sum.
constexpr int64_t kStepRows = 32;

struct Block {
  const LogitTile* logits = nullptr;
  const LogitTile* gradients = nullptr;  // null: not wanted
  int64_t tile_row = 0;                  // first row within the tile
  int64_t first_class = 0;
  int64_t rows = 0;     // with padding
  int64_t classes = 0;  // without
};

// Per column of a block: the largest logit, and the sum of e^(logit - largest).
struct Sums {
  float* largest;
  float* sum;
};
// Per column over all classes: gradient = e^(logit - shift) * factor, and zero
// where the factor is.
struct Softmax {
  const float* shift;
  const float* factor;
};

template <typename S>
S* row_of(const LogitTile& tile, int64_t row) {
  return reinterpret_cast<S*>(tile.data) + row * tile.row_stride;
}

}  // namespace
}  // namespace aneroid::cpu
#endif  // ANEROID_CPU_CROSS_ENTROPY_ONCE

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

using Tag = hn::ScalableTag<float>;
using Vec = hn::Vec<Tag>;

// Columns [t, t + lanes) of a row that has `columns`.
template <typename S>
HWY_INLINE Vec load_columns(Tag d, const S* row, int64_t t, int64_t columns) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (t + lanes <= columns) return load_float(d, row + t);
  return load_part(d, row + t, static_cast<size_t>(columns - t));
}

template <typename S>
void sum_rows(const Block& block, int64_t columns, const Sums& sums) {
  const Tag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t begin = 0; begin < block.classes; begin += kStepRows) {
    const int64_t end = std::min(block.classes, begin + kStepRows);
    for (int64_t t = 0; t < columns; t += lanes) {
      const auto earlier = begin == 0 ? lowest : hn::LoadU(d, sums.largest + t);
      auto top = earlier;
      for (int64_t r = begin; r < end; ++r) {
        const S* const row = row_of<S>(*block.logits, block.tile_row + r);
        top = hn::Max(top, load_columns(d, row, t, columns));
      }
      // Without a finite logit yet, any finite shift gives the right sum: 0.
      const auto shift = hn::IfThenElse(hn::Eq(top, lowest), hn::Zero(d), top);
      auto sum = hn::Zero(d);
      if (begin != 0) {
        sum = hn::Mul(hn::LoadU(d, sums.sum + t),
                      exp(d, hn::Sub(earlier, shift)));
      }
      for (int64_t r = begin; r < end; ++r) {
        const S* const row = row_of<S>(*block.logits, block.tile_row + r);
        sum = hn::Add(sum,
                      exp(d, hn::Sub(load_columns(d, row, t, columns), shift)));
      }
      hn::StoreU(top, d, sums.largest + t);
      hn::StoreU(sum, d, sums.sum + t);
    }
  }
}

template <typename S, typename G>
void write_rows(const Block& block, int64_t columns, const Softmax& softmax) {
  const Tag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t r = 0; r < block.rows; ++r) {
    G* const to = row_of<G>(*block.gradients, block.tile_row + r);
    if (r >= block.classes) {
      std::fill_n(to, columns, G{});
      continue;
    }
    const S* const from = row_of<S>(*block.logits, block.tile_row + r);
    for (int64_t t = 0; t < columns; t += lanes) {
      const auto shift = hn::LoadU(d, softmax.shift + t);
      const auto factor = hn::LoadU(d, softmax.factor + t);
      const auto e = exp(d, hn::Sub(load_columns(d, from, t, columns), shift));
      const auto g =
          hn::IfThenZeroElse(hn::Eq(factor, hn::Zero(d)), hn::Mul(e, factor));
      if (t + lanes <= columns) {
        store_float(g, d, to + t);
      } else {
        store_part(g, d, to + t, static_cast<size_t>(columns - t));
      }
    }
  }
}

void sum_block(const Block& block, int64_t columns, const Sums& sums) {
  if (block.logits->storage == Storage::kHalf) {
    sum_rows<Half>(block, columns, sums);
  } else {
    sum_rows<float>(block, columns, sums);
  }
}

template <typename S>
void write_block_from(const Block& block, int64_t columns,
                      const Softmax& softmax) {
  if (block.gradients->storage == Storage::kHalf) {
    write_rows<S, Half>(block, columns, softmax);
  } else {
    write_rows<S, float>(block, columns, softmax);
  }
}
void write_block(const Block& block, int64_t columns, const Softmax& softmax) {
  if (block.logits->storage == Storage::kHalf) {
    write_block_from<Half>(block, columns, softmax);
  } else {
    write_block_from<float>(block, columns, softmax);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {

HWY_EXPORT(sum_block);
HWY_EXPORT(write_block);

namespace {

// Columns are kept in arrays that whole vectors may overrun.
constexpr int64_t kMostLanes = 64;

std::vector<Block> cut(const LogitShape& shape,
                       const std::vector<LogitTile>& logits,
                       const std::vector<LogitTile>& gradients) {
  std::vector<Block> blocks;
  for (size_t t = 0; t < logits.size(); ++t) {
    const int64_t tile_start = static_cast<int64_t>(t) * shape.tile_rows;
    for (int64_t row = 0; row < shape.tile_rows; row += kBlockRows) {
      Block block;
      block.logits = &logits[t];
      block.gradients = gradients.empty() ? nullptr : &gradients[t];
      block.tile_row = row;
      block.first_class = tile_start + row;
      block.rows = std::min(kBlockRows, shape.tile_rows - row);
      block.classes = std::clamp<int64_t>(shape.vocab_size - block.first_class,
                                          0, block.rows);
      blocks.push_back(block);
    }
  }
  return blocks;
}

double value_at(const LogitTile& tile, int64_t row, int64_t column) {
  if (tile.storage == Storage::kHalf) {
    return static_cast<double>(to_float(row_of<Half>(tile, row)[column]));
  }
  return static_cast<double>(row_of<float>(tile, row)[column]);
}

void set_value(const LogitTile& tile, int64_t row, int64_t column,
               double value) {
  if (tile.storage == Storage::kHalf) {
    row_of<Half>(tile, row)[column] = to_half_away(value);
  } else {
    row_of<float>(tile, row)[column] = static_cast<float>(value);
  }
}

}  // namespace

void cross_entropy(ThreadPool& pool, const LogitShape& shape,
                   const std::vector<LogitTile>& logits,
                   std::span<const int32_t> targets, std::span<double> losses,
                   const std::vector<LogitTile>& gradients, float scale) {
  const std::vector<Block> blocks = cut(shape, logits, gradients);
  const auto count = static_cast<int64_t>(blocks.size());
  const auto tokens = static_cast<int64_t>(targets.size());
  assert(tokens <= shape.columns && losses.size() == targets.size());

  const int64_t stride = shape.columns + kMostLanes;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  std::vector<float> block_max(static_cast<size_t>(count * stride), kLowest);
  std::vector<float> block_sum(static_cast<size_t>(count * stride), 0.0F);
  std::vector<double> target_logit(targets.size(), 0.0);
  // Calls f(t, row of the block) for the tokens whose target is in a block.
  const auto for_targets = [&](const Block& block, const auto& f) {
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t row = targets[static_cast<size_t>(t)] - block.first_class;
      if (row >= 0 && row < block.classes) f(t, block.tile_row + row);
    }
  };
  pool.run(count, [&](int64_t b, int) {
    const Block& block = blocks[static_cast<size_t>(b)];
    HWY_DYNAMIC_DISPATCH(sum_block)
    (block, shape.columns,
     {block_max.data() + b * stride, block_sum.data() + b * stride});
    for_targets(block, [&](int64_t t, int64_t row) {
      target_logit[static_cast<size_t>(t)] = value_at(*block.logits, row, t);
    });
  });

  std::vector<float> shift(static_cast<size_t>(stride), 0.0F);
  std::vector<float> factor(static_cast<size_t>(stride), 0.0F);
  for (int64_t t = 0; t < tokens; ++t) {
    const auto at = static_cast<size_t>(t);
    if (targets[at] == kIgnoredTarget) {
      losses[at] = 0.0;
      continue;
    }
    double largest = static_cast<double>(kLowest);
    for (int64_t b = 0; b < count; ++b) {
      const auto i = static_cast<size_t>(b * stride + t);
      largest = std::max(largest, static_cast<double>(block_max[i]));
    }
    double sum = 0;
    for (int64_t b = 0; b < count; ++b) {
      const auto i = static_cast<size_t>(b * stride + t);
      // A block of -inf alone has the sum 0; its shift was not its maximum.
      if (block_sum[i] == 0.0F) continue;
      sum += static_cast<double>(block_sum[i]) *
             std::exp(static_cast<double>(block_max[i]) - largest);
    }
    losses[at] = std::log(sum) + largest - target_logit[at];
    shift[at] = static_cast<float>(largest);
    factor[at] = static_cast<float>(static_cast<double>(scale) / sum);
  }
  if (gradients.empty()) return;

  pool.run(count, [&](int64_t b, int) {
    const Block& block = blocks[static_cast<size_t>(b)];
    HWY_DYNAMIC_DISPATCH(write_block)
    (block, shape.columns, {shift.data(), factor.data()});
    // p - 1 of the target, without cancellation.
    for_targets(block, [&](int64_t t, int64_t row) {
      set_value(*block.gradients, row, t,
                std::expm1(-losses[static_cast<size_t>(t)]) *
                    static_cast<double>(scale));
    });
  });
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
