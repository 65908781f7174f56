// Scaled dot product attention: plain loops, sums in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

// The mask as numbers to add to [batch..., L, S] scores; zeros without one.
// A bool mask keeps where it is true.
Result<std::vector<double>> added_mask(const HostTensor* mask,
                                       const Shape& scores, int64_t count) {
  std::vector<double> added(static_cast<size_t>(count), 0.0);
  if (mask == nullptr) return added;
  ANEROID_ASSIGN(const Shape whole, broadcast(mask->shape, scores));
  if (whole != scores) {
    return Context::error(fmt::format("attn_mask {} does not fit scores {}",
                                      to_string(mask->shape),
                                      to_string(scores)));
  }
  const bool keeps = mask->dtype == DataType::kBool;
  size_t next = 0;
  walk(scores, stretched_strides(mask->shape, scores), 0, [&](int64_t at) {
    const double value = mask->data[static_cast<size_t>(at)];
    if (!keeps) {
      added[next] = value;
    } else if (value == 0) {
      added[next] = -std::numeric_limits<double>::infinity();
    }
    ++next;
  });
  return added;
}

// In place, as ops_reduce's softmax.
void softmax_row(double* row, int64_t size) {
  const double largest = *std::max_element(row, row + size);
  double sum = 0;
  for (int64_t i = 0; i < size; ++i) {
    row[i] = std::exp(row[i] - largest);
    sum += row[i];
  }
  for (int64_t i = 0; i < size; ++i) row[i] /= sum;
}

}  // namespace

Results scaled_dot_product_attention(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* query, context.tensor("query"));
  ANEROID_ASSIGN(const HostTensor* key, context.tensor("key"));
  ANEROID_ASSIGN(const HostTensor* value, context.tensor("value"));
  const size_t rank = query->shape.size();
  const auto same_batch = [&](const HostTensor& tensor) {
    return tensor.shape.size() == rank &&
           std::equal(query->shape.begin(), query->shape.end() - 2,
                      tensor.shape.begin());
  };
  if (rank < 3 || !same_batch(*key) || !same_batch(*value) ||
      key->shape[rank - 1] != query->shape[rank - 1] ||
      key->shape[rank - 2] != value->shape[rank - 2]) {
    return Context::error(fmt::format(
        "query {}, key {} and value {} do not fit [..., L, E], [..., S, E] and "
        "[..., S, V]",
        to_string(query->shape), to_string(key->shape),
        to_string(value->shape)));
  }
  const int64_t queries = query->shape[rank - 2];
  const int64_t keys = key->shape[rank - 2];
  const int64_t depth = query->shape[rank - 1];
  const int64_t width = value->shape[rank - 1];
  Shape scores_shape = query->shape;
  scores_shape.back() = keys;
  ANEROID_ASSIGN(const HostTensor scores,
                 context.make(query->dtype, scores_shape));
  const auto count = static_cast<int64_t>(scores.data.size());
  ANEROID_ASSIGN(
      std::vector<double> weights,
      added_mask(context.optional_tensor("attn_mask"), scores_shape, count));
  Shape shape = query->shape;
  shape.back() = width;
  ANEROID_ASSIGN(HostTensor result, context.make(query->dtype, shape));
  if (count == 0) return std::vector<HostTensor>{std::move(result)};

  const double scale = 1.0 / std::sqrt(static_cast<double>(depth));
  const int64_t batches = count / (queries * keys);
  for (int64_t b = 0; b < batches; ++b) {
    for (int64_t l = 0; l < queries; ++l) {
      const double* q = query->data.data() + (b * queries + l) * depth;
      double* row = weights.data() + (b * queries + l) * keys;
      for (int64_t s = 0; s < keys; ++s) {
        const double* k = key->data.data() + (b * keys + s) * depth;
        double dot = 0;
        for (int64_t e = 0; e < depth; ++e) dot += q[e] * k[e];
        row[s] += dot * scale;
      }
      softmax_row(row, keys);
      double* out = result.data.data() + (b * queries + l) * width;
      for (int64_t s = 0; s < keys; ++s) {
        const double* v = value->data.data() + (b * keys + s) * width;
        for (int64_t e = 0; e < width; ++e) out[e] += row[s] * v[e];
      }
    }
  }
  return std::vector<HostTensor>{std::move(result)};
}

}  // namespace aneroid::interp
