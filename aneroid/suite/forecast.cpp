#include "aneroid/suite/forecast.h"

#include <map>
#include <string>

namespace aneroid::suite {
namespace {

// The constant that the array op `result` takes its weights from, by name;
// empty when it has none.
std::map<std::string, std::string> weights_of(const mil::Function& function) {
  const mil::Symbols symbols(function);
  std::map<std::string, std::string> weights;
  for (const mil::Operation& op : function.body.operations) {
    if (op.outputs.empty()) continue;
    const mil::Argument* second = op.input(op.op == "matmul" ? "y" : "weight");
    const auto* name =
        second == nullptr ? nullptr : std::get_if<mil::Ref>(&second->bound);
    const mil::Operation* from =
        name == nullptr ? nullptr : symbols.definition(name->name);
    if (from != nullptr && from->is_constant()) {
      weights[op.outputs[0].name] = name->name;
    }
  }
  return weights;
}

}  // namespace

target::ProgramWork shared_work(const mil::Program& program) {
  target::ProgramWork work = target::program_work(program);
  const mil::Function* function = program.function();
  if (function == nullptr) return work;
  const auto weights = weights_of(*function);
  std::string last;
  for (target::Work& one : work.works) {
    if (one.unit != target::Unit::kArray) continue;
    const auto found = weights.find(one.op);
    const std::string now = found == weights.end() ? "" : found->second;
    if (!now.empty() && now == last) one.weights = target::Weights::kShared;
    last = now;
  }
  return work;
}

Result<Forecast> forecast(std::span<const TestProgram> programs,
                          const target::Chip& chip, const Figure& figure) {
  target::TimingOptions options;
  options.path = figure.path;
  options.engines = figure.engines;
  options.typical = figure.statistic == Statistic::kTypical;
  options.caller_copies = figure.copies;
  Forecast result;
  double longest = 0;
  for (const TestProgram& program : programs) {
    const target::ProgramWork work = shared_work(program.program);
    options.io_bytes = work.io_bytes;
    ANEROID_ASSIGN(target::Prediction prediction,
                   target::predict(work.works, chip, options));
    result.microseconds += prediction.microseconds;
    result.task_microseconds += prediction.task_microseconds;
    if (prediction.microseconds > longest) {
      longest = prediction.microseconds;
      result.basis = prediction.basis;
    }
    result.programs.push_back({program.name, std::move(prediction)});
  }
  return result;
}

Status accepts(std::span<const TestProgram> programs, const target::Chip& chip,
               target::Path path) {
  for (const TestProgram& program : programs) {
    auto found = target::check(program.program, chip, path, {}, program.name);
    if (!found.empty()) return tl::unexpected(std::move(found.front()));
  }
  return {};
}

}  // namespace aneroid::suite
