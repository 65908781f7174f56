#include "aneroid/emulator/emulator.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <fmt/format.h>

#include "aneroid/base/zeroed_memory.h"
#include "aneroid/emulator/placement.h"
#include "aneroid/emulator/planner.h"
#include "aneroid/emulator/run.h"
#include "aneroid/emulator/silent.h"
#include "aneroid/mil/ir.h"
#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"
#include "aneroid/target/target.h"
#include "aneroid/target/timing.h"

namespace aneroid::emulator {
namespace {

class EmulatedSurface final : public device::Surface {
 public:
  EmulatedSurface(DataType storage, ZeroedMemory memory)
      : storage_(storage), memory_(std::move(memory)) {}
  std::span<std::byte> bytes() override { return memory_.as<std::byte>(); }
  DataType storage() const override { return storage_; }

 private:
  DataType storage_;
  ZeroedMemory memory_;
};

target::CheckOptions rules_of(const EmulatorOptions& options) {
  return {.strict = options.strict, .faithful_silent = options.faithful_silent};
}

PlanOptions plan_options(const EmulatorOptions& options) {
  return {.numerics = options.numerics,
          .leave_out_masked = options.leave_out_masked};
}

class EmulatedExecutable final : public device::Executable {
 public:
  EmulatedExecutable(std::string name, mil::Program program,
                     device::Signature signature, Plan plan, target::Chip chip,
                     std::optional<device::PredictedTime> predicted,
                     const EmulatorOptions& options,
                     std::shared_ptr<MemoryPool> memory)
      : name_(std::move(name)),
        program_(std::move(program)),
        signature_(std::move(signature)),
        plan_(std::move(plan)),
        chip_(chip),
        predicted_(std::move(predicted)),
        options_(options),
        memory_(std::move(memory)) {
    if (options_.observe_products) {
      observe_products_ = [this](const numerics::ProductCount& count) {
        options_.observe_products(name_, count);
      };
    }
  }

  const std::string& name() const override { return name_; }
  const device::Signature& signature() const override { return signature_; }
  const Plan& plan() const { return plan_; }

  Status reload(const device::WeightMap& weights) override {
    if (!options_.allow_reload) {
      // On a chip that freezes weights nothing fails and nothing changes.
      if (options_.faithful_silent) return {};
      return device::Executable::reload(weights);
    }
    ANEROID_ASSIGN(plan_, make_plan(program_, signature_, weights,
                                    plan_options(options_)));
    plan_.name = name_;
    return {};
  }

  const device::PredictedTime* predicted() const override {
    return predicted_ ? &*predicted_ : nullptr;
  }

  Status run(std::span<device::Surface* const> inputs,
             std::span<device::Surface* const> outputs) override {
    ANEROID_ASSIGN(const std::vector<uint64_t> input_sizes,
                   port_sizes(inputs, signature_.inputs, "input"));
    ANEROID_ASSIGN(const std::vector<uint64_t> output_sizes,
                   port_sizes(outputs, signature_.outputs, "output"));
    const target::SurfaceSizes sizes{input_sizes, output_sizes};
    const target::CheckOptions rules = rules_of(options_);
    ANEROID_TRY(
        target::check_surfaces(sizes, chip_, target::Path::kRaw, rules));
    if (options_.faithful_silent && gives_zeros(sizes, rules)) {
      for (device::Surface* surface : outputs) {
        std::ranges::fill(surface->bytes(), std::byte{0});
      }
      return {};
    }
    const MemoryPool::Lease memory(*memory_);
    (*memory).fit(plan_, options_.pool->threads());
    addresses_.clear();
    for (Buffer& buffer : plan_.buffers) {
      addresses_.push_back(address(buffer, inputs, outputs, *memory));
    }
    return run_plan(plan_,
                    {*memory, addresses_, *options_.pool, observe_products_});
  }

 private:
  static std::byte* address(Buffer& buffer,
                            std::span<device::Surface* const> inputs,
                            std::span<device::Surface* const> outputs,
                            const WorkingMemory& memory) {
    switch (buffer.place) {
      case Buffer::Place::kInput:
        return inputs[buffer.port]->bytes().data();
      case Buffer::Place::kOutput:
        return outputs[buffer.port]->bytes().data();
      case Buffer::Place::kArena:
        return memory.arena.get() + buffer.arena_offset;
      case Buffer::Place::kConstant:
        return buffer.constant.data();
    }
    return nullptr;
  }

  bool gives_zeros(const target::SurfaceSizes& sizes,
                   const target::CheckOptions& rules) const {
    const auto findings =
        target::silent_findings(sizes, chip_, target::Path::kRaw, rules);
    return std::ranges::any_of(findings, [](const auto& finding) {
      return finding.rule->silent_effect == target::SilentEffect::kZeros;
    });
  }

  // Bytes of the surfaces as the chip would count them: the rules do not
  // depend on numerics.
  Result<std::vector<uint64_t>> port_sizes(
      std::span<device::Surface* const> surfaces,
      const std::vector<device::PortInfo>& ports, std::string_view kind) const {
    if (surfaces.size() != ports.size()) {
      return device_error(
          "emulator.ports", name_,
          fmt::format("status 0x1d: the program has {} {} ports, {} surfaces "
                      "were given",
                      ports.size(), kind, surfaces.size()));
    }
    std::vector<uint64_t> sizes;
    for (size_t i = 0; i < ports.size(); ++i) {
      const device::PortInfo& port = ports[i];
      const size_t element =
          storage_of(port.dtype, plan_.numerics) == cpu::Storage::kHalf ? 2 : 4;
      const auto needed =
          static_cast<size_t>(*element_count(port.shape)) * element;
      const size_t given = surfaces[i]->bytes().size();
      if (given < needed || bytes(surfaces[i]->storage()) != element) {
        return device_error(
            "emulator.ports", fmt::format("{} '{}'", kind, port.name),
            fmt::format("status 0x1d: {} {} needs {} bytes of {} elements, "
                        "the surface has {} bytes",
                        to_string(port.shape), aneroid::name(port.dtype),
                        needed, element == 2 ? "fp16" : "fp32", given));
      }
      sizes.push_back(given / element * bytes(port.dtype));
    }
    return sizes;
  }

  std::string name_;
  mil::Program program_;
  device::Signature signature_;
  Plan plan_;
  target::Chip chip_;
  std::optional<device::PredictedTime> predicted_;
  EmulatorOptions options_;
  std::function<void(const numerics::ProductCount&)> observe_products_;
  std::shared_ptr<MemoryPool> memory_;  // the device may be gone before
  std::vector<std::byte*> addresses_;   // of the plan's buffers, for a run
};

class Emulator final : public device::Device {
 public:
  explicit Emulator(const EmulatorOptions& options) : options_(options) {
    info_.name = "emulator";
    info_.chip = options.chip;
    info_.numerics = name(options.numerics);
    info_.storage = options.numerics == Numerics::kReference ? DataType::kFp32
                                                             : DataType::kFp16;
    info_.can_reload_weights = options.allow_reload;
    info_.compile_budget = options.compile_budget;
  }

  const device::DeviceInfo& info() const override { return info_; }
  int compiled() const override { return compiled_; }

  Result<std::unique_ptr<device::Executable>> compile(
      const device::ModelSource& source) override {
    if (options_.compile_budget > 0 && compiled_ >= options_.compile_budget) {
      return device_error(
          "C090", source.name,
          fmt::format("{} programs were compiled in this process and the "
                      "budget is {}: compile fewer programs, start a new "
                      "process, or raise --compile-budget (0 for no limit)",
                      compiled_, options_.compile_budget));
    }
    ANEROID_ASSIGN(mil::Program program,
                   mil::parse(source.mil_text, source.name));
    ANEROID_TRY(first_of(mil::verify(program, source.name)));
    ANEROID_ASSIGN(const target::Chip chip, target::find_chip(options_.chip));
    ANEROID_TRY(first_of(target::check(program, chip, target::Path::kRaw,
                                       rules_of(options_), source.name)));
    // What the chip would spend is no matter of what comes out.
    std::optional<device::PredictedTime> predicted = predict(program, chip);
    if (options_.faithful_silent) {
      const std::vector<target::SilentFinding> findings =
          target::silent_findings(program, chip, target::Path::kRaw,
                                  rules_of(options_), source.name);
      if (!findings.empty()) program = with_silent_effects(program, findings);
    }
    ANEROID_ASSIGN(device::Signature signature, signature_of(program, source));
    ANEROID_ASSIGN(Plan plan, make_plan(program, signature, source.weights,
                                        plan_options(options_)));
    plan.name = source.name;
    ++compiled_;
    return std::make_unique<EmulatedExecutable>(
        source.name, std::move(program), std::move(signature), std::move(plan),
        chip, std::move(predicted), options_, memory_);
  }

  Result<std::unique_ptr<device::Surface>> allocate(DataType dtype,
                                                    int64_t elements) override {
    constexpr int64_t kLimit = int64_t{1} << 32;  // one surface, 8 GiB
    if (elements <= 0 || elements > kLimit ||
        (dtype != DataType::kFp16 && dtype != DataType::kFp32)) {
      return device_error(
          "emulator.surface", "",
          fmt::format("cannot allocate {} elements of {}: between 1 and {} "
                      "elements of fp16 or fp32 are possible",
                      elements, aneroid::name(dtype), kLimit));
    }
    const DataType storage = dtype == DataType::kFp16 ? info_.storage : dtype;
    const size_t size = static_cast<size_t>(elements) * bytes(storage);
    ZeroedMemory memory(size);
    if (memory.data() == nullptr) {
      return device_error("emulator.surface", "",
                          fmt::format("out of memory for {} bytes", size));
    }
    return std::make_unique<EmulatedSurface>(storage, std::move(memory));
  }

 private:
  static Status first_of(std::vector<Diagnostic> findings) {
    if (findings.empty()) return {};
    Diagnostic first = std::move(findings.front());
    for (size_t i = 1; i < findings.size(); ++i) {
      first.notes.push_back("also " + to_string(findings[i]));
    }
    return tl::unexpected(std::move(first));
  }

  static std::optional<device::PredictedTime> predict(
      const mil::Program& program, const target::Chip& chip) {
    const auto prediction = target::predict(program, chip);
    if (!prediction) return std::nullopt;  // no such engine
    device::PredictedTime predicted;
    predicted.chip = chip.id;
    predicted.microseconds = prediction->microseconds;
    predicted.basis = to_string(prediction->basis);
    for (const target::OpTime& op : prediction->ops) {
      predicted.ops.push_back({op.op, op.microseconds, std::string(op.bound)});
    }
    return predicted;
  }

  // Ports in the engine's order: alphabetical, whatever the text says (C002).
  static Result<device::Signature> signature_of(
      const mil::Program& program, const device::ModelSource& source) {
    const mil::Function* function = program.function();
    if (function == nullptr) {
      return input_error("mil.main", source.name,
                         "the program has no function 'main'");
    }
    const mil::Symbols symbols(*function);
    device::Signature signature;
    Status status;
    const auto add = [&](std::vector<device::PortInfo>& ports,
                         const std::string& port_name) {
      const mil::Type* type = symbols.type(port_name);
      const bool usable =
          type->kind == mil::Type::Kind::kTensor &&
          (type->dtype == DataType::kFp16 || type->dtype == DataType::kFp32) &&
          element_count(type->shape).value_or(0) > 0;
      if (!usable && status) {
        status = device_error(
            "C071", port_name,
            fmt::format("a port must be an fp16 or fp32 tensor of known, "
                        "non-zero size; this one is {}",
                        mil::print(*type)));
      }
      ports.push_back({port_name, type->dtype, type->shape});
    };
    for (const mil::Parameter& parameter : function->body.inputs) {
      add(signature.inputs, parameter.var.name);
    }
    for (const std::string& output : function->body.outputs) {
      add(signature.outputs, output);
    }
    ANEROID_TRY(status);
    for (auto* ports : {&signature.inputs, &signature.outputs}) {
      std::sort(ports->begin(), ports->end(),
                [](const device::PortInfo& a, const device::PortInfo& b) {
                  return a.name < b.name;
                });
    }
    return signature;
  }

  EmulatorOptions options_;
  device::DeviceInfo info_;
  std::shared_ptr<MemoryPool> memory_ = std::make_shared<MemoryPool>();
  int compiled_ = 0;
};

}  // namespace

Result<Numerics> numerics_from_name(std::string_view wanted) {
  for (const Numerics numerics :
       {Numerics::kReference, Numerics::kFast, Numerics::kExact}) {
    if (wanted == name(numerics)) return numerics;
  }
  return fail(ErrorKind::kUsage, "numerics", "",
              fmt::format("unknown numerics '{}': use reference, fast or exact",
                          wanted));
}

std::string_view name(Numerics numerics) {
  switch (numerics) {
    case Numerics::kReference:
      return "reference";
    case Numerics::kFast:
      return "fast";
    case Numerics::kExact:
      return "exact";
  }
  return "";
}

Result<std::unique_ptr<device::Device>> make_emulator(
    const EmulatorOptions& options) {
  ANEROID_TRY(target::find_chip(options.chip));
  return std::make_unique<Emulator>(options);
}

const Plan* plan_of(const device::Executable& executable) {
  const auto* emulated = dynamic_cast<const EmulatedExecutable*>(&executable);
  return emulated == nullptr ? nullptr : &emulated->plan();
}

}  // namespace aneroid::emulator
