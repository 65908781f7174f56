// Softmax and cross-entropy over logits that lie channel-first in tiles of the
// vocabulary, as the classifier's surfaces hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

// Classes [i * tile_rows, (i + 1) * tile_rows) of tile i, each a row of
// `columns` positions. Rows from vocab_size on are padding.
struct LogitShape {
  int64_t vocab_size = 0;
  int64_t tile_rows = 0;
  int64_t columns = 0;
};
struct LogitTile {
  std::byte* data = nullptr;
  Storage storage = Storage::kHalf;
  int64_t row_stride = 0;  // elements
};

inline constexpr int32_t kIgnoredTarget = -1;

// losses[t] = -ln softmax(logits[:, t])[targets[t]], for targets.size() <=
// columns positions; 0 for ignored targets, NaN when a logit is. Unless
// `gradients` is empty it has as many tiles as `logits`, and receives
// (softmax - onehot) * scale; zero for ignored targets, for columns past the
// targets and for padding rows. A gradient tile may be its logit tile. fp16
// gradients round half away from zero. Targets must be below vocab_size.
void cross_entropy(ThreadPool& pool, const LogitShape& shape,
                   const std::vector<LogitTile>& logits,
                   std::span<const int32_t> targets, std::span<double> losses,
                   const std::vector<LogitTile>& gradients, float scale);

}  // namespace aneroid::cpu
