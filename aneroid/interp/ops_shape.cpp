// Ops that move elements and compute nothing.
#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

// The elements of x met on a walk, as a tensor of `shape`.
Results gather(const Context& context, const HostTensor& x, const Shape& shape,
               const Strides& strides, int64_t base) {
  ANEROID_ASSIGN(HostTensor y, context.make(x.dtype, shape));
  size_t i = 0;
  walk(shape, strides, base, [&](int64_t offset) {
    y.data[i++] = x.data[static_cast<size_t>(offset)];
  });
  return std::vector{std::move(y)};
}

Results reshaped(const HostTensor& x, Shape shape) {
  const std::optional<int64_t> count = element_count(shape);
  if (count != static_cast<int64_t>(x.data.size())) {
    return Context::error(fmt::format("{} of {} elements cannot become {}",
                                      to_string(x.shape), x.data.size(),
                                      to_string(shape)));
  }
  return std::vector{HostTensor{x.dtype, std::move(shape), x.data}};
}

Status expect_count(std::string_view input, size_t count, size_t rank) {
  if (count == rank) return {};
  return Context::error(fmt::format(
      "{} has {} elements for a tensor of rank {}", input, count, rank));
}

// ---- slice_by_index --------------------------------------------------------

struct Range {
  int64_t begin = 0;
  int64_t size = 0;
};

// One dimension of a NumPy slice: negative indices count from the end, ends
// beyond the tensor are cut, a mask opens an end.
Range range_of(int64_t dim, int64_t begin, int64_t end, int64_t stride,
               bool begin_open, bool end_open) {
  const bool forward = stride > 0;
  const int64_t low = forward ? 0 : -1;
  const int64_t high = forward ? dim : dim - 1;
  if (begin < 0) begin += dim;
  if (end < 0) end += dim;
  begin = begin_open ? (forward ? 0 : dim - 1) : std::clamp(begin, low, high);
  end = end_open ? (forward ? dim : -1) : std::clamp(end, low, high);
  const int64_t distance = forward ? end - begin : begin - end;
  const int64_t step = std::llabs(stride);
  return {begin, std::max<int64_t>(0, (distance + step - 1) / step)};
}

// ---- concat, stack ---------------------------------------------------------

// Shared by concat (block: elements of one index of the axis and all inner
// ones) and stack: copies `outer` runs of each part side by side.
void join(const std::vector<const HostTensor*>& parts, size_t axis,
          HostTensor& y) {
  const AxisView whole = around_axis(y.shape, axis);
  int64_t done = 0;
  for (const HostTensor* part : parts) {
    const int64_t run =
        whole.outer == 0
            ? 0
            : static_cast<int64_t>(part->data.size()) / whole.outer;
    for (int64_t o = 0; o < whole.outer; ++o) {
      std::copy_n(part->data.begin() + o * run, run,
                  y.data.begin() + o * whole.size * whole.inner + done);
    }
    done += run;
  }
}

Status same_but_axis(const std::vector<const HostTensor*>& parts,
                     std::optional<size_t> axis) {
  for (const HostTensor* part : parts) {
    Shape expected = parts.front()->shape;
    if (axis && part->shape.size() == expected.size()) {
      expected[*axis] = part->shape[*axis];
    }
    if (part->dtype != parts.front()->dtype || part->shape != expected) {
      return Context::error(
          fmt::format("{} {} does not fit beside {} {}", name(part->dtype),
                      to_string(part->shape), name(parts.front()->dtype),
                      to_string(parts.front()->shape)));
    }
  }
  return {};
}

// ---- pad -------------------------------------------------------------------

constexpr int64_t kOutside = -1;

// Which element of a dimension of `dim` elements the padded position shows.
using PadIndex = int64_t (*)(int64_t position, int64_t dim);
int64_t constant_index(int64_t position, int64_t dim) {
  return position >= 0 && position < dim ? position : kOutside;
}
int64_t reflect_index(int64_t position, int64_t dim) {
  if (position < 0) return -position;
  return position < dim ? position : 2 * (dim - 1) - position;
}
int64_t replicate_index(int64_t position, int64_t dim) {
  return std::clamp<int64_t>(position, 0, dim - 1);
}

Results pad_axis(const Context& context, const HostTensor& x, size_t axis,
                 int64_t before, int64_t after, PadIndex index,
                 double outside) {
  const int64_t dim = x.shape[axis];
  Shape shape = x.shape;
  shape[axis] += before + after;
  ANEROID_ASSIGN(HostTensor y, context.make(x.dtype, shape));
  const AxisView view = around_axis(shape, axis);
  size_t to = 0;
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t k = 0; k < view.size; ++k) {
      const int64_t from = index(k - before, dim);
      for (int64_t i = 0; i < view.inner; ++i) {
        y.data[to++] = from == kOutside
                           ? outside
                           : x.data[static_cast<size_t>(
                                 (o * dim + from) * view.inner + i)];
      }
    }
  }
  return std::vector{std::move(y)};
}

}  // namespace

Results identity(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  return std::vector{*x};
}

Results reshape(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(Shape shape, context.integers("shape"));
  const bool copies = shape.size() == x->shape.size();
  size_t inferred = shape.size();
  int64_t known = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0 && copies) shape[i] = x->shape[i];
    if (shape[i] == -1) {
      if (inferred < shape.size()) {
        return Context::error("shape has more than one -1");
      }
      inferred = i;
    }
  }
  if (inferred < shape.size()) {
    Shape others = shape;
    others[inferred] = 1;
    known = element_count(others).value_or(0);
    const auto count = static_cast<int64_t>(x->data.size());
    if (known == 0 || count % known != 0) {
      return Context::error(
          fmt::format("{} elements do not fill {}", count, to_string(others)));
    }
    shape[inferred] = count / known;
  }
  return reshaped(*x, std::move(shape));
}

Results expand_dims(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const auto named, context.integers("axes"));
  if (named.empty()) return std::vector{*x};
  ANEROID_ASSIGN(const std::vector<size_t> axes,
                 normal_axes(named, x->shape.size() + named.size()));
  Shape shape = x->shape;
  for (const size_t axis : axes) {
    shape.insert(shape.begin() + static_cast<int64_t>(axis), 1);
  }
  return reshaped(*x, std::move(shape));
}

Results squeeze(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const auto named,
                 context.integers("axes", std::vector<int64_t>{}));
  ANEROID_ASSIGN(const std::vector<size_t> axes,
                 normal_axes(named, x->shape.size()));
  Shape shape;
  for (size_t i = 0; i < x->shape.size(); ++i) {
    const bool chosen = std::binary_search(axes.begin(), axes.end(), i);
    if (chosen && x->shape[i] == 1) continue;
    if (chosen && !named.empty()) {
      return Context::error(fmt::format("axis {} of {} is {}, not 1", i,
                                        to_string(x->shape), x->shape[i]));
    }
    shape.push_back(x->shape[i]);
  }
  return reshaped(*x, std::move(shape));
}

Results transpose(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const auto perm, context.integers("perm"));
  ANEROID_TRY(expect_count("perm", perm.size(), x->shape.size()));
  ANEROID_TRY(normal_axes(perm, x->shape.size()));  // a permutation
  const Strides own = strides_of(x->shape);
  Shape shape;
  Strides strides;
  for (const int64_t axis : perm) {
    ANEROID_ASSIGN(const size_t from, normal_axis(axis, x->shape.size()));
    shape.push_back(x->shape[from]);
    strides.push_back(own[from]);
  }
  return gather(context, *x, shape, strides, 0);
}

Results slice_by_size(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(auto begin, context.integers("begin"));
  ANEROID_ASSIGN(Shape size, context.integers("size"));
  ANEROID_TRY(expect_count("begin", begin.size(), x->shape.size()));
  ANEROID_TRY(expect_count("size", size.size(), x->shape.size()));
  const Strides strides = strides_of(x->shape);
  int64_t base = 0;
  for (size_t i = 0; i < size.size(); ++i) {
    const int64_t dim = x->shape[i];
    if (begin[i] < 0) begin[i] += dim;
    if (size[i] == -1) size[i] = dim - begin[i];
    if (begin[i] < 0 || size[i] < 0 || begin[i] + size[i] > dim) {
      return Context::error(
          fmt::format("{} elements from {} leave dimension {} of {}", size[i],
                      begin[i], i, to_string(x->shape)));
    }
    base += begin[i] * strides[i];
  }
  return gather(context, *x, size, strides, base);
}

Results slice_by_index(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  const size_t rank = x->shape.size();
  const std::vector<int64_t> zeros(rank, 0);
  ANEROID_ASSIGN(const auto begin, context.integers("begin"));
  ANEROID_ASSIGN(const auto end, context.integers("end"));
  ANEROID_ASSIGN(const auto stride,
                 context.integers("stride", std::vector<int64_t>(rank, 1)));
  ANEROID_ASSIGN(const auto begin_mask, context.integers("begin_mask", zeros));
  ANEROID_ASSIGN(const auto end_mask, context.integers("end_mask", zeros));
  ANEROID_ASSIGN(const auto squeeze_mask,
                 context.integers("squeeze_mask", zeros));
  for (const auto* part :
       {&begin, &end, &stride, &begin_mask, &end_mask, &squeeze_mask}) {
    ANEROID_TRY(expect_count("an index or mask", part->size(), rank));
  }
  const Strides own = strides_of(x->shape);
  Shape shape;
  Strides strides;
  int64_t base = 0;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t dim = x->shape[i];
    if (squeeze_mask[i] != 0) {
      const int64_t pick = begin[i] < 0 ? begin[i] + dim : begin[i];
      if (pick < 0 || pick >= dim) {
        return Context::error(fmt::format("index {} leaves dimension {} of {}",
                                          begin[i], i, to_string(x->shape)));
      }
      base += pick * own[i];
      continue;
    }
    if (stride[i] == 0) return Context::error("stride holds 0");
    const Range range = range_of(dim, begin[i], end[i], stride[i],
                                 begin_mask[i] != 0, end_mask[i] != 0);
    base += range.begin * own[i];
    shape.push_back(range.size);
    strides.push_back(stride[i] * own[i]);
  }
  return gather(context, *x, shape, strides, base);
}

Results concat(const Context& context) {
  ANEROID_ASSIGN(const auto parts, context.tensors("values"));
  ANEROID_ASSIGN(const int64_t named, context.integer("axis", std::nullopt));
  ANEROID_ASSIGN(const bool interleave, context.flag("interleave", false));
  Shape shape = parts.front()->shape;
  ANEROID_ASSIGN(const size_t axis, normal_axis(named, shape.size()));
  ANEROID_TRY(same_but_axis(
      parts, interleave ? std::nullopt : std::optional<size_t>(axis)));
  if (!interleave) {
    shape[axis] = 0;
    for (const HostTensor* part : parts) shape[axis] += part->shape[axis];
    ANEROID_ASSIGN(HostTensor y, context.make(parts.front()->dtype, shape));
    join(parts, axis, y);
    return std::vector{std::move(y)};
  }
  // Interleaving is a stack behind the axis, seen with the two as one.
  const auto count = static_cast<int64_t>(parts.size());
  Shape stacked = shape;
  stacked.insert(stacked.begin() + static_cast<int64_t>(axis) + 1, count);
  ANEROID_ASSIGN(HostTensor y, context.make(parts.front()->dtype, stacked));
  join(parts, axis + 1, y);
  shape[axis] *= count;
  y.shape = std::move(shape);
  return std::vector{std::move(y)};
}

Results stack(const Context& context) {
  ANEROID_ASSIGN(const auto parts, context.tensors("values"));
  ANEROID_ASSIGN(const int64_t named, context.integer("axis", std::nullopt));
  ANEROID_TRY(same_but_axis(parts, std::nullopt));
  Shape shape = parts.front()->shape;
  ANEROID_ASSIGN(const size_t axis, normal_axis(named, shape.size() + 1));
  shape.insert(shape.begin() + static_cast<int64_t>(axis),
               static_cast<int64_t>(parts.size()));
  ANEROID_ASSIGN(HostTensor y, context.make(parts.front()->dtype, shape));
  join(parts, axis, y);
  return std::vector{std::move(y)};
}

Results split(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const int64_t named, context.integer("axis", std::nullopt));
  ANEROID_ASSIGN(const size_t axis, normal_axis(named, x->shape.size()));
  ANEROID_ASSIGN(auto sizes,
                 context.integers("split_sizes", std::vector<int64_t>{}));
  const int64_t dim = x->shape[axis];
  if (sizes.empty()) {
    ANEROID_ASSIGN(const int64_t parts,
                   context.integer("num_splits", std::nullopt));
    if (parts < 1 || dim % parts != 0) {
      return Context::error(
          fmt::format("dimension {} of {} does not split into {} equal parts",
                      axis, to_string(x->shape), parts));
    }
    if (static_cast<size_t>(parts) != context.operation().outputs.size()) {
      return Context::error(fmt::format("{} parts for {} results", parts,
                                        context.operation().outputs.size()));
    }
    sizes.assign(static_cast<size_t>(parts), dim / parts);
  }
  const Strides strides = strides_of(x->shape);
  std::vector<HostTensor> results;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || begin + size > dim) {
      return Context::error(
          fmt::format("split_sizes do not add up to {}", dim));
    }
    Shape shape = x->shape;
    shape[axis] = size;
    ANEROID_ASSIGN(auto part,
                   gather(context, *x, shape, strides, begin * strides[axis]));
    results.push_back(std::move(part.front()));
    begin += size;
  }
  if (begin != dim) {
    return Context::error(
        fmt::format("split_sizes add up to {}, not {}", begin, dim));
  }
  return results;
}

Results tile(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const auto reps, context.integers("reps"));
  ANEROID_TRY(expect_count("reps", reps.size(), x->shape.size()));
  const Strides own = strides_of(x->shape);
  Shape pairs;      // [reps0, dim0, reps1, dim1, ...]
  Strides strides;  // repeats stand still
  Shape shape;
  for (size_t i = 0; i < reps.size(); ++i) {
    if (reps[i] < 0) return Context::error("reps holds a negative number");
    pairs.insert(pairs.end(), {reps[i], x->shape[i]});
    strides.insert(strides.end(), {0, own[i]});
    shape.push_back(reps[i] * x->shape[i]);
  }
  ANEROID_ASSIGN(auto tiled, gather(context, *x, pairs, strides, 0));
  tiled.front().shape = std::move(shape);
  return tiled;
}

Results pad(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const auto pads, context.integers("pad"));
  ANEROID_ASSIGN(const std::string mode, context.text("mode", "constant"));
  ANEROID_ASSIGN(const double outside, context.number("constant_val", 0.0));
  const size_t rank = x->shape.size();
  if (pads.size() % 2 != 0 || pads.size() / 2 > rank) {
    return Context::error(
        fmt::format("pad has {} elements for a tensor of "
                    "rank {}",
                    pads.size(), rank));
  }
  PadIndex index = nullptr;
  if (mode == "constant") index = constant_index;
  if (mode == "reflect") index = reflect_index;
  if (mode == "replicate") index = replicate_index;
  if (index == nullptr) {
    return Context::error(fmt::format(
        "mode \"{}\" is none of constant, reflect, replicate", mode));
  }
  HostTensor y = *x;
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    const size_t axis = rank - pads.size() / 2 + i;
    const int64_t before = pads[2 * i];
    const int64_t after = pads[2 * i + 1];
    const int64_t dim = y.shape[axis];
    const bool reflects_too_far =
        mode == "reflect" &&
        std::max(before, after) > std::max<int64_t>(0, dim - 1);
    const bool nothing_to_repeat =
        mode == "replicate" && dim == 0 && before + after > 0;
    if (before < 0 || after < 0 || reflects_too_far || nothing_to_repeat) {
      return Context::error(
          fmt::format("padding of {} and {} does not fit dimension {} of {} in "
                      "mode {}",
                      before, after, axis, to_string(y.shape), mode));
    }
    ANEROID_ASSIGN(auto padded,
                   pad_axis(context, y, axis, before, after, index, outside));
    y = std::move(padded.front());
  }
  return std::vector{std::move(y)};
}

}  // namespace aneroid::interp
