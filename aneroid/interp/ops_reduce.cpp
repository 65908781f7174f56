// Ops that combine elements along axes.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A reduction in progress: where each element of x goes, and the result.
struct Reduction {
  const HostTensor* x = nullptr;
  Strides strides;    // walks the result while going through x
  int64_t count = 1;  // elements of x behind each element of the result
  HostTensor result;
};

Result<Reduction> begin_reduction(const Context& context, double initial) {
  Reduction reduction;
  ANEROID_ASSIGN(reduction.x, context.tensor("x"));
  const Shape& shape = reduction.x->shape;
  ANEROID_ASSIGN(const auto named,
                 context.integers("axes", std::vector<int64_t>{}));
  ANEROID_ASSIGN(const std::vector<size_t> axes,
                 normal_axes(named, shape.size()));
  ANEROID_ASSIGN(const bool keep_dims, context.flag("keep_dims", false));
  Shape kept = shape;
  for (const size_t axis : axes) kept[axis] = 1;
  ANEROID_ASSIGN(reduction.result, context.make(reduction.x->dtype, kept));
  std::fill(reduction.result.data.begin(), reduction.result.data.end(),
            initial);
  reduction.strides = stretched_strides(kept, shape);
  if (!reduction.result.data.empty()) {
    reduction.count = static_cast<int64_t>(reduction.x->data.size() /
                                           reduction.result.data.size());
  }
  if (!keep_dims) {
    Shape dropped;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (!std::binary_search(axes.begin(), axes.end(), i)) {
        dropped.push_back(shape[i]);
      }
    }
    reduction.result.shape = std::move(dropped);
  }
  return reduction;
}

// Calls step(element of the result, element of x) for all of x.
template <typename Step>
void accumulate(Reduction& reduction, Step step) {
  size_t i = 0;
  walk(reduction.x->shape, reduction.strides, 0, [&](int64_t offset) {
    step(reduction.result.data[static_cast<size_t>(offset)],
         reduction.x->data[i++]);
  });
}

// result = finish(sum of term(x), count)
template <typename Term, typename Finish>
Results reduce_terms(const Context& context, Term term, Finish finish) {
  ANEROID_ASSIGN(Reduction reduction, begin_reduction(context, 0.0));
  accumulate(reduction, [&term](double& sum, double x) { sum += term(x); });
  for (double& sum : reduction.result.data) {
    sum = finish(sum, static_cast<double>(reduction.count));
  }
  return std::vector{std::move(reduction.result)};
}

double itself(double x) { return x; }
double square(double x) { return x * x; }
double the_sum(double sum, double /*count*/) { return sum; }

Results reduce_extreme(const Context& context, double worst,
                       bool (*better)(double, double)) {
  ANEROID_ASSIGN(Reduction reduction, begin_reduction(context, worst));
  accumulate(reduction, [better](double& best, double x) {
    if (std::isnan(x) || better(x, best)) best = x;
  });
  return std::vector{std::move(reduction.result)};
}

}  // namespace

Results reduce_sum(const Context& context) {
  return reduce_terms(context, itself, the_sum);
}

Results reduce_mean(const Context& context) {
  return reduce_terms(context, itself,
                      [](double sum, double count) { return sum / count; });
}

Results reduce_sum_square(const Context& context) {
  return reduce_terms(context, square, the_sum);
}

Results reduce_l1_norm(const Context& context) {
  return reduce_terms(
      context, [](double x) { return std::fabs(x); }, the_sum);
}

Results reduce_l2_norm(const Context& context) {
  return reduce_terms(context, square, [](double sum, double /*count*/) {
    return std::sqrt(sum);
  });
}

Results reduce_log_sum(const Context& context) {
  return reduce_terms(context, itself, [](double sum, double /*count*/) {
    return std::log(sum);
  });
}

Results reduce_prod(const Context& context) {
  ANEROID_ASSIGN(Reduction reduction, begin_reduction(context, 1.0));
  accumulate(reduction, [](double& product, double x) { product *= x; });
  return std::vector{std::move(reduction.result)};
}

Results reduce_max(const Context& context) {
  return reduce_extreme(context, -kInfinity,
                        [](double x, double best) { return x > best; });
}

Results reduce_min(const Context& context) {
  return reduce_extreme(context, kInfinity,
                        [](double x, double best) { return x < best; });
}

// Shifted by the maximum, so that e^x cannot overflow.
Results reduce_log_sum_exp(const Context& context) {
  ANEROID_ASSIGN(const auto maxima, reduce_max(context));
  const std::vector<double>& top = maxima.front().data;
  ANEROID_ASSIGN(Reduction reduction, begin_reduction(context, 0.0));
  std::vector<double>& sums = reduction.result.data;
  accumulate(reduction, [&](double& sum, double x) {
    const double shift = top[static_cast<size_t>(&sum - sums.data())];
    sum += x == shift ? 1.0 : std::exp(x - shift);
  });
  for (size_t i = 0; i < sums.size(); ++i) sums[i] = top[i] + std::log(sums[i]);
  return std::vector{std::move(reduction.result)};
}

Results softmax(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const int64_t named, context.integer("axis", -1));
  ANEROID_ASSIGN(const size_t axis, normal_axis(named, x->shape.size()));
  ANEROID_ASSIGN(HostTensor y, context.make(x->dtype, x->shape));
  const AxisView view = around_axis(x->shape, axis);
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      const int64_t first = o * view.size * view.inner + i;
      const auto at = [&](int64_t k) {
        return static_cast<size_t>(first + k * view.inner);
      };
      double top = -kInfinity;
      for (int64_t k = 0; k < view.size; ++k) {
        top = std::max(top, x->data[at(k)]);
      }
      double sum = 0.0;
      for (int64_t k = 0; k < view.size; ++k) {
        sum += y.data[at(k)] = std::exp(x->data[at(k)] - top);
      }
      for (int64_t k = 0; k < view.size; ++k) y.data[at(k)] /= sum;
    }
  }
  return std::vector{std::move(y)};
}

Results layer_norm(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const double epsilon, context.number("epsilon", 1e-5));
  ANEROID_ASSIGN(const auto named,
                 context.integers("axes", std::vector<int64_t>{}));
  ANEROID_ASSIGN(const std::vector<size_t> axes,
                 normal_axes(named, x->shape.size()));
  Shape row_shape = x->shape;  // one mean and variance per element of this
  Shape affine_shape;          // of gamma and beta
  Strides affine(x->shape.size(), 0);
  for (const size_t axis : axes) {
    row_shape[axis] = 1;
    affine_shape.push_back(x->shape[axis]);
  }
  const Strides affine_strides = strides_of(affine_shape);
  for (size_t i = 0; i < axes.size(); ++i) affine[axes[i]] = affine_strides[i];
  ANEROID_ASSIGN(HostTensor mean, context.make(x->dtype, row_shape));
  ANEROID_ASSIGN(HostTensor variance, context.make(x->dtype, row_shape));
  ANEROID_ASSIGN(HostTensor y, context.make(x->dtype, x->shape));
  if (y.data.empty()) return std::vector{std::move(y)};

  const Strides rows = stretched_strides(row_shape, x->shape);
  const double count = static_cast<double>(x->data.size()) /
                       static_cast<double>(mean.data.size());
  size_t i = 0;
  walk(x->shape, rows, 0, [&](int64_t row) {
    mean.data[static_cast<size_t>(row)] += x->data[i++] / count;
  });
  i = 0;
  walk(x->shape, rows, 0, [&](int64_t row) {
    const double distance = x->data[i++] - mean.data[static_cast<size_t>(row)];
    variance.data[static_cast<size_t>(row)] += distance * distance / count;
  });
  i = 0;
  walk(x->shape, rows, 0, [&](int64_t offset) {
    const auto row = static_cast<size_t>(offset);
    y.data[i] =
        (x->data[i] - mean.data[row]) / std::sqrt(variance.data[row] + epsilon);
    ++i;
  });

  const HostTensor* gamma = context.optional_tensor("gamma");
  const HostTensor* beta = context.optional_tensor("beta");
  for (const HostTensor* part : {gamma, beta}) {
    if (part != nullptr && part->shape != affine_shape) {
      return Context::error(
          fmt::format("gamma or beta has shape {}, the normalised axes {}",
                      to_string(part->shape), to_string(affine_shape)));
    }
  }
  i = 0;
  walk(x->shape, affine, 0, [&](int64_t offset) {
    const auto at = static_cast<size_t>(offset);
    if (gamma != nullptr) y.data[i] *= gamma->data[at];
    if (beta != nullptr) y.data[i] += beta->data[at];
    ++i;
  });
  return std::vector{std::move(y)};
}

}  // namespace aneroid::interp
