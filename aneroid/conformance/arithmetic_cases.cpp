// Rows that hold one computation: its operands and its result.
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/conformance/arithmetic_rows.h"
#include "aneroid/conformance/arithmetic_values.h"
#include "aneroid/numerics/accumulator.h"
#include "aneroid/numerics/activation.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/elementwise.h"

namespace aneroid::conformance {
namespace {

using numerics::Accumulator;
using numerics::BinaryOp;
using numerics::IntegerAccumulator;

double value(Half half) { return static_cast<double>(to_float(half)); }

// ---- Comparison ------------------------------------------------------------

std::string text_of(Half half) { return fmt::format("{}", to_float(half)); }

// Results are written as numbers: one zero, one NaN.
bool same(Half a, Half b) {
  const double x = value(a);
  const double y = value(b);
  return x == y || (std::isnan(x) && std::isnan(y));
}

Outcome compare(Half computed, Half expected) {
  return same(computed, expected) ? Outcome::kAgrees : Outcome::kDisagrees;
}

// What came back from the engine, or, of rows that Core ML kept on the CPU,
// from there.
bool ran_on_cpu(const RowFields& fields) {
  return fields["placement"].starts_with("cpu");
}

void judge_engine(ArithmeticRow& row, Half computed,
                  std::string_view expected) {
  row.computed = text_of(computed);
  row.expected = expected;
  const auto wanted = read_half(expected);
  if (!wanted) {
    row.why = fmt::format("expected '{}' is not an fp16 value", expected);
    return;
  }
  row.outcome = compare(computed, *wanted);
}

void judge_fallback(ArithmeticRow& row, Half computed,
                    std::string_view expected) {
  if (expected.empty()) return;
  row.fallback_computed = text_of(computed);
  row.fallback_expected = expected;
  const auto wanted = read_half(expected);
  row.fallback = wanted ? compare(computed, *wanted) : Outcome::kNotJudged;
}

ArithmeticRow begin_row(const RowFields& fields) {
  ArithmeticRow row;
  row.id = fields["case_id"];
  row.kind = fields["kind"];
  row.expected = fields["expected"];
  return row;
}

// ---- Core ML on the CPU ----------------------------------------------------
// fp16 sums in the order of channels, ties to even, products not rounded on
// their own; IEEE infinities and NaNs.

class FallbackSum {
 public:
  void add(double x, double w) { sum_ = value(to_half_even(sum_ + x * w)); }
  double sum() const { return sum_; }

 private:
  double sum_ = 0;
};

Half fallback_op(BinaryOp op, Half a, Half b) {
  const double x = value(a);
  const double y = value(b);
  switch (op) {
    case BinaryOp::kAdd:
      return to_half_even(x + y);
    case BinaryOp::kSub:
      return to_half_even(x - y);
    case BinaryOp::kMul:
      return to_half_even(x * y);
    case BinaryOp::kMax:
      return to_half_even(std::fmax(x, y));
    case BinaryOp::kMin:
      break;
  }
  return to_half_even(std::fmin(x, y));
}

// ---- Kinds of rows ---------------------------------------------------------

using Halves = std::vector<Run<Half>>;

void judge_sum(ArithmeticRow& row, const RowFields& fields,
               const Halves& inputs) {
  const auto weights = read_halves(fields["weights"]);
  if (!weights) {
    row.why = "weights: " + weights.error().message;
    return;
  }
  Half bias;
  if (const std::string_view text = fields["bias"]; !text.empty()) {
    const auto given = read_half(text);
    if (!given) {
      row.why = fmt::format("bias '{}' is not an fp16 value", text);
      return;
    }
    bias = *given;
  }
  Accumulator sum(bias);
  FallbackSum fallback;
  // Partial sums of one sign: a limit that they cross may be crossed or not,
  // depending on the order.
  double risen = 0;
  double fallen = 0;
  const bool paired = for_pairs(inputs, *weights, [&](Half x, Half w) {
    sum.add(x, w);
    fallback.add(value(x), value(w));
    const auto units = static_cast<double>(numerics::aligned_product(x, w));
    (units < 0 ? fallen : risen) += units;
  });
  if (!paired) {
    row.why = "as many weights as inputs are needed";
    return;
  }
  constexpr auto kLimit = static_cast<double>(numerics::kAccumulatorLimit);
  const bool may_rise = risen >= kLimit;
  const bool may_fall = fallen <= -kLimit;
  const bool ends_inside = std::fabs(risen + fallen) < kLimit;
  if ((may_rise && may_fall) || (ends_inside && (may_rise || may_fall))) {
    row.open = "the order of summation";
  }
  judge_engine(row, sum.result(), fields["expected"]);
  FallbackSum with_bias = fallback;
  with_bias.add(value(bias), 1);
  judge_fallback(row, to_half_even(with_bias.sum()), fields["cpu_reference"]);
}

struct OpName {
  std::string_view name;
  BinaryOp op;
};
constexpr std::array kElementwise = {
    OpName{"elementwise_add", BinaryOp::kAdd},
    OpName{"elementwise_sub", BinaryOp::kSub},
    OpName{"elementwise_mul", BinaryOp::kMul},
    OpName{"elementwise_max", BinaryOp::kMax},
    OpName{"elementwise_min", BinaryOp::kMin},
};

void judge_elementwise(ArithmeticRow& row, const RowFields& fields, BinaryOp op,
                       const Halves& inputs) {
  if (inputs.size() != 2) {
    row.why = fmt::format("{} operands where 2 are needed", inputs.size());
    return;
  }
  const Half a = inputs[0].value;
  const Half b = inputs[1].value;
  const float result =
      numerics::apply(op, numerics::decode(a), numerics::decode(b));
  if (op != BinaryOp::kAdd && op != BinaryOp::kMul) {
    row.open = "sub, max and min were not measured";
  }
  judge_engine(row, numerics::encode(static_cast<double>(result)),
               fields["expected"]);
  judge_fallback(row, fallback_op(op, a, b), fields["cpu_reference"]);
}

void judge_activation(ArithmeticRow& row, const RowFields& fields,
                      numerics::Function function, const Halves& inputs) {
  if (inputs.size() != 1) {
    row.why = fmt::format("{} arguments where 1 is needed", inputs.size());
    return;
  }
  const auto& evidence = numerics::info(function).evidence;
  if (evidence != numerics::Evidence::kReproduced) {
    row.open = "the values of this table";
  }
  judge_engine(row, numerics::activate(function, inputs[0].value),
               fields["expected"]);
}

// The question left open that an int8 sum touches. `risen` and `fallen` are the
// sums of its positive and of its negative products.
std::string open_question(const IntegerAccumulator& sum, int64_t risen,
                          int64_t fallen, double scale) {
  constexpr int64_t kLimit = numerics::kAccumulatorLimit;
  if (sum.sum() < -kLimit) return "what a sum below -2^31 gives";
  if (sum.sum() >= kLimit) return "";
  if (risen >= kLimit || fallen < -kLimit) {
    return "whether a partial sum beyond 2^31 counts, and their order";
  }
  const double exact = static_cast<double>(sum.sum()) * scale;
  return same(sum.result(scale), to_half_even(exact))
             ? ""
             : "how a scaled sum between two fp16 numbers is rounded";
}

}  // namespace

ArithmeticRow judge_case(const RowFields& fields) {
  ArithmeticRow row = begin_row(fields);
  const auto inputs = read_halves(fields["inputs"]);
  if (!inputs) {
    row.why = "inputs: " + inputs.error().message;
    return row;
  }
  if (row.kind.starts_with("conv") || row.kind == "bias" ||
      row.kind == "matmul") {
    judge_sum(row, fields, *inputs);
    return row;
  }
  for (const OpName& op : kElementwise) {
    if (row.kind != op.name) continue;
    judge_elementwise(row, fields, op.op, *inputs);
    return row;
  }
  if (const auto function = numerics::function_from_name(row.kind)) {
    judge_activation(row, fields, *function, *inputs);
    return row;
  }
  row.why = fmt::format("kind '{}' is not known", row.kind);
  return row;
}

ArithmeticRow judge_integers(const RowFields& fields) {
  ArithmeticRow row = begin_row(fields);
  const auto inputs = read_int8s(fields["inputs"]);
  const auto weights = read_int8s(fields["weights"]);
  if (!inputs || !weights) {
    row.why = inputs ? "weights: " + weights.error().message
                     : "inputs: " + inputs.error().message;
    return row;
  }
  const auto scale_log2 = read_number(fields["scale_log2"]);
  constexpr double kMostScale = 60;
  if (!scale_log2 || !(std::fabs(*scale_log2) <= kMostScale)) {
    row.why = fmt::format("scale_log2 '{}' is not within -60 and 60",
                          fields["scale_log2"]);
    return row;
  }
  const double scale = std::exp2(*scale_log2);  // of inputs and of weights
  IntegerAccumulator sum;
  FallbackSum fallback;
  int64_t risen = 0;
  int64_t fallen = 0;
  const bool paired = for_pairs(*inputs, *weights, [&](int8_t x, int8_t w) {
    sum.add(x, w);
    fallback.add(x * scale, w * scale);
    const int64_t product = int64_t{x} * w;
    (product < 0 ? fallen : risen) += product;
  });
  if (!paired) {
    row.why = "as many weights as inputs are needed";
    return row;
  }
  const Half on_cpu = to_half_even(fallback.sum());
  judge_fallback(row, on_cpu, fields["cpu_reference"]);
  if (ran_on_cpu(fields)) {
    judge_fallback(row, on_cpu, fields["expected"]);
    row.why = "Core ML kept it on the CPU";
    return row;
  }
  row.open = open_question(sum, risen, fallen, scale * scale);
  judge_engine(row, sum.result(scale * scale), fields["expected"]);
  return row;
}

}  // namespace aneroid::conformance
