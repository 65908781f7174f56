#include "aneroid/data/histogram.h"

#include <algorithm>
#include <utility>

namespace aneroid::data {

std::vector<int32_t> TokenHistogram::used_ids() const {
  std::vector<int32_t> ids;
  for (size_t id = 0; id < counts.size(); ++id) {
    if (counts[id] > 0) ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

std::vector<int32_t> TokenHistogram::commonest(size_t most) const {
  std::vector<int32_t> ids = used_ids();
  const size_t kept = std::min(most, ids.size());
  std::partial_sort(ids.begin(),
                    ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end(),
                    [&](int32_t a, int32_t b) {
                      return std::pair(counts[b], a) < std::pair(counts[a], b);
                    });
  ids.resize(kept);
  return ids;
}

TokenHistogram count_ids(const TokenShard& shard, TokenRange range) {
  TokenHistogram histogram;
  histogram.counts.resize(shard.vocab_size());
  histogram.total = range.count;
  std::vector<int32_t> block(size_t{1} << 14);
  for (uint64_t done = 0; done < range.count; done += block.size()) {
    block.resize(std::min<uint64_t>(block.size(), range.count - done));
    shard.read(range.first + done, block);
    for (const int32_t id : block) ++histogram.counts[id];
  }
  histogram.used =
      std::count_if(histogram.counts.begin(), histogram.counts.end(),
                    [](uint64_t count) { return count > 0; });
  return histogram;
}

}  // namespace aneroid::data
