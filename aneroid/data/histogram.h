// Which ids a shard uses, and how often.
#pragma once

#include <cstdint>
#include <vector>

#include "aneroid/data/shard.h"

namespace aneroid::data {

struct TokenHistogram {
  std::vector<uint64_t> counts;  // by id, vocab_size of them
  uint64_t total = 0;
  int64_t used = 0;  // ids that occur

  // The ids that occur, ascending: what a compacted vocabulary keeps.
  std::vector<int32_t> used_ids() const;
  // The ids that occur most often, the commonest first; of equals the
  // smaller. At most `most`.
  std::vector<int32_t> commonest(size_t most) const;
};

// The range must lie inside the shard.
TokenHistogram count_ids(const TokenShard& shard, TokenRange range);

}  // namespace aneroid::data
