// x + alpha W a is x + (alpha W) a: a scaled residual branch needs no program
// of its own, only a scaled weight where it is staged, and the same factor in
// that weight's gradient. Internal to this folder.
#pragma once

#include <cstdint>
#include <vector>

#include "aneroid/model/parameters.h"

namespace aneroid::pipeline {

// The factor of a tensor: `residual_scale` for the two projections of a layer
// that write to the residual stream, else 1.
inline double staging_scale(const model::ParameterSpec& spec,
                            double residual_scale) {
  return spec.role == "o_proj" || spec.role == "down_proj" ? residual_scale : 1;
}

// Rows of a matrix times `scale`: where they are when that is 1, else a copy.
class ScaledRows {
 public:
  ScaledRows(const float* values, int64_t stride, int64_t rows, int64_t columns,
             double scale)
      : data_(values), stride_(stride) {
    if (scale == 1) return;
    copy_.reserve(static_cast<size_t>(rows * columns));
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) {
        copy_.push_back(static_cast<float>(scale * values[r * stride + c]));
      }
    }
    data_ = copy_.data();
    stride_ = columns;
  }
  ScaledRows(const ScaledRows&) = delete;
  ScaledRows& operator=(const ScaledRows&) = delete;
  const float* data() const { return data_; }
  int64_t stride() const { return stride_; }

 private:
  std::vector<float> copy_;
  const float* data_;
  int64_t stride_;
};

}  // namespace aneroid::pipeline
