// Weights stored as indices into a table of values.
#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

// A whole number from 0 to size - 1.
std::optional<size_t> index_below(double value, int64_t size) {
  if (!(value >= 0 && value < static_cast<double>(size))) return std::nullopt;
  const auto index = static_cast<size_t>(value);
  if (static_cast<double>(index) != value) return std::nullopt;
  return index;
}

// iOS 16: `indices` is a stream of bytes in which every index takes as many
// bits as the table needs, lowest first; `shape` says what they make.
Results packed_lut(const Context& context, const HostTensor& indices,
                   const HostTensor& lut) {
  constexpr std::pair<size_t, size_t> kBits[] = {
      {2, 1}, {4, 2}, {16, 4}, {64, 6}, {256, 8}};
  const auto* known = std::ranges::find(kBits, lut.data.size(),
                                        &std::pair<size_t, size_t>::first);
  if (lut.shape.size() != 1 || known == std::end(kBits)) {
    return Context::error(
        fmt::format("lut {} must be a vector of 2, 4, 16, 64 or 256",
                    to_string(lut.shape)));
  }
  const size_t bits = known->second;
  ANEROID_ASSIGN(const Shape shape, context.integers("shape"));
  ANEROID_ASSIGN(HostTensor y, context.make(lut.dtype, shape));
  const size_t needed = (bits * y.data.size() + 7) / 8;
  if (indices.data.size() != needed) {
    return Context::error(
        fmt::format("indices has {} bytes; {} of {} bits "
                    "take {}",
                    indices.data.size(), y.data.size(), bits, needed));
  }
  std::vector<size_t> bytes;
  bytes.reserve(needed + 1);
  for (const double value : indices.data) {
    const auto byte = index_below(value, 256);
    if (!byte) return Context::error(fmt::format("{} is no byte", value));
    bytes.push_back(*byte);
  }
  bytes.push_back(0);  // an index may reach into the next byte
  for (size_t i = 0; i < y.data.size(); ++i) {
    const size_t at = i * bits;
    const size_t window = bytes[at / 8] | bytes[at / 8 + 1] << 8;
    y.data[i] = lut.data[window >> at % 8 & (lut.data.size() - 1)];
  }
  return std::vector{std::move(y)};
}

// iOS 18: `lut` is [groups of each dimension ..., entries, vector]. Each group
// of `indices` has a table of its own; vectors lie along `vector_axis`.
Results grouped_lut(const Context& context, const HostTensor& indices,
                    const HostTensor& lut) {
  const size_t rank = indices.shape.size();
  bool fits = lut.shape.size() == rank + 2;
  // As [groups0, group0, groups1, group1, ...]: inside a group the table stands
  // still.
  Shape pairs;
  Strides strides;
  const Strides own = strides_of(lut.shape);
  for (size_t i = 0; fits && i < rank; ++i) {
    const int64_t groups = lut.shape[i];
    fits = groups > 0 && indices.shape[i] % groups == 0;
    if (!fits) break;
    pairs.insert(pairs.end(), {groups, indices.shape[i] / groups});
    strides.insert(strides.end(), {own[i], 0});
  }
  if (!fits) {
    return Context::error(
        fmt::format("lut {} must have two dimensions more than indices {}, and "
                    "divide its dimensions",
                    to_string(lut.shape), to_string(indices.shape)));
  }
  const int64_t entries = lut.shape[rank];
  const auto vector = static_cast<size_t>(lut.shape[rank + 1]);
  Shape shape = indices.shape;
  size_t inner = 1;
  if (vector != 1) {
    ANEROID_ASSIGN(const int64_t named,
                   context.integer("vector_axis", std::nullopt));
    ANEROID_ASSIGN(const size_t axis, normal_axis(named, rank));
    inner = static_cast<size_t>(around_axis(indices.shape, axis).inner);
    shape[axis] *= lut.shape[rank + 1];
  }
  ANEROID_ASSIGN(HostTensor y, context.make(lut.dtype, shape));
  size_t i = 0;
  std::optional<double> unknown;
  walk(pairs, strides, 0, [&](int64_t table) {
    const auto entry = index_below(indices.data[i], entries);
    if (!entry) unknown = indices.data[i];
    for (size_t v = 0; entry && v < vector; ++v) {
      y.data[(i / inner * vector + v) * inner + i % inner] =
          lut.data[static_cast<size_t>(table) + *entry * vector + v];
    }
    ++i;
  });
  if (unknown) {
    return Context::error(
        fmt::format("index {} in a table of {} entries", *unknown, entries));
  }
  return std::vector{std::move(y)};
}

}  // namespace

Results constexpr_lut_to_dense(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* indices, context.tensor("indices"));
  ANEROID_ASSIGN(const HostTensor* lut, context.tensor("lut"));
  return context.optional_tensor("shape") != nullptr
             ? packed_lut(context, *indices, *lut)
             : grouped_lut(context, *indices, *lut);
}

}  // namespace aneroid::interp
