// Between the rows of an embedding and the columns of an activation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aneroid::pipeline {

// columns[i, t] = embedding[tokens[t], i] for i < width; `columns` is
// [width, stride], zero past the tokens.
void embed_columns(std::span<const int32_t> tokens, const float* embedding,
                   int64_t width, int64_t stride, std::vector<float>& columns);
// rows[t, i] = columns[i, t] for the first `tokens` columns; `rows` becomes
// [tokens, width].
void columns_to_rows(const std::vector<float>& columns, int64_t width,
                     int64_t stride, size_t tokens, std::vector<float>& rows);

}  // namespace aneroid::pipeline
