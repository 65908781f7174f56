// What lowering hands to fusion: nodes with strided operands.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "aneroid/emulator/plan.h"

namespace aneroid::emulator {

// Where a value is, and who wrote it.
struct Slot {
  View view;
  // The node whose whole result this is, or -1 (ports, constants, concats).
  int producer = -1;
  // The view keeps the producer's elements in their row-major order.
  bool linear = false;
  // The last node that writes any part of it; -1 when ready from the start.
  int ready = -1;
};

struct Operand {
  Slot slot;       // before broadcasting
  View broadcast;  // to the node's shape
  std::optional<float> immediate;
};

struct Node {
  std::string op;
  // Element-wise nodes and row reductions can fuse; others hold their step.
  bool fusible = false;
  Code code = Code::kCopy;
  std::vector<Operand> inputs;
  View out;     // row reductions: [..., 1]
  Shape shape;  // iteration space: that of the widest operand
  bool round = false;
  bool reduces = false;
  bool must_store = false;  // written where others will look for it
  Step step;                // when not fusible
  std::vector<int> reads;   // producers read, when not fusible
};

// Groups runs of fusible nodes into fused steps, in program order.
std::vector<Step> fuse(const std::vector<Node>& nodes);

}  // namespace aneroid::emulator
