#include "aneroid/pipeline/token_columns.h"

#include <algorithm>

namespace aneroid::pipeline {

void embed_columns(std::span<const int32_t> tokens, const float* embedding,
                   int64_t width, int64_t stride, std::vector<float>& columns) {
  std::fill(columns.begin(), columns.end(), 0.0F);
  for (size_t t = 0; t < tokens.size(); ++t) {
    const float* row = embedding + tokens[t] * width;
    for (int64_t i = 0; i < width; ++i) {
      columns[static_cast<size_t>(i * stride) + t] = row[i];
    }
  }
}

void columns_to_rows(const std::vector<float>& columns, int64_t width,
                     int64_t stride, size_t tokens, std::vector<float>& rows) {
  const auto d = static_cast<size_t>(width);
  rows.resize(tokens * d);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t i = 0; i < d; ++i) {
      rows[t * d + i] = columns[i * static_cast<size_t>(stride) + t];
    }
  }
}

}  // namespace aneroid::pipeline
