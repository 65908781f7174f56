#include "aneroid/conformance/static_step.h"

#include <array>

namespace aneroid::conformance {
namespace {

using target::Unit;
using target::Weights;
using target::Work;

// A kernel by its operations, in units of hidden-size channels where it moves
// surfaces.
struct Kernel {
  std::string_view name;
  std::vector<Work> works;
  int64_t io_channels = 0;  // inputs and outputs
};

class Sizes {
 public:
  Sizes(const StepModel& model, int64_t sequence)
      : model_(model), sequence_(sequence) {}

  Work conv(int64_t in, int64_t out) const {
    Work work;
    work.op = "conv";
    work.in_channels = in;
    work.out_channels = out;
    work.in_pixels = work.out_pixels = sequence_;
    return work;
  }
  // Over all heads: [rows, depth] x [depth, columns].
  Work product(int64_t depth, int64_t columns) const {
    Work work = conv(depth, columns);
    work.op = "matmul";
    work.weights = Weights::kRuntime;
    work.batch = model_.heads;
    return work;
  }
  Work elementwise(std::string op, int64_t channels, int operands) const {
    Work work;
    work.op = std::move(op);
    work.unit = Unit::kElementwise;
    work.operands = operands;
    work.elements = static_cast<double>(channels * sequence_);
    return work;
  }
  Work movement(std::string op, int64_t channels) const {
    Work work = elementwise(std::move(op), channels, 1);
    work.unit = Unit::kMovement;
    return work;
  }

 private:
  const StepModel& model_;
  int64_t sequence_;
};

std::vector<Kernel> kernels(const StepModel& model, int64_t sequence) {
  const Sizes of(model, sequence);
  const int64_t d = model.hidden;
  const int64_t h = model.intermediate;
  const int64_t head = d / model.heads;
  const int64_t scores = model.heads * sequence;
  const Work square = of.elementwise("mul", d, 2);
  const Work sum = of.elementwise("reduce_sum", d, 2);
  const Work normalise = of.elementwise("mul", d, 2);
  const Work gain = of.elementwise("mul", d, 1);
  const Work softmax = of.elementwise("softmax", scores, 4);
  const Work turn = of.movement("transpose", d);

  return {
      {"fwdAttn",
       {square, sum, normalise, gain, of.conv(d, d), of.conv(d, d),
        of.conv(d, d), turn, turn, turn, of.product(head, sequence),
        of.elementwise("mul", scores, 1), of.elementwise("add", scores, 2),
        softmax, of.product(sequence, head), turn, of.conv(d, d),
        of.movement("concat", 6 * d)},
       7 * d},
      {"fwdFFN",
       {square, sum, normalise, gain, of.conv(d, h), of.conv(d, h),
        of.elementwise("sigmoid", h, 1), of.elementwise("mul", h, 2),
        of.elementwise("mul", h, 2), of.conv(h, d),
        of.movement("concat", 2 * d + 3 * h)},
       3 * d + 3 * h},
      {"ffnBwd",
       {of.conv(d, h), of.elementwise("sigmoid", h, 1),
        of.elementwise("sub", h, 1), of.elementwise("mul", h, 2),
        of.elementwise("add", h, 1), of.elementwise("mul", h, 2),
        of.elementwise("mul", h, 2), of.elementwise("mul", h, 2),
        of.elementwise("mul", h, 2), of.elementwise("mul", h, 2), of.conv(h, d),
        of.conv(h, d), of.elementwise("add", d, 2),
        of.movement("concat", d + 2 * h)},
       2 * d + 4 * h},
      {"sdpaBwd1",
       {of.conv(d, d), turn, turn, turn, turn, of.product(head, sequence),
        of.elementwise("mul", scores, 1), of.elementwise("add", scores, 2),
        softmax, of.product(sequence, head), of.product(head, sequence), turn,
        of.movement("concat", d + 2 * scores)},
       5 * d + 2 * scores},
      {"sdpaBwd2",
       {of.elementwise("mul", scores, 2),
        of.elementwise("reduce_sum", scores, 2),
        of.elementwise("sub", scores, 2), of.elementwise("mul", scores, 2),
        of.elementwise("mul", scores, 1), of.product(sequence, head),
        of.product(sequence, head), turn, turn, of.movement("concat", 2 * d)},
       4 * d + 2 * scores},
      {"qkvBwd",
       {of.conv(d, d), of.conv(d, d), of.conv(d, d),
        of.elementwise("add", d, 2), of.elementwise("add", d, 2)},
       4 * d},
  };
}

}  // namespace

std::vector<StepKernel> static_step(const StepModel& model, int64_t sequence) {
  std::vector<StepKernel> step;
  for (Kernel& kernel : kernels(model, sequence)) {
    StepKernel& one = step.emplace_back();
    one.name = kernel.name;
    one.forward = kernel.name.starts_with("fwd");
    one.program.works = std::move(kernel.works);
    one.program.io_bytes =
        2.0 * static_cast<double>(kernel.io_channels * sequence);
    one.program.calls = model.layers;
  }
  return step;
}

std::vector<DescribedProgram> static_forward(const StepModel& model,
                                             int64_t sequence) {
  std::vector<DescribedProgram> programs;
  for (StepKernel& kernel : static_step(model, sequence)) {
    if (kernel.forward) programs.push_back(std::move(kernel.program));
  }
  return programs;
}

}  // namespace aneroid::conformance
