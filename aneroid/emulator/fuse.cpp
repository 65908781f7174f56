#include <algorithm>
#include <cassert>

#include "aneroid/emulator/nodes.h"

namespace aneroid::emulator {
namespace {

struct Extent {
  int64_t rows = 1;
  int64_t columns = 1;
  friend bool operator==(const Extent&, const Extent&) = default;
};

Extent extent_of(const Shape& shape) {
  Extent extent;
  if (shape.empty()) return extent;
  extent.columns = shape.back();
  for (size_t i = 0; i + 1 < shape.size(); ++i) extent.rows *= shape[i];
  return extent;
}

// Bounds the registers of a step (see RowMachine).
constexpr size_t kMaxMembers = 64;

// A run of nodes over one iteration space, being collected.
class Group {
 public:
  Group(const std::vector<Node>& nodes, const std::vector<int>& last_use)
      : nodes_(nodes), last_use_(last_use) {}

  bool empty() const { return members_.empty(); }

  bool accepts(int index) const {
    const Node& node = nodes_[static_cast<size_t>(index)];
    if (!node.fusible) return false;
    if (empty()) return true;
    if (members_.size() >= kMaxMembers) return false;
    const bool per_row = makes_row_value(node);
    if (!per_row && extent_of(node.shape) != extent_) return false;
    for (const Operand& input : node.inputs) {
      if (!input.immediate && !accepts(input, node, per_row)) return false;
    }
    return true;
  }

  void add(int index) {
    const Node& node = nodes_[static_cast<size_t>(index)];
    if (empty()) {
      first_ = index;
      extent_ = extent_of(node.shape);
    }
    members_.push_back(index);
    row_value_.push_back(node.reduces || makes_row_value(node));
  }

  Step close();

 private:
  // One value per row of a group of wider rows: a reduction's successors.
  bool makes_row_value(const Node& node) const {
    if (empty() || extent_.columns == 1 || node.reduces) return false;
    const Extent extent = extent_of(node.shape);
    return extent.columns == 1 && extent.rows == extent_.rows &&
           std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](const Operand& input) {
                         return !input.immediate && inside(input) &&
                                row_value_[member(input)];
                       });
  }
  bool inside(const Operand& input) const {
    return !empty() && input.slot.producer >= first_;
  }
  size_t member(const Operand& input) const {
    return static_cast<size_t>(input.slot.producer - first_);
  }

  bool accepts(const Operand& input, const Node& node, bool per_row) const {
    if (!inside(input)) return input.slot.ready < first_;
    if (!input.slot.linear) return false;
    const Extent have = extent_of(input.slot.view.dims);
    if (!row_value_[member(input)]) return !per_row && have == extent_;
    // A row value spreads along the last dimension only.
    if (have.columns != 1 || have.rows != extent_.rows) return false;
    const Shape& dims = input.slot.view.dims;
    return dims.size() == node.shape.size() &&
           std::equal(dims.begin(), dims.end() - 1, node.shape.begin());
  }

  bool needs_store(int index) const {
    const Node& node = nodes_[static_cast<size_t>(index)];
    return node.must_store ||
           last_use_[static_cast<size_t>(index)] > members_.back();
  }

  FusedPort port(int reg, const View& view, bool row) const;
  Source source(const Operand& input, bool per_row, FusedStep& step);

  const std::vector<Node>& nodes_;
  const std::vector<int>& last_use_;
  int first_ = 0;
  Extent extent_;
  std::vector<int> members_;
  std::vector<bool> row_value_;
  // While closing: external views already loaded, with their registers.
  struct Loaded {
    View view;
    bool row;
    int reg;
  };
  std::vector<Loaded> loaded_;
};

FusedPort Group::port(int reg, const View& view, bool row) const {
  FusedPort result;
  result.reg = reg;
  result.buffer = view.buffer;
  result.offset = view.offset;
  result.row = row;
  result.row_dims = view.dims;
  result.row_strides = view.strides;
  if (!view.dims.empty()) {
    result.column_stride = view.strides.back();
    result.row_dims.pop_back();
    result.row_strides.pop_back();
  }
  return result;
}

Source Group::source(const Operand& input, bool per_row, FusedStep& step) {
  if (input.immediate) return {-1, *input.immediate};
  if (inside(input)) return {static_cast<int>(member(input)), 0.0F};
  const View& view = input.broadcast;
  for (const Loaded& known : loaded_) {
    if (known.row == per_row && known.view == view) return {known.reg, 0.0F};
  }
  const int reg = step.registers++;
  step.loads.push_back(port(reg, view, per_row));
  loaded_.push_back({view, per_row, reg});
  return {reg, 0.0F};
}

// Merges rows into longer ones where every port allows it, so that short rows
// do not drown in per-row work.
void lengthen_rows(FusedStep& step) {
  if (step.row_reduction) return;
  std::vector<FusedPort*> ports;
  for (FusedPort& p : step.loads) ports.push_back(&p);
  for (FusedPort& p : step.stores) ports.push_back(&p);
  const auto mergeable = [&](const FusedPort& p) {
    return !p.row_dims.empty() &&
           p.row_dims.back() == ports.front()->row_dims.back() &&
           p.row_strides.back() == p.column_stride * step.columns;
  };
  while (!ports.empty() && !ports.front()->row_dims.empty() &&
         std::all_of(ports.begin(), ports.end(),
                     [&](const FusedPort* p) { return mergeable(*p); })) {
    const int64_t merged = ports.front()->row_dims.back();
    step.columns *= merged;
    step.rows /= merged;
    for (FusedPort* p : ports) {
      p->row_dims.pop_back();
      p->row_strides.pop_back();
    }
  }
}

// Registers whose values are no longer needed serve again.
void reuse_registers(FusedStep& step) {
  const int values = step.registers;
  const int op_count = static_cast<int>(step.ops.size());
  std::vector<int> last(static_cast<size_t>(values), -1);
  for (int i = 0; i < op_count; ++i) {
    const FusedOp& op = step.ops[static_cast<size_t>(i)];
    last[static_cast<size_t>(op.dst)] = i;
    if (op.a.reg >= 0) last[static_cast<size_t>(op.a.reg)] = i;
    if (op.b.reg >= 0) last[static_cast<size_t>(op.b.reg)] = i;
  }
  for (const FusedPort& store : step.stores) {
    last[static_cast<size_t>(store.reg)] = op_count;
  }
  std::vector<int> physical(static_cast<size_t>(values), -1);
  std::vector<int> free;
  int used = 0;
  for (FusedPort& load : step.loads) {
    physical[static_cast<size_t>(load.reg)] = used++;
    load.reg = physical[static_cast<size_t>(load.reg)];
  }
  const auto release = [&](int value, int at) {
    if (value >= 0 && last[static_cast<size_t>(value)] == at) {
      free.push_back(physical[static_cast<size_t>(value)]);
    }
  };
  for (int i = 0; i < op_count; ++i) {
    FusedOp& op = step.ops[static_cast<size_t>(i)];
    const int a = op.a.reg;
    const int b = op.b.reg;
    const int dst = op.dst;
    if (a >= 0) op.a.reg = physical[static_cast<size_t>(a)];
    if (b >= 0) op.b.reg = physical[static_cast<size_t>(b)];
    // The result may overwrite an operand that ends here: codes allow it.
    release(a, i);
    if (b != a) release(b, i);
    if (free.empty()) {
      op.dst = used++;
    } else {
      op.dst = free.back();
      free.pop_back();
    }
    physical[static_cast<size_t>(dst)] = op.dst;
    if (last[static_cast<size_t>(dst)] == i) free.push_back(op.dst);
  }
  for (FusedPort& store : step.stores) {
    store.reg = physical[static_cast<size_t>(store.reg)];
  }
  step.registers = used;
}

Step Group::close() {
  Step result;
  FusedStep step;
  step.rows = extent_.rows;
  step.columns = extent_.columns;
  step.registers = static_cast<int>(members_.size());
  for (size_t m = 0; m < members_.size(); ++m) {
    const Node& node = nodes_[static_cast<size_t>(members_[m])];
    const bool per_row = row_value_[m] && !node.reduces;
    FusedOp op;
    op.code = node.code;
    op.dst = static_cast<int>(m);
    op.round = node.round;
    op.row = row_value_[m];
    op.a = source(node.inputs[0], per_row, step);
    if (node.inputs.size() > 1) op.b = source(node.inputs[1], per_row, step);
    step.row_reduction =
        step.row_reduction || node.reduces || node.code == Code::kRowSoftmax;
    step.ops.push_back(op);
    if (needs_store(members_[m])) {
      step.stores.push_back(port(static_cast<int>(m), node.out, row_value_[m]));
    }
    if (!result.op.empty()) result.op += "+";
    result.op += node.op;
  }
  for (std::vector<FusedPort>* ports : {&step.loads, &step.stores}) {
    for (FusedPort& p : *ports) coalesce(p.row_dims, {&p.row_strides});
  }
  reuse_registers(step);
  lengthen_rows(step);
  result.work = std::move(step);
  members_.clear();
  row_value_.clear();
  loaded_.clear();
  return result;
}

}  // namespace

std::vector<Step> fuse(const std::vector<Node>& nodes) {
  std::vector<int> last_use(nodes.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto use = [&](int producer) {
      if (producer >= 0) {
        last_use[static_cast<size_t>(producer)] = static_cast<int>(i);
      }
    };
    for (const Operand& input : nodes[i].inputs) use(input.slot.producer);
    for (const int producer : nodes[i].reads) use(producer);
  }

  std::vector<Step> steps;
  Group group(nodes, last_use);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const int index = static_cast<int>(i);
    if (!group.empty() && !group.accepts(index)) steps.push_back(group.close());
    if (nodes[i].fusible) {
      group.add(index);
    } else {
      steps.push_back(nodes[i].step);
    }
  }
  if (!group.empty()) steps.push_back(group.close());
  return steps;
}

}  // namespace aneroid::emulator
