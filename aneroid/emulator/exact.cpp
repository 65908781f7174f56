#include "aneroid/emulator/exact.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "aneroid/base/half.h"
#include "aneroid/numerics/activation.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/elementwise.h"
#include "aneroid/numerics/softmax.h"

namespace aneroid::emulator {
namespace {

using numerics::BinaryOp;
using numerics::Function;

struct TableRow {
  Code code;
  Function function;
};
constexpr std::array kTables = {
    TableRow{Code::kSqrt, Function::kSqrt},
    TableRow{Code::kExp, Function::kExp},
    TableRow{Code::kSigmoid, Function::kSigmoid},
    TableRow{Code::kSilu, Function::kSilu},
    TableRow{Code::kTanh, Function::kTanh},
    TableRow{Code::kErf, Function::kErf},
    TableRow{Code::kExp2, Function::kExp2},
    TableRow{Code::kLog, Function::kLog},
    TableRow{Code::kRsqrt, Function::kRsqrt},
    TableRow{Code::kInverse, Function::kInverse},
    TableRow{Code::kGelu, Function::kGelu},
    TableRow{Code::kSin, Function::kSin},
    TableRow{Code::kCos, Function::kCos},
};

struct BinaryRow {
  Code code;
  BinaryOp op;
};
constexpr std::array kBinary = {
    BinaryRow{Code::kAdd, BinaryOp::kAdd},
    BinaryRow{Code::kSub, BinaryOp::kSub},
    BinaryRow{Code::kMul, BinaryOp::kMul},
    BinaryRow{Code::kMax, BinaryOp::kMax},
    BinaryRow{Code::kMin, BinaryOp::kMin},
};

// Powers that the engine has a table or a product for.
struct PowerRow {
  float exponent;
  Function function;
};
constexpr std::array kPowers = {
    PowerRow{-1.0F, Function::kReciprocal},
    PowerRow{-0.5F, Function::kRsqrt},
    PowerRow{0.5F, Function::kSqrt},
};

void look_up(Function function, const cpu::Operand& a, float* dst, size_t n) {
  if (a.one) {
    float value = 0;
    numerics::apply(numerics::map(function), a.data, &value, 1);
    std::fill_n(dst, n, value);
  } else {
    numerics::apply(numerics::map(function), a.data, dst, n);
  }
}

void spread(const cpu::Operand& a, float* dst, size_t n) {
  if (a.one) {
    std::fill_n(dst, n, *a.data);
  } else if (a.data != dst) {
    std::copy_n(a.data, n, dst);
  }
}

// a / b is a times the reciprocal of b from its table; by a known number, a
// product with that number's fp16 reciprocal.
void divide(const FusedOp& op, const cpu::Operand& a, const cpu::Operand& b,
            float* dst, size_t n) {
  if (op.b.reg < 0) {
    const float factor = numerics::written(1.0 / static_cast<double>(*b.data));
    numerics::apply(BinaryOp::kMul, a, {&factor, true}, dst, n);
    return;
  }
  constexpr size_t kPiece = 256;
  float reciprocals[kPiece];
  for (size_t i = 0; i < n; i += kPiece) {
    const size_t count = std::min(kPiece, n - i);
    look_up(Function::kReciprocal, b.one ? b : cpu::Operand{b.data + i, false},
            reciprocals, count);
    numerics::apply(BinaryOp::kMul, a.one ? a : cpu::Operand{a.data + i, false},
                    {reciprocals, false}, dst + i, count);
  }
}

// A general power is exp(y log x), each step rounded: an assumption.
void power(const FusedOp& op, const cpu::Operand& a, const cpu::Operand& b,
           float* dst, size_t n) {
  if (op.b.reg < 0) {
    for (const PowerRow& row : kPowers) {
      if (row.exponent == *b.data) {
        look_up(row.function, a, dst, n);
        return;
      }
    }
    if (*b.data == 1.0F) {
      spread(a, dst, n);
      return;
    }
    if (*b.data == 2.0F) {
      numerics::apply(BinaryOp::kMul, a, a, dst, n);
      return;
    }
  }
  constexpr size_t kPiece = 256;
  float logs[kPiece];
  for (size_t i = 0; i < n; i += kPiece) {
    const size_t count = std::min(kPiece, n - i);
    look_up(Function::kLog, a.one ? a : cpu::Operand{a.data + i, false}, logs,
            count);
    numerics::apply(BinaryOp::kMul, {logs, false},
                    b.one ? b : cpu::Operand{b.data + i, false}, logs, count);
    look_up(Function::kExp, {logs, false}, dst + i, count);
  }
}

float mean_factor(int64_t count) {
  return numerics::written(1.0 / static_cast<double>(count));
}

float row_max(const float* a, size_t n) {
  return n == 0 ? 0.0F : *std::max_element(a, a + n);
}

}  // namespace

void execute_exact(const FusedOp& op, cpu::Operand a, cpu::Operand b,
                   float* dst, size_t n) {
  const size_t count = op.row ? 1 : n;
  // A single value may lie where the first result goes.
  const float a_one = *a.data;
  const float b_one = *b.data;
  if (a.one) a.data = &a_one;
  if (b.one) b.data = &b_one;
  for (const BinaryRow& row : kBinary) {
    if (row.code == op.code) {
      numerics::apply(row.op, a, b, dst, count);
      return;
    }
  }
  for (const TableRow& row : kTables) {
    if (row.code == op.code) {
      look_up(row.function, a, dst, count);
      return;
    }
  }
  const float zero = 0;
  switch (op.code) {
    case Code::kDiv:
      divide(op, a, b, dst, count);
      break;
    case Code::kPow:
      power(op, a, b, dst, count);
      break;
    case Code::kSquare:
      numerics::apply(BinaryOp::kMul, a, a, dst, count);
      break;
    case Code::kRelu:
      numerics::apply(BinaryOp::kMax, a, {&zero, true}, dst, count);
      break;
    case Code::kAbs:
      spread(a, dst, count);
      std::transform(dst, dst + count, dst,
                     [](float value) { return std::abs(value); });
      break;
    case Code::kRowSum:
      *dst = numerics::narrow_sum(a.data, n);
      break;
    case Code::kRowMean:
      *dst = numerics::apply(BinaryOp::kMul, numerics::narrow_sum(a.data, n),
                             mean_factor(static_cast<int64_t>(n)));
      break;
    case Code::kRowMax:
      *dst = row_max(a.data, n);
      break;
    case Code::kRowSoftmax:
      numerics::softmax(a.data, dst, n);
      break;
    case Code::kCropTransfer:
      spread(a, dst, count);
      std::transform(dst, dst + count, dst, [](float value) {
        return std::abs(value) > kCropLimit
                   ? std::copysign(numerics::kInfinityValue, value)
                   : value;
      });
      break;
    default:  // kCopy
      spread(a, dst, count);
  }
}

void load_exact(const FusedPort& port, const std::byte* base,
                cpu::Storage storage, int64_t offset, float* dst, size_t n) {
  const int64_t stride = port.column_stride;
  if (storage == cpu::Storage::kFloat) {
    const float* src = reinterpret_cast<const float*>(base) + offset;
    for (size_t i = 0; i < n; ++i) {
      dst[i] = numerics::written(
          static_cast<double>(src[static_cast<int64_t>(i) * stride]));
    }
    return;
  }
  const Half* src = reinterpret_cast<const Half*>(base) + offset;
  if (stride == 1) {
    numerics::decode(src, dst, n);
  } else if (stride == 0) {
    std::fill_n(dst, n, numerics::decode(*src));
  } else {
    for (size_t i = 0; i < n; ++i) {
      dst[i] = numerics::decode(src[static_cast<int64_t>(i) * stride]);
    }
  }
}

namespace {
constexpr int64_t kColumns = 64;  // per task: four cache lines of fp32
int64_t pieces_of(const ColumnReduceStep& step) {
  return (step.in.dims[2] + kColumns - 1) / kColumns;
}
}  // namespace

int64_t column_reduce_tasks(const ColumnReduceStep& step) {
  return step.in.dims[0] * pieces_of(step);
}

void reduce_columns_exact(const ColumnReduceStep& step, const std::byte* in,
                          cpu::Storage in_storage, std::byte* out,
                          cpu::Storage out_storage, int64_t task) {
  const int64_t o = task / pieces_of(step);
  const int64_t first = task % pieces_of(step) * kColumns;
  const auto count =
      static_cast<size_t>(std::min(kColumns, step.in.dims[2] - first));
  FusedPort port;
  port.column_stride = step.in.strides[2];
  float totals[kColumns];
  float values[kColumns];
  for (int64_t r = 0; r < step.in.dims[1]; ++r) {
    const int64_t at = step.in.offset + o * step.in.strides[0] +
                       r * step.in.strides[1] + first * step.in.strides[2];
    load_exact(port, in, in_storage, at, r == 0 ? totals : values, count);
    if (r == 0) continue;
    if (step.code == Code::kRowMax) {
      numerics::apply(BinaryOp::kMax, {totals, false}, {values, false}, totals,
                      count);
    } else {
      numerics::narrow_add(values, totals, count);
    }
  }
  if (step.code == Code::kRowMean) {
    const float factor = mean_factor(step.in.dims[1]);
    numerics::apply(BinaryOp::kMul, {totals, false}, {&factor, true}, totals,
                    count);
  }
  for (size_t i = 0; i < count; ++i) {
    const int64_t at = step.out.offset + o * step.out.strides[0] +
                       (first + static_cast<int64_t>(i)) * step.out.strides[1];
    if (out_storage == cpu::Storage::kHalf) {
      reinterpret_cast<Half*>(out)[at] =
          numerics::encode(static_cast<double>(totals[i]));
    } else {
      reinterpret_cast<float*>(out)[at] =
          to_float(numerics::encode(static_cast<double>(totals[i])));
    }
  }
}

}  // namespace aneroid::emulator
