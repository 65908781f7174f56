// What the kernels of pipeline.h compute, in double precision and plain loops:
// the oracle that their tests compare with, written to be read.
//
// Blocks carry the names and the orientation they have in pipeline.h ("w2" is
// W2^T), without padding: activations are [channels, positions], gains
// [channels, 1]. The sequence length is the number of columns of the
// activations. A missing block or a wrong size is a bug and asserts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "aneroid/model/config.h"

namespace aneroid::kernels::plain {

struct Matrix {
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<double> data;  // row-major

  Matrix() = default;
  Matrix(int64_t row_count, int64_t column_count)
      : rows(row_count),
        columns(column_count),
        data(static_cast<size_t>(row_count * column_count)) {}
  double& operator()(int64_t row, int64_t column) {
    return data[static_cast<size_t>(row * columns + column)];
  }
  double operator()(int64_t row, int64_t column) const {
    return data[static_cast<size_t>(row * columns + column)];
  }
};
using Blocks = std::map<std::string, Matrix, std::less<>>;

Matrix multiply(const Matrix& a, const Matrix& b);
Matrix transpose(const Matrix& a);
Matrix add(const Matrix& a, const Matrix& b);

// y = gain x r, r = (mean(x^2) + epsilon)^-1/2 over each column.
Matrix rms_norm(const Matrix& x, const Matrix& gain, double epsilon);
// Gradient of a loss at x, given its gradient dy at y.
Matrix rms_norm_gradient(const Matrix& dy, const Matrix& x, const Matrix& gain,
                         double epsilon);
// Gradient at the gain, [channels, 1].
Matrix rms_norm_gain_gradient(const Matrix& dy, const Matrix& x,
                              double epsilon);

// RoPE: turns the pair of channels (2i, 2i+1) of every head at position t by
// the angle direction * t * theta^(-2i / head_dim).
Matrix rotate(const Matrix& x, const model::ModelConfig& config,
              double direction);

// Causal grouped-query attention: query head h uses key/value head h div R.
Matrix attend(const Matrix& q, const Matrix& k, const Matrix& v,
              const model::ModelConfig& config);
struct AttentionGradient {
  Matrix dq, dk, dv;
};
AttentionGradient attend_gradient(const Matrix& da, const Matrix& q,
                                  const Matrix& k, const Matrix& v,
                                  const model::ModelConfig& config);

Blocks attention_forward(const model::ModelConfig& config, const Blocks& in);
Blocks attention_backward(const model::ModelConfig& config, const Blocks& in);
Blocks ffn_forward(const model::ModelConfig& config, const Blocks& in);
Blocks ffn_backward(const model::ModelConfig& config, const Blocks& in);
Blocks final_norm_forward(const model::ModelConfig& config, const Blocks& in);
Blocks final_norm_backward(const model::ModelConfig& config, const Blocks& in);
Blocks classifier_forward(const Blocks& in);
Blocks classifier_backward(const Blocks& in);

}  // namespace aneroid::kernels::plain
