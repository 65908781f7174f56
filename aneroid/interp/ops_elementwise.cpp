// Ops that treat each element alone, with NumPy broadcasting.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

// ---- one input -------------------------------------------------------------

template <typename Function>
Results map_x(const Context& context, Function function) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(HostTensor y, context.make(x->dtype, x->shape));
  std::transform(x->data.begin(), x->data.end(), y.data.begin(), function);
  return std::vector{std::move(y)};
}

template <double (*Function)(double)>
Results unary(const Context& context) {
  return map_x(context, Function);
}

double absolute(double x) { return std::fabs(x); }
double arc_tangent(double x) { return std::atan(x); }
double cosine(double x) { return std::cos(x); }
double error_function(double x) { return std::erf(x); }
double exponential(double x) { return std::exp(x); }
double exponential2(double x) { return std::exp2(x); }
double hyperbolic_tangent(double x) { return std::tanh(x); }
double logical_not(double x) { return x == 0.0 ? 1.0 : 0.0; }
// A NaN stays a NaN, here and in maximum, minimum and clip.
double relu(double x) { return x < 0.0 ? 0.0 : x; }
double relu6(double x) { return x > 6.0 ? 6.0 : relu(x); }
double round_even(double x) { return std::nearbyint(x); }
double round_down(double x) { return std::floor(x); }
double round_up(double x) { return std::ceil(x); }
double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double sign(double x) {
  if (std::isnan(x)) return x;
  return static_cast<double>(x > 0.0) - static_cast<double>(x < 0.0);
}
double silu(double x) { return x * sigmoid(x); }
double sine(double x) { return std::sin(x); }
double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}
double softsign(double x) { return x / (1.0 + std::fabs(x)); }
double square(double x) { return x * x; }
double square_root(double x) { return std::sqrt(x); }

double gelu_exact(double x) {
  return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
}
double gelu_tanh(double x) {
  const double scale = std::sqrt(2.0 / std::numbers::pi);
  return 0.5 * x * (1.0 + std::tanh(scale * (x + 0.044715 * x * x * x)));
}
double gelu_sigmoid(double x) { return x * sigmoid(1.702 * x); }

Results gelu(const Context& context) {
  ANEROID_ASSIGN(const std::string mode, context.text("mode", "EXACT"));
  if (mode == "EXACT") return map_x(context, gelu_exact);
  if (mode == "TANH_APPROXIMATION") return map_x(context, gelu_tanh);
  if (mode == "SIGMOID_APPROXIMATION") return map_x(context, gelu_sigmoid);
  return Context::error(
      fmt::format("mode \"{}\" is none of EXACT, TANH_APPROXIMATION, "
                  "SIGMOID_APPROXIMATION",
                  mode));
}

Results clip(const Context& context) {
  ANEROID_ASSIGN(const double low, context.number("alpha", -HUGE_VAL));
  ANEROID_ASSIGN(const double high, context.number("beta", HUGE_VAL));
  return map_x(context, [low, high](double x) {
    const double raised = x < low ? low : x;
    return raised > high ? high : raised;
  });
}

Results leaky_relu(const Context& context) {
  ANEROID_ASSIGN(const double alpha, context.number("alpha", 0.01));
  return map_x(context, [alpha](double x) { return x >= 0.0 ? x : alpha * x; });
}

Results natural_log(const Context& context) {
  ANEROID_ASSIGN(const double epsilon, context.number("epsilon", 1e-45));
  return map_x(context, [epsilon](double x) { return std::log(x + epsilon); });
}

Results inverse(const Context& context) {
  ANEROID_ASSIGN(const double epsilon, context.number("epsilon", 1e-4));
  return map_x(context, [epsilon](double x) { return 1.0 / (x + epsilon); });
}

Results rsqrt(const Context& context) {
  ANEROID_ASSIGN(const double epsilon, context.number("epsilon", 1e-12));
  return map_x(context,
               [epsilon](double x) { return 1.0 / std::sqrt(x + epsilon); });
}

// ---- two inputs ------------------------------------------------------------

// The elements of `tensor` as if it had shape `shape`.
std::vector<double> stretch(const HostTensor& tensor, const Shape& shape,
                            size_t count) {
  std::vector<double> data;
  data.reserve(count);
  walk(shape, stretched_strides(tensor.shape, shape), 0, [&](int64_t offset) {
    data.push_back(tensor.data[static_cast<size_t>(offset)]);
  });
  return data;
}

Results map_xy(const Context& context, std::optional<DataType> result,
               double (*function)(double, double)) {
  ANEROID_ASSIGN(const HostTensor* x, context.tensor("x"));
  ANEROID_ASSIGN(const HostTensor* y, context.tensor("y"));
  if (x->dtype != y->dtype) {
    return Context::error(fmt::format("x is {} and y is {}; cast one of them",
                                      name(x->dtype), name(y->dtype)));
  }
  ANEROID_ASSIGN(const Shape shape, broadcast(x->shape, y->shape));
  ANEROID_ASSIGN(HostTensor z, context.make(result.value_or(x->dtype), shape));
  z.data = stretch(*x, shape, z.data.size());
  size_t i = 0;
  walk(shape, stretched_strides(y->shape, shape), 0, [&](int64_t offset) {
    z.data[i] = function(z.data[i], y->data[static_cast<size_t>(offset)]);
    ++i;
  });
  return std::vector{std::move(z)};
}

template <double (*Function)(double, double)>
Results binary(const Context& context) {
  return map_xy(context, std::nullopt, Function);
}
template <double (*Function)(double, double)>
Results comparison(const Context& context) {
  return map_xy(context, DataType::kBool, Function);
}

double add(double x, double y) { return x + y; }
double subtract(double x, double y) { return x - y; }
double multiply(double x, double y) { return x * y; }
double divide(double x, double y) { return x / y; }
double floor_divide(double x, double y) { return std::floor(x / y); }
double modulo(double x, double y) { return x - y * std::floor(x / y); }
double power(double x, double y) { return std::pow(x, y); }
double maximum(double x, double y) { return std::isnan(x) || x > y ? x : y; }
double minimum(double x, double y) { return std::isnan(x) || x < y ? x : y; }
double equal(double x, double y) { return x == y ? 1.0 : 0.0; }
double not_equal(double x, double y) { return x != y ? 1.0 : 0.0; }
double greater(double x, double y) { return x > y ? 1.0 : 0.0; }
double greater_equal(double x, double y) { return x >= y ? 1.0 : 0.0; }
double less(double x, double y) { return x < y ? 1.0 : 0.0; }
double less_equal(double x, double y) { return x <= y ? 1.0 : 0.0; }
double logical_and(double x, double y) {
  return x != 0.0 && y != 0.0 ? 1.0 : 0.0;
}
double logical_or(double x, double y) {
  return x != 0.0 || y != 0.0 ? 1.0 : 0.0;
}
double logical_xor(double x, double y) {
  return (x != 0.0) != (y != 0.0) ? 1.0 : 0.0;
}

// ---- three inputs ----------------------------------------------------------

Results select(const Context& context) {
  ANEROID_ASSIGN(const HostTensor* cond, context.tensor("cond"));
  ANEROID_ASSIGN(const HostTensor* a, context.tensor("a"));
  ANEROID_ASSIGN(const HostTensor* b, context.tensor("b"));
  if (a->dtype != b->dtype) {
    return Context::error(fmt::format("a is {} and b is {}; cast one of them",
                                      name(a->dtype), name(b->dtype)));
  }
  ANEROID_ASSIGN(const Shape ab, broadcast(a->shape, b->shape));
  ANEROID_ASSIGN(const Shape shape, broadcast(ab, cond->shape));
  ANEROID_ASSIGN(HostTensor result, context.make(a->dtype, shape));
  result.data = stretch(*a, shape, result.data.size());
  const std::vector<double> other = stretch(*b, shape, result.data.size());
  const std::vector<double> take_a = stretch(*cond, shape, result.data.size());
  for (size_t i = 0; i < other.size(); ++i) {
    if (take_a[i] == 0.0) result.data[i] = other[i];
  }
  return std::vector{std::move(result)};
}

struct Row {
  std::string_view name;
  OpFunction function;
};

constexpr std::array kRows = {
    Row{"abs", unary<absolute>},
    Row{"atan", unary<arc_tangent>},
    Row{"ceil", unary<round_up>},
    Row{"clip", clip},
    Row{"cos", unary<cosine>},
    Row{"erf", unary<error_function>},
    Row{"exp", unary<exponential>},
    Row{"exp2", unary<exponential2>},
    Row{"floor", unary<round_down>},
    Row{"gelu", gelu},
    Row{"inverse", inverse},
    Row{"leaky_relu", leaky_relu},
    Row{"log", natural_log},
    Row{"logical_not", unary<logical_not>},
    Row{"relu", unary<relu>},
    Row{"relu6", unary<relu6>},
    Row{"round", unary<round_even>},
    Row{"rsqrt", rsqrt},
    Row{"sigmoid", unary<sigmoid>},
    Row{"sign", unary<sign>},
    Row{"silu", unary<silu>},
    Row{"sin", unary<sine>},
    Row{"softplus", unary<softplus>},
    Row{"softsign", unary<softsign>},
    Row{"sqrt", unary<square_root>},
    Row{"square", unary<square>},
    Row{"tanh", unary<hyperbolic_tangent>},

    Row{"add", binary<add>},
    Row{"sub", binary<subtract>},
    Row{"mul", binary<multiply>},
    Row{"real_div", binary<divide>},
    Row{"floor_div", binary<floor_divide>},
    Row{"mod", binary<modulo>},
    Row{"pow", binary<power>},
    Row{"maximum", binary<maximum>},
    Row{"minimum", binary<minimum>},
    Row{"equal", comparison<equal>},
    Row{"not_equal", comparison<not_equal>},
    Row{"greater", comparison<greater>},
    Row{"greater_equal", comparison<greater_equal>},
    Row{"less", comparison<less>},
    Row{"less_equal", comparison<less_equal>},
    Row{"logical_and", comparison<logical_and>},
    Row{"logical_or", comparison<logical_or>},
    Row{"logical_xor", comparison<logical_xor>},

    Row{"select", select},
};

}  // namespace

OpFunction find_elementwise(std::string_view op) {
  for (const Row& row : kRows) {
    if (row.name == op) return row.function;
  }
  return nullptr;
}

}  // namespace aneroid::interp
