#include "aneroid/target/op_placement.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

namespace aneroid::target {
namespace {

// C105, in microseconds.
constexpr double kLaunch = 125;
constexpr double kSwitch = 125;
constexpr double kOutputOnEngine = 125;

// Multiplications per microsecond. The published pair is 37.7 million in 100
// and in 4.67 us; the CPU's rate for matrices is bounded from both sides by
// published placements, that for transposed convolutions from below.
constexpr double kCpuConv = 377e3;
constexpr double kCpuMatrix = 80e3;
constexpr double kCpuTransposed = 24e3;
constexpr double kEngineArray = 8.1e6;

// Elements per microsecond.
constexpr double kCpuElements = 50e3;
constexpr double kCpuBilinear = 800;
constexpr double kEngineElements = 61e3;

// topk takes milliseconds on the engine; attention below 2 million elements is
// not scheduled there.
constexpr double kEngineTopk = 2000;
constexpr double kSmallAttention = 2e6;
constexpr double kNever = std::numeric_limits<double>::infinity();

struct Step {
  double engine_us = 0;
  double cpu_us = 0;
  bool is_subject = false;  // the op in question
};

double elements(const mil::Type& type) {
  double count = 1;
  for (const int64_t dim : type.shape) count *= static_cast<double>(dim);
  return count;
}

const mil::Type* operand(const OpForm& form, std::string_view name) {
  const auto found =
      std::ranges::find(form.operands, name, &OpForm::Operand::name);
  return found == form.operands.end() ? nullptr : &found->type;
}

// Elements of the weight per output element, or per input element for a
// transposed convolution: all of them but the channels that come out.
double products(const OpForm& form, std::string_view weight, size_t out_axis) {
  const mil::Type* type = operand(form, weight);
  if (type == nullptr || type->shape.size() <= out_axis) return 0;
  const auto channels = static_cast<double>(type->shape[out_axis]);
  return channels == 0 ? 0 : elements(*type) / channels;
}

Step array_step(double multiplications, double cpu_rate) {
  return {multiplications / kEngineArray, multiplications / cpu_rate};
}

Step cost(const OpForm& form, const mil::Type& result) {
  if (form.op == "conv") {
    return array_step(elements(result) * products(form, "weight", 0), kCpuConv);
  }
  if (form.op == "conv_transpose") {
    const mil::Type* x = operand(form, "x");
    return array_step(
        x == nullptr ? 0 : elements(*x) * products(form, "weight", 0),
        kCpuTransposed);
  }
  if (form.op == "linear") {
    return array_step(elements(result) * products(form, "weight", 0),
                      kCpuMatrix);
  }
  if (form.op == "matmul") {
    const mil::Type* x = operand(form, "x");
    const double inner = x == nullptr || x->shape.empty()
                             ? 0
                             : static_cast<double>(x->shape.back());
    return array_step(elements(result) * inner, kCpuMatrix);
  }
  if (form.op == "scaled_dot_product_attention") {
    const mil::Type* key = operand(form, "key");
    const double keys =
        key == nullptr || key->shape.size() < 2
            ? 0
            : static_cast<double>(key->shape[key->shape.size() - 2]);
    Step step = array_step(2 * elements(result) * keys, kCpuMatrix);
    if (elements(result) < kSmallAttention) step.engine_us = kNever;
    return step;
  }
  double largest = elements(result);
  for (const OpForm::Operand& each : form.operands) {
    largest = std::max(largest, elements(each.type));
  }
  const bool is_bilinear = form.op.ends_with("_bilinear");
  Step step{largest / kEngineElements,
            largest / (is_bilinear ? kCpuBilinear : kCpuElements)};
  if (form.op == "topk") step.engine_us = kEngineTopk;
  return step;
}

// A layer of the surroundings with its relu, on a tensor of this type.
void add_layers(const mil::Type& type, std::vector<Step>& steps) {
  const Shape& shape = type.shape;
  if (shape.size() < 2) return;
  const bool is_conv = shape.size() == 4;
  const auto width = static_cast<double>(is_conv ? shape[1] : shape.back());
  const double count = elements(type);
  Step layer = is_conv ? array_step(count * width * 9, kCpuConv)
                       : array_step(count * width, kCpuMatrix);
  layer.engine_us += count / kEngineElements;
  layer.cpu_us += count / kCpuElements;
  steps.insert(steps.end(), 2, layer);
}

// Whether other layers can take the result: fp16, or a bool that a select
// turns into it.
bool feeds_layers(const mil::Type& type) {
  return type.dtype == DataType::kFp16 || type.dtype == DataType::kBool;
}

// The cheapest way through the steps; whether it runs the subject on the
// engine.
bool cheapest_uses_engine(const std::vector<Step>& steps) {
  struct Way {
    double us = 0;
    bool subject_on_engine = false;
  };
  const auto better = [](Way a, Way b) { return a.us <= b.us ? a : b; };
  Way on_cpu{0, false};
  Way on_engine{kNever, false};
  for (size_t i = 0; i < steps.size(); ++i) {
    const double enter = i == 0 ? kLaunch : kLaunch + kSwitch;
    Way cpu =
        better(on_cpu, {on_engine.us + kSwitch, on_engine.subject_on_engine});
    Way engine =
        better(on_engine, {on_cpu.us + enter, on_cpu.subject_on_engine});
    cpu.us += steps[i].cpu_us;
    engine.us += steps[i].engine_us;
    if (steps[i].is_subject) {
      cpu.subject_on_engine = false;
      engine.subject_on_engine = true;
    }
    on_cpu = cpu;
    on_engine = engine;
  }
  on_engine.us += kOutputOnEngine;
  return better(on_cpu, on_engine).subject_on_engine;
}

}  // namespace

Placement place(const OpForm& form, const Judgement& judgement,
                Surroundings surroundings) {
  const mil::Type result = result_type(form);
  Step subject = cost(form, result);
  subject.is_subject = true;
  Placement placement{false, subject.engine_us, subject.cpu_us};
  if (judgement.support != Support::kSupported) return placement;

  std::vector<Step> steps;
  const bool between = surroundings == Surroundings::kBetweenLayers;
  if (between && !form.operands.empty()) {
    add_layers(form.operands.front().type, steps);
  }
  steps.push_back(subject);
  if (between && feeds_layers(result)) add_layers(result, steps);
  placement.on_engine = cheapest_uses_engine(steps);
  return placement;
}

}  // namespace aneroid::target
