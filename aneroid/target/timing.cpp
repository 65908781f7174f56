#include "aneroid/target/timing.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "aneroid/target/chips_file.h"

namespace aneroid::target {
namespace {

// What all engines share; timing.md tells how each was found.
constexpr double kArrayPerCycle = 4096;        // 16 cores x 256 products
constexpr double kElementwisePerCycle = 22.5;  // elements of a pass
constexpr double kOpsPerPass = 2;              // unary ops that share one
constexpr double kWinograd = 1.5;              // F(2,3): 4 products for 6
constexpr double kRuntimeRate = 1.0 / 3;       // both operands computed
constexpr double kSparseFixed = 0.18;  // share of dense time that remains
constexpr double kSparseSlope = 0.96;  // and what grows with density

constexpr double kResidentBytes = 1 << 20;  // weights kept, per engine
constexpr double kPassBytes = 1 << 20;      // activations per reading of them
constexpr double kOperandStore = 2 << 20;   // per engine
constexpr double kCompressedStream = 0.86;  // of the rate of plain weights

// A program's op on two engines.
constexpr double kSplitPixels = 256;      // fewer: by channels, not rows
constexpr double kSplitReads = 2.0;       // each engine reads the weights,
constexpr double kSplitLargeReads = 1.4;  // less of large ones
constexpr double kSplitShare = 0.25;      // they meet after each op: a share
constexpr double kSplitSyncUs = 0.4;      // of it, at most this,
constexpr double kSplitHaloUs = 1.5;      // and exchange rows of tall kernels
constexpr double kSplitLargeRate = 0.82;  // halves above the operand store
constexpr double kSplitInt8Rate = 0.65;   // W8A8

// The fused attention op: once, and elements of the query.
constexpr double kAttentionUs = 20;
constexpr double kAttentionPerCycle = 0.24;

// Core ML puts its caller to sleep when a task is long; waking costs.
constexpr double kSleepAfterUs = 320;
constexpr double kSleepSlope = 0.9;
constexpr double kSleepMostUs = 210;

// Of the constants above: pass, compressed stream, split (8), sparse (2),
// attention (2), sleep (3); the others are published or arithmetic.
constexpr int kFittedConstants = 17;

bool uses_winograd(const Work& work) {
  return work.kernel_width == 3 &&
         (work.kernel_height == 1 || work.kernel_height == 3) &&
         work.stride == 1 && work.dilation == 1 && work.groups == 1 &&
         work.density >= 1.0 && work.weights != Weights::kRuntime;
}

bool is_wide_kernel(const Work& work) {
  return work.kernel_width >= 9 && work.kernel_width <= 15;
}

double tensor_bytes(const Work& work, int64_t channels, int64_t pixels) {
  const double element = work.int8_activations ? 1 : 2;
  return element * static_cast<double>(work.batch) *
         static_cast<double>(channels) * static_cast<double>(pixels);
}

double array_us(const Work& work, const TimingParameters& chip, int engines) {
  double rate = kArrayPerCycle * chip.clock_ghz * 1e3 * chip.efficiency;
  if (engines > 1) {
    const double half =
        tensor_bytes(work, work.in_channels, work.in_pixels) / engines;
    rate *= engines * (half > kOperandStore ? kSplitLargeRate : 1.0);
  }
  if (uses_winograd(work)) rate *= kWinograd;
  if (work.weights == Weights::kRuntime) rate *= kRuntimeRate;
  if (work.int8_activations) {
    rate *= chip.int8_rate * (engines > 1 ? kSplitInt8Rate : 1.0);
  }
  const double kept = std::min(1.0, kSparseFixed + kSparseSlope * work.density);
  return multiplications(work) * kept / rate;
}

double pixels_of(const Work& work) {
  return static_cast<double>(work.batch) * static_cast<double>(work.out_pixels);
}

bool splits_rows(const Work& work, int engines) {
  return engines > 1 && pixels_of(work) >= kSplitPixels;
}

double weights_us(const Work& work, const TimingParameters& chip, int engines) {
  if (work.weights == Weights::kRuntime) return 0;
  const double expanded = stored_weight_bytes(work) * 16 / work.weight_bits;
  double bytes = stored_weight_bytes(work);
  if (is_wide_kernel(work)) {
    bytes *= 2 * static_cast<double>(work.kernel_width + 1) /
             static_cast<double>(work.kernel_width);
  }
  const bool fits = bytes <= kResidentBytes;
  if (work.weights == Weights::kShared && fits) return 0;
  if (splits_rows(work, engines)) {
    bytes *= bytes <= 2 * kOperandStore ? kSplitReads : kSplitLargeReads;
  }
  if (!fits) {
    const double activations =
        tensor_bytes(work, work.in_channels, work.in_pixels) / engines;
    bytes *= std::max(1.0, std::ceil(activations / kPassBytes));
  }
  double rate = chip.weight_gbs * 1e3;
  if (work.weight_bits < 16 && !work.int8_activations) {
    rate *= kCompressedStream;
  }
  const double decoding =
      work.palette ? expanded / (chip.palette_gbs * 1e3) : 0.0;
  return std::max(bytes / rate, decoding);
}

double activations_us(const Work& work, const TimingParameters& chip,
                      int engines) {
  const double bytes = tensor_bytes(work, work.in_channels, work.in_pixels) +
                       tensor_bytes(work, work.out_channels, work.out_pixels);
  return bytes / (chip.activation_gbs * 1e3 * engines);
}

OpTime array_time(const Work& work, const TimingParameters& chip, int engines) {
  const std::pair<double, std::string_view> bounds[] = {
      {array_us(work, chip, engines), "compute"},
      {weights_us(work, chip, engines), "weights"},
      {activations_us(work, chip, engines), "activations"},
  };
  const auto& [slowest, name] = *std::ranges::max_element(
      bounds, {}, [](const auto& bound) { return bound.first; });
  double total = slowest + chip.layer_us;
  if (splits_rows(work, engines)) {
    total += std::min(kSplitSyncUs, kSplitShare * slowest) +
             (work.kernel_height > 1 ? kSplitHaloUs : 0.0);
  }
  return {work.op, total, name};
}

double power_w(const Chip& chip, bool int8) {
  const Figure* figure = chip.figure(int8 ? "power_w8a8_w" : "power_w");
  return figure == nullptr ? 0.0 : figure->value;
}

std::string_view kind_of(const Work& work) {
  if (work.unit == Unit::kArray) {
    return work.weights == Weights::kRuntime ? "matmul" : "conv";
  }
  return "elementwise";
}

// The score of the kind that takes most of the time.
Basis basis_for(std::span<const Work> works, std::span<const OpTime> times,
                const Chip& chip) {
  if (!chip.timed) return {};
  double array = 0;
  double others = 0;
  for (size_t i = 0; i < works.size(); ++i) {
    (works[i].unit == Unit::kArray ? array : others) += times[i].microseconds;
  }
  std::string_view kind = "all";
  if (array > 4 * others) kind = "conv";
  if (others > 4 * array) kind = "elementwise";
  for (const Work& work : works) {
    if (kind == "conv" && kind_of(work) == "matmul") kind = "all";
  }
  Basis whole;
  for (const Basis& score : scores()) {
    if (score.timing_class != chip.timing_class) continue;
    if (score.kind == kind) return score;
    if (score.kind == "all") whole = score;
  }
  return whole;
}

}  // namespace

double multiplications(const Work& work) {
  return static_cast<double>(work.batch) *
         static_cast<double>(work.in_channels) /
         static_cast<double>(work.groups) *
         static_cast<double>(work.out_channels) *
         static_cast<double>(work.out_pixels) *
         static_cast<double>(work.kernel_height) *
         static_cast<double>(work.kernel_width);
}

double stored_weight_bytes(const Work& work) {
  const double count = static_cast<double>(work.in_channels) /
                       static_cast<double>(work.groups) *
                       static_cast<double>(work.out_channels) *
                       static_cast<double>(work.kernel_height) *
                       static_cast<double>(work.kernel_width);
  const double mask = work.density < 1.0 ? 1.0 : 0.0;  // one bit each
  return count * (work.weight_bits * work.density + mask) / 8;
}

int fitted_constants() { return kFittedConstants; }

std::span<const TimingParameters> timing_classes() {
  return chips_file().timing;
}

Result<TimingParameters> timing_parameters(const Chip& chip) {
  for (TimingParameters timing : timing_classes()) {
    if (timing.id != chip.timing_class) continue;
    if (const Figure* clock = chip.figure("clock_ghz")) {
      timing.clock_ghz = clock->value;
    }
    if (const Figure* weights = chip.figure("weight_gbs")) {
      timing.weight_gbs = weights->value;
    }
    return timing;
  }
  return fail(ErrorKind::kAnswerNo, "timing", std::string(chip.id),
              fmt::format("no timing is known for {}; 'aneroid devices' lists "
                          "the chips that have some",
                          chip.name));
}

int engines_for(const Work& work, const Chip& chip) {
  const bool small =
      work.unit == Unit::kArray && pixels_of(work) < kSplitPixels;
  return small ? 1 : chip.engines;
}

OpTime op_time(const Work& work, const TimingParameters& chip, int engines) {
  switch (work.unit) {
    case Unit::kArray:
      return array_time(work, chip, engines);
    case Unit::kElementwise: {
      const double rate = kElementwisePerCycle * chip.clock_ghz * 1e3 * engines;
      const double passes = work.operands > 1 ? work.operands : 1 / kOpsPerPass;
      return {work.op, work.elements * passes / rate, "elementwise"};
    }
    case Unit::kAttention:
      return {work.op,
              kAttentionUs +
                  work.elements / (kAttentionPerCycle * chip.clock_ghz * 1e3),
              "attention"};
    case Unit::kMovement:
      return {work.op, 4 * work.elements / (chip.activation_gbs * 1e3),
              "movement"};
    case Unit::kNone:
      break;
  }
  return {work.op, 0.0, "-"};
}

Prediction predict(std::span<const Work> works, const Chip& chip,
                   const TimingParameters& parameters,
                   const TimingOptions& options) {
  Prediction result;
  double busy = 0;
  double energy_uj = 0;
  bool powered = true;
  bool first = true;
  for (const Work& work : works) {
    int engines =
        options.engines > 0 ? options.engines : engines_for(work, chip);
    engines = std::clamp(engines, 1, std::max(1, chip.engines));
    OpTime time = op_time(work, parameters, engines);
    if (first && work.unit == Unit::kArray) {
      // The second engine joins when the first op is done.
      time.microseconds = std::max(time.microseconds,
                                   op_time(work, parameters, 1).microseconds);
      first = false;
    }
    busy += time.microseconds;
    const double watts = power_w(chip, work.int8_activations);
    powered = powered && watts > 0;
    energy_uj += watts * engines * time.microseconds;
    result.ops.push_back(std::move(time));
  }
  const double stream_us = options.io_bytes / (parameters.weight_gbs * 1e3);
  result.task_microseconds = parameters.submit_us + std::max(busy, stream_us);
  result.host_microseconds =
      parameters.call_us[static_cast<size_t>(options.path)] -
      parameters.submit_us + (options.typical ? parameters.typical_us : 0.0);
  if (options.path == Path::kCoreml) {
    result.host_microseconds +=
        std::clamp(kSleepSlope * (result.task_microseconds - kSleepAfterUs),
                   0.0, kSleepMostUs);
  }
  result.io_microseconds =
      options.io_bytes /
      (1e3 * (options.caller_copies ? parameters.copy_gbs : parameters.io_gbs));
  result.microseconds = result.task_microseconds + result.host_microseconds +
                        result.io_microseconds;
  if (powered && !works.empty()) result.energy_mj = energy_uj / 1e3;
  result.basis = basis_for(works, result.ops, chip);
  return result;
}

Result<Prediction> predict(std::span<const Work> works, const Chip& chip,
                           const TimingOptions& options) {
  ANEROID_ASSIGN(const TimingParameters parameters, timing_parameters(chip));
  return predict(works, chip, parameters, options);
}

Result<Prediction> predict(const mil::Program& program, const Chip& chip,
                           const TimingOptions& options) {
  const ProgramWork work = program_work(program);
  TimingOptions with_io = options;
  with_io.io_bytes = work.io_bytes;
  return predict(work.works, chip, with_io);
}

std::string to_string(const Basis& basis) {
  if (basis.rows == 0) return "no basis";
  const auto percent = [](double log_error) {
    return 100 * std::expm1(log_error);
  };
  const std::string kind =
      basis.kind == "all" ? "" : std::string(basis.kind) + " ";
  return fmt::format(
      "model error: median {:.0f} %, p90 {:.0f} % ({} {}rows of "
      "{})",
      percent(basis.median), percent(basis.p90), basis.rows, kind,
      basis.timing_class);
}

}  // namespace aneroid::target
