#include "aneroid/emulator/causal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "aneroid/base/half.h"
#include "aneroid/emulator/arena.h"

namespace aneroid::emulator {
namespace {

constexpr double kLargestHalf = 65504.0;
// A mask that adds less forbids nothing.
constexpr double kLeastMask = 1000.0;
// exp() of anything below is 0.
constexpr double kZeroExponent = -105.0;
// Bounds grow by this much per operation, for its rounding to fp16, or for that
// of the fp32 sums of a product of at most this depth and of its norms.
constexpr double kSlack = 1.002;
constexpr int64_t kMaxDepth = 4096;

// What is known of a register of a fused step whose rows are positions, by
// columns up to the diagonal and columns above it.
struct Range {
  enum class Kind : uint8_t {
    kAny,     // numbers of at most `size`
    kMasked,  // at most `size` below; above, no number is more than `above`
    kZero,    // above: 0 of either sign
    kPositiveZero,
    kRow,  // one value for the row, which nothing above has part in
  };
  Kind kind = Kind::kAny;
  double size = 0;
  double row_sum = 0;  // of magnitudes; kAny: unused
  double above = 0;

  bool zero() const {
    return kind == Kind::kZero || kind == Kind::kPositiveZero;
  }
};

// The registers of a step, evaluated on bounds instead of numbers.
class Bounds {
 public:
  explicit Bounds(const FusedStep& step)
      : registers_(static_cast<size_t>(step.registers)) {}

  void set(int reg, const Range& range) {
    registers_[static_cast<size_t>(reg)] = range;
  }
  const Range& get(int reg) const {
    return registers_[static_cast<size_t>(reg)];
  }

  // False when nothing useful can be said of the result.
  bool execute(const FusedOp& op) {
    std::optional<Range> result = evaluate(op);
    if (!result) return false;
    result->size *= kSlack;
    result->row_sum *= kSlack;
    if (result->size > kLargestHalf) return false;
    if (op.row != (result->kind == Range::Kind::kRow)) return false;
    set(op.dst, *result);
    return true;
  }

 private:
  using Kind = Range::Kind;

  std::optional<Range> evaluate(const FusedOp& op) const {
    switch (op.code) {
      case Code::kCopy:
        return op.a.reg < 0 ? std::nullopt : std::optional(get(op.a.reg));
      case Code::kMul:
        return multiply(op.a, op.b);
      case Code::kAdd:
      case Code::kSub:
        return add(op);
      case Code::kRowSum:
        return row_sum(op.a);
      case Code::kRowSoftmax:
        return softmax(op.a);
      default:
        return std::nullopt;
    }
  }

  std::optional<Range> multiply(const Source& a, const Source& b) const {
    if (a.reg < 0) return b.reg < 0 ? std::nullopt : multiply(b, a);
    Range x = get(a.reg);
    if (x.kind == Kind::kMasked) return std::nullopt;
    if (b.reg < 0) {
      const double factor = std::abs(double{b.immediate});
      if (!(factor <= kLargestHalf)) return std::nullopt;
      if (x.zero()) x.kind = Kind::kZero;
      x.size *= factor;
      x.row_sum *= factor;
      return x;
    }
    const Range& y = get(b.reg);
    if (y.kind == Kind::kMasked) return std::nullopt;
    Range product;
    product.size = x.size * y.size;
    if (x.zero() || y.zero()) {
      product.kind = Kind::kZero;
      product.row_sum = std::min(x.zero() ? x.row_sum * y.size : HUGE_VAL,
                                 y.zero() ? y.row_sum * x.size : HUGE_VAL);
    } else if (x.kind == Kind::kRow && y.kind == Kind::kRow) {
      product.kind = Kind::kRow;
    }
    return product;
  }

  std::optional<Range> add(const FusedOp& op) const {
    if (op.a.reg < 0 || op.b.reg < 0) return std::nullopt;
    const Range* x = &get(op.a.reg);
    const Range* y = &get(op.b.reg);
    if (x->kind == Kind::kMasked && op.code == Code::kAdd) std::swap(x, y);
    if (x->kind == Kind::kMasked) return std::nullopt;
    Range sum;
    sum.size = x->size + y->size;
    if (y->kind == Kind::kMasked) {
      if (op.code == Code::kSub) return std::nullopt;
      sum.kind = Kind::kMasked;
      sum.above = (y->above + x->size) / kSlack;  // it is below 0
      if (!(sum.above < 0)) return std::nullopt;
    } else if (x->zero() && y->zero()) {
      sum.kind = Kind::kZero;
      sum.row_sum = x->row_sum + y->row_sum;
    } else if (x->kind == Kind::kRow && y->kind == Kind::kRow) {
      sum.kind = Kind::kRow;
    }
    return sum;
  }

  std::optional<Range> row_sum(const Source& a) const {
    if (a.reg < 0 || !get(a.reg).zero()) return std::nullopt;
    Range sum;
    sum.kind = Kind::kRow;
    sum.size = get(a.reg).row_sum;
    return sum;
  }

  std::optional<Range> softmax(const Source& a) const {
    if (a.reg < 0 || get(a.reg).kind != Kind::kMasked) return std::nullopt;
    // The largest of the row is at least that on the diagonal.
    const Range& x = get(a.reg);
    if (!(x.above + x.size <= kZeroExponent)) return std::nullopt;
    Range p;
    p.kind = Kind::kPositiveZero;
    p.size = 1.0;
    p.row_sum = 1.0 + 1e-3;  // 2^-11 for rounding, 2^-25 for each tiny one
    return p;
  }

  std::vector<Range> registers_;
};

// A matrix of stacked squares that holds zeros above their diagonals, given a
// claim.
struct Lower {
  int claim = 0;
  int step = 0;  // that stores it
  int buffer = 0;
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t period = 0;
  Range range;
};

// Matrices that may lie in one.
struct Stack {
  int buffer = 0;
  int64_t offset = 0;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
  int64_t count = 1;
  int64_t stride = 0;
};

// Rows one after the other without gaps.
bool is_dense(const FusedPort& port, const FusedStep& step) {
  return !port.row && port.column_stride == 1 &&
         (step.rows == 1 || (port.row_dims == Shape{step.rows} &&
                             port.row_strides == Shape{step.columns}));
}

Stack rows_of(const FusedPort& port, const FusedStep& step) {
  return {port.buffer,  port.offset,  step.rows,
          step.columns, step.columns, is_dense(port, step) ? 1 : -1};
}

class CausalPass {
 public:
  explicit CausalPass(Plan& plan) : plan_(plan) {}

  void run() {
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const int index = static_cast<int>(i);
      if (auto* fused = std::get_if<FusedStep>(&plan_.steps[i].work)) {
        mark(*fused, index);
      } else if (auto* gemm = std::get_if<GemmStep>(&plan_.steps[i].work)) {
        mark(*gemm);
      }
    }
  }

 private:
  const Buffer& buffer(int id) const {
    return plan_.buffers[static_cast<size_t>(id)];
  }
  bool is_half(int id) const {
    return buffer(id).storage == cpu::Storage::kHalf;
  }

  // Steps that touch a buffer.
  std::vector<int> users(int id) const {
    std::vector<int> found;
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (std::ranges::count(buffers_of(plan_.steps[i]), id) > 0) {
        found.push_back(static_cast<int>(i));
      }
    }
    return found;
  }

  // What the constant of a port adds above the diagonal at most, when it is a
  // causal mask.
  std::optional<double> mask(const FusedPort& port,
                             const FusedStep& step) const;
  // The step that computes what a port loads, when that is a product which
  // nothing else reads.
  int product_of(const FusedPort& port, const FusedStep& step, int index) const;
  const Lower* lower_of(const Stack& stack) const;

  void mark(FusedStep& step, int index);
  void mark(GemmStep& step) const;
  // Whether zeros of the other sign would show in what step `index` stores.
  bool signs_show(const FusedPort& store, int index) const;

  Plan& plan_;
  std::vector<Lower> lowers_;
};

std::optional<double> CausalPass::mask(const FusedPort& port,
                                       const FusedStep& step) const {
  const Buffer& constant = buffer(port.buffer);
  const int64_t period = step.columns;
  const bool square =
      port.row_dims == Shape{period} && port.row_strides == Shape{period};
  const bool repeated = port.row_dims == Shape{step.rows / period, period} &&
                        port.row_strides == Shape{0, period};
  if (constant.place != Buffer::Place::kConstant || !is_half(port.buffer) ||
      port.row || port.column_stride != 1 || !(square || repeated)) {
    return std::nullopt;
  }
  const Half* row =
      reinterpret_cast<const Half*>(constant.constant.data()) + port.offset;
  double above = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < period; ++i, row += period) {
    for (int64_t j = 0; j < period; ++j) {
      const double value = to_float(row[j]);
      if (j <= i && value != 0) return std::nullopt;
      if (j > i && !(value <= -kLeastMask)) return std::nullopt;
      if (j > i) above = std::max(above, value);
    }
  }
  return std::max(above, -kLargestHalf);
}

int CausalPass::product_of(const FusedPort& port, const FusedStep& step,
                           int index) const {
  if (buffer(port.buffer).place != Buffer::Place::kArena ||
      !is_dense(port, step)) {
    return -1;
  }
  const std::vector<int> steps = users(port.buffer);
  if (steps.size() != 2 || steps[1] != index) return -1;
  const auto* gemm =
      std::get_if<GemmStep>(&plan_.steps[static_cast<size_t>(steps[0])].work);
  const bool fits =
      gemm != nullptr &&
      gemm->causal.triangle.of == cpu::GemmTriangle::Of::kNone &&
      gemm->c_buffer == port.buffer && gemm->c_offset == port.offset &&
      gemm->c_col == 1 && gemm->c_row == step.columns &&
      gemm->shape.n == step.columns && gemm->shape.m % step.columns == 0 &&
      gemm->batch.count * gemm->shape.m == step.rows &&
      (gemm->batch.count == 1 ||
       gemm->batch.c_stride == gemm->shape.m * step.columns) &&
      gemm->shape.k <= kMaxDepth && is_half(gemm->a_buffer) &&
      is_half(gemm->b_buffer) && is_half(gemm->c_buffer) &&
      (gemm->a_row == 1 || gemm->a_col == 1) &&
      (gemm->b_row == 1 || gemm->b_col == 1);
  return fits ? steps[0] : -1;
}

const Lower* CausalPass::lower_of(const Stack& stack) const {
  for (const Lower& lower : lowers_) {
    const int64_t square = lower.period * lower.period;
    const int64_t first = stack.offset - lower.offset;
    const int64_t end =
        first + (stack.count - 1) * stack.stride + stack.rows * stack.columns;
    if (stack.buffer == lower.buffer && stack.columns == lower.period &&
        stack.row_stride == lower.period && stack.col_stride == 1 &&
        stack.rows % lower.period == 0 && first % square == 0 &&
        stack.stride % square == 0 && first >= 0 && stack.stride >= 0 &&
        end <= lower.rows * lower.period) {
      return &lower;
    }
  }
  return nullptr;
}

bool CausalPass::signs_show(const FusedPort& store, int index) const {
  if (buffer(store.buffer).place != Buffer::Place::kArena) return true;
  return std::ranges::any_of(users(store.buffer), [&](int user) {
    if (user == index) return false;
    const auto* gemm =
        std::get_if<GemmStep>(&plan_.steps[static_cast<size_t>(user)].work);
    // Sums of products of fp16 numbers are the same for either zero.
    return gemm == nullptr || !is_half(gemm->a_buffer) ||
           !is_half(gemm->b_buffer);
  });
}

void CausalPass::mark(FusedStep& step, int index) {
  const int64_t period = step.columns;
  if (!step.row_reduction || period < 2 || step.rows % period != 0) return;
  int product = -1;
  int product_reg = -1;
  int needs = -1;
  Bounds known(step);
  for (const FusedPort& port : step.loads) {
    Range range;
    if (const auto above = mask(port, step)) {
      range.kind = Range::Kind::kMasked;
      range.above = *above;
    } else if (const Lower* lower = lower_of(rows_of(port, step))) {
      if (needs >= 0 && needs != lower->claim) return;
      needs = lower->claim;
      range = lower->range;
    } else {
      if (product >= 0) return;
      product = product_of(port, step, index);
      product_reg = port.reg;
      if (product < 0) return;
    }
    known.set(port.reg, range);
  }
  if (product < 0) return;
  // The claim of an operand must have been decided by then.
  for (const Lower& lower : lowers_) {
    if (lower.claim == needs && lower.step > product) return;
  }

  // The largest product, to a factor of 2, of which the step makes zeros.
  const auto holds = [&](double limit, Bounds& bounds) {
    Range range;
    range.size = limit * kSlack;
    bounds.set(product_reg, range);
    return std::ranges::all_of(
        step.ops, [&](const FusedOp& op) { return bounds.execute(op); });
  };
  double limit = kLargestHalf / kSlack;
  Bounds bounds = known;
  while (!holds(limit, bounds)) {
    limit /= 2;
    if (limit < 1) return;
    bounds = known;
  }

  std::vector<Lower> stored;
  for (const FusedPort& store : step.stores) {
    if (store.row) continue;
    const Range& range = bounds.get(store.reg);
    if (!range.zero() || !is_half(store.buffer) || store.column_stride != 1 ||
        (range.kind == Range::Kind::kZero && signs_show(store, index))) {
      return;
    }
    if (is_dense(store, step)) {
      stored.push_back({plan_.claims, index, store.buffer, store.offset,
                        step.rows, period, range});
    }
  }
  lowers_.insert(lowers_.end(), stored.begin(), stored.end());
  step.claim = plan_.claims++;
  auto& gemm =
      std::get<GemmStep>(plan_.steps[static_cast<size_t>(product)].work);
  gemm.causal = {{cpu::GemmTriangle::Of::kC, period}, needs, step.claim, limit};
}

void CausalPass::mark(GemmStep& step) const {
  const bool readable = is_half(step.a_buffer) && is_half(step.b_buffer) &&
                        (step.a_row == 1 || step.a_col == 1) &&
                        (step.b_row == 1 || step.b_col == 1);
  if (!readable) return;
  const auto& [m, n, k] = step.shape;
  const auto& [count, a_stride, b_stride, c_stride] = step.batch;
  const Lower* const a = lower_of({step.a_buffer, step.a_offset, m, k,
                                   step.a_row, step.a_col, count, a_stride});
  const Lower* const b = lower_of({step.b_buffer, step.b_offset, k, n,
                                   step.b_row, step.b_col, count, b_stride});
  using Of = cpu::GemmTriangle::Of;
  if (a != nullptr) {
    step.causal = {{Of::kA, a->period}, a->claim, -1, 0};
  } else if (b != nullptr) {
    step.causal = {{Of::kB, b->period}, b->claim, -1, 0};
  }
}

}  // namespace

void leave_out_masked(Plan& plan) { CausalPass(plan).run(); }

}  // namespace aneroid::emulator
