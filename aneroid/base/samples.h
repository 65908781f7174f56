// What to say of repeated measurements. Of none, everything is 0.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

namespace aneroid {

inline double median(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::ranges::sort(samples);
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle]
                                 : (samples[middle - 1] + samples[middle]) / 2;
}
inline double least(std::span<const double> samples) {
  return samples.empty() ? 0 : *std::ranges::min_element(samples);
}
inline double greatest(std::span<const double> samples) {
  return samples.empty() ? 0 : *std::ranges::max_element(samples);
}

}  // namespace aneroid
