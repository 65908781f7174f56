// Lowering: operations to nodes over strided views.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/constants.h"
#include "aneroid/emulator/nodes.h"
#include "aneroid/emulator/placement.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

class Lowering {
 public:
  Lowering(const mil::Program& program, const device::Signature& signature,
           const device::WeightMap& weights, Plan& plan);
  // Appends the nodes of the whole function and the buffers they need.
  Result<std::vector<Node>> run();

 private:
  Status lower(const mil::Operation& operation);
  Status shape_op(const mil::Operation& operation);
  Status concat(const mil::Operation& operation);
  Status split(const mil::Operation& operation);
  Status elementwise(const mil::Operation& operation, Code code);
  Status reduce(const mil::Operation& operation, Code code);
  Status softmax(const mil::Operation& operation);
  Status matmul(const mil::Operation& operation);
  Status conv(const mil::Operation& operation);
  // When both operands of a conv are dequantised int8 numbers: makes `x` and
  // `weight` those numbers and returns the product of their scales; else 0.
  Result<double> use_integers(const mil::Operation& operation, Slot& x,
                              Slot& weight);
  Status interpret(const mil::Operation& operation);
  Status finish_outputs();

  // Where a value is; materialises constants.
  Result<Slot> slot(const std::string& name);
  Result<Slot> input(const mil::Operation& operation, std::string_view name);
  Result<Operand> operand(const std::string& name, const Shape& shape);
  bool rounds(const mil::Type& type) const;

  int new_buffer(const mil::Type& type);
  // Where to write a result: its placement, or a new dense buffer.
  View destination(const mil::Var& result);
  // Declares `name` to be what node `index` writes (the last by default).
  void define(const std::string& name, const View& view, int producer,
              bool linear);
  // Binds a result to a view of an existing value, copying where the result
  // has a place elsewhere.
  Status bind_view(const mil::Var& result, const Slot& slot);
  // Copies to `target`, or to a new dense buffer.
  Slot copy(const Slot& from, std::string op, const View* target = nullptr);
  // The same elements in another shape: a view, or a copy when it must be.
  Slot reshaped(const Slot& from, const Shape& dims);
  // A node of a fusible code over operands already broadcast.
  void add_fused(const mil::Operation& operation, Code code,
                 std::vector<Operand> operands, const Shape& shape,
                 const View& out, bool reduces, bool must_store);
  void add_step(Step step, const std::vector<const Slot*>& reads);
  void add_gemm(const std::string& op, const cpu::GemmShape& shape,
                const Slot& a, const Slot& b, const View& c);

  const mil::Function& function_;
  const mil::Program& program_;
  const device::Signature& signature_;
  Plan& plan_;
  mil::Symbols symbols_;
  Constants constants_;
  Placements placements_;
  std::vector<int> output_buffers_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::vector<Node> nodes_;
};

}  // namespace aneroid::emulator
