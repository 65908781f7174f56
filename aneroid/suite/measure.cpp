#include "aneroid/suite/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/base/samples.h"
#include "aneroid/mil/text.h"

namespace aneroid::suite {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start)
      .count();
}

void fill(device::Surface& surface) {
  const std::span<std::byte> bytes = surface.bytes();
  Random random(1);
  const bool is_half = surface.storage() == DataType::kFp16;
  const size_t size = is_half ? sizeof(Half) : sizeof(float);
  for (size_t at = 0; at + size <= bytes.size(); at += size) {
    const double value = 2.0 * random.uniform() - 1.0;
    if (is_half) {
      const Half half = to_half_even(value);
      std::memcpy(&bytes[at], &half, size);
    } else {
      const auto single = static_cast<float>(value);
      std::memcpy(&bytes[at], &single, size);
    }
  }
}

// A compiled program and its surfaces, ready to be called.
class Loaded {
 public:
  static Result<Loaded> load(device::Device& device,
                             const TestProgram& program) {
    const auto files = weight_files(program);
    device::ModelSource source{program.name, mil::print(program.program), {}};
    for (const auto& [path, file] : files) source.weights[path] = file;
    Loaded loaded;
    ANEROID_ASSIGN(loaded.executable_, device.compile(source));
    const device::Signature& signature = loaded.executable_->signature();
    ANEROID_TRY(loaded.allocate(device, signature.inputs, loaded.inputs_));
    ANEROID_TRY(loaded.allocate(device, signature.outputs, loaded.outputs_));
    for (device::Surface* surface : loaded.inputs_) fill(*surface);
    return loaded;
  }

  Status call() { return executable_->run(inputs_, outputs_); }

 private:
  // All of one size, as the engine wants them (rule C013).
  Status allocate(device::Device& device,
                  std::span<const device::PortInfo> ports,
                  std::vector<device::Surface*>& surfaces) {
    int64_t most = 0;
    for (const device::PortInfo& port : ports) {
      most = std::max(most, element_count(port.shape).value_or(0));
    }
    for (const device::PortInfo& port : ports) {
      ANEROID_ASSIGN(owned_.emplace_back(), device.allocate(port.dtype, most));
      surfaces.push_back(owned_.back().get());
    }
    return {};
  }

  std::unique_ptr<device::Executable> executable_;
  std::vector<std::unique_ptr<device::Surface>> owned_;
  std::vector<device::Surface*> inputs_;
  std::vector<device::Surface*> outputs_;
};

}  // namespace

Result<Measured> measure(device::Device& device,
                         std::span<const TestProgram> programs,
                         const MeasureOptions& options) {
  Measured measured;
  auto start = Clock::now();
  std::vector<Loaded> loaded;
  for (const TestProgram& program : programs) {
    ANEROID_ASSIGN(loaded.emplace_back(), Loaded::load(device, program));
  }
  measured.compile_us = microseconds_since(start);
  std::vector<double> times;
  start = Clock::now();
  for (int64_t round = 0; round <= options.iterations; ++round) {
    if (options.interrupt != nullptr && *options.interrupt) {
      return fail(ErrorKind::kAnswerNo, "bench.interrupted", "",
                  "interrupted while measuring");
    }
    const auto begin = Clock::now();
    for (Loaded& one : loaded) ANEROID_TRY(one.call());
    // The first round warms caches and the allocator.
    if (round > 0) times.push_back(microseconds_since(begin));
    if (!times.empty() && microseconds_since(start) > 1e6 * options.seconds) {
      break;
    }
  }
  measured.samples = static_cast<int64_t>(times.size());
  measured.best_us = *std::ranges::min_element(times);
  measured.median_us = median(times);
  return measured;
}

}  // namespace aneroid::suite
