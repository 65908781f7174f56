#include "aneroid/interp/interp.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "aneroid/blob/blob.h"
#include "aneroid/interp/ops.h"
#include "aneroid/interp/tensor.h"

namespace aneroid::interp {
namespace {

std::string place_of(const mil::Operation& operation) {
  const std::string result =
      operation.outputs.empty() ? "" : " '" + operation.outputs[0].name + "'";
  const std::string op = operation.op + result;
  return operation.location.line == 0
             ? op
             : fmt::format("{} (line {})", op, operation.location.line);
}

// Adds the op to an error that does not know it yet.
tl::unexpected<Diagnostic> at_op(Diagnostic diagnostic,
                                 const mil::Operation& operation) {
  if (diagnostic.place.empty()) {
    diagnostic.place = place_of(operation);
  } else {
    diagnostic.notes.push_back("needed by " + place_of(operation));
  }
  return tl::unexpected(std::move(diagnostic));
}

// A declared type: known dimensions must match, '?' takes anything.
bool fits(const mil::Type& type, const HostTensor& tensor) {
  if (type.kind != mil::Type::Kind::kTensor || type.dtype != tensor.dtype ||
      type.shape.size() != tensor.shape.size()) {
    return false;
  }
  for (size_t i = 0; i < type.shape.size(); ++i) {
    if (type.shape[i] >= 0 && type.shape[i] != tensor.shape[i]) return false;
  }
  return true;
}

std::string describe(DataType dtype, const Shape& shape) {
  return fmt::format("{} {}", name(dtype), to_string(shape));
}

Status check_input(const mil::Var& parameter, const HostTensor& tensor) {
  const std::string place = "input '" + parameter.name + "'";
  const std::optional<int64_t> count =
      limited_count(tensor.shape, static_cast<int64_t>(tensor.data.size()));
  if (!count || static_cast<size_t>(*count) != tensor.data.size()) {
    return input_error(
        "interp", place,
        fmt::format("shape {} and {} elements contradict",
                    to_string(tensor.shape), tensor.data.size()));
  }
  if (!fits(parameter.type, tensor)) {
    return input_error(
        "interp", place,
        fmt::format("given {}, the program takes {}",
                    describe(tensor.dtype, tensor.shape),
                    describe(parameter.type.dtype, parameter.type.shape)));
  }
  return {};
}

void round_all(HostTensor& tensor, Rounding rounding) {
  for (double& value : tensor.data) {
    value = conform(value, tensor.dtype, rounding);
  }
}

// A const whose value is text or a list: read by name where it is used.
bool is_not_a_tensor(const mil::Operation& operation) {
  const mil::Value* value = operation.attribute("val");
  return operation.op == "const" && value != nullptr &&
         (value->type.kind != mil::Type::Kind::kTensor ||
          value->type.dtype == DataType::kString);
}

void collect_names(const mil::Argument& argument,
                   std::vector<std::string_view>& names) {
  if (const auto* ref = std::get_if<mil::Ref>(&argument.bound)) {
    names.push_back(ref->name);
  } else if (const auto* tuple = std::get_if<mil::Arguments>(&argument.bound)) {
    for (const mil::Argument& item : *tuple) collect_names(item, names);
  }
}

// Values alive, dropped after their last use so that a long program needs the
// memory of its widest moment only.
class Values {
 public:
  explicit Values(const mil::Block& block) {
    for (size_t i = 0; i < block.operations.size(); ++i) {
      std::vector<std::string_view> names;
      for (const auto& [input, argument] : block.operations[i].inputs) {
        collect_names(argument, names);
      }
      for (const std::string_view name : names) last_use_[name] = i;
    }
    for (const std::string& name : block.outputs) {
      last_use_[name] = block.operations.size();
    }
  }

  const HostTensor* find(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
  }

  void add(std::string_view name, HostTensor tensor) {
    if (last_use_.count(name) == 0) return;
    elements_ += static_cast<int64_t>(tensor.data.size());
    values_.insert_or_assign(name, std::move(tensor));
  }

  void drop_after(size_t index, const mil::Operation& operation) {
    std::vector<std::string_view> names;
    for (const auto& [input, argument] : operation.inputs) {
      collect_names(argument, names);
    }
    for (const std::string_view name : names) {
      const auto found = values_.find(name);
      if (found == values_.end() || last_use_.at(name) > index) continue;
      elements_ -= static_cast<int64_t>(found->second.data.size());
      values_.erase(found);
    }
  }

  int64_t elements() const { return elements_; }

 private:
  std::map<std::string_view, size_t> last_use_;
  std::map<std::string_view, HostTensor> values_;
  int64_t elements_ = 0;
};

Result<std::vector<std::byte>> blob_bytes(const mil::BlobRef& ref,
                                          DataType dtype, int64_t count,
                                          const WeightFiles& weights,
                                          const Options& options) {
  const auto file = weights.find(ref.path);
  if (file == weights.end()) {
    return input_error(
        "interp", ref.path,
        fmt::format("no weight file of this path among the {} given",
                    weights.size()));
  }
  auto bytes = blob::Reader(file->second, options.tolerance)
                   .read_elements(ref.offset, dtype, count);
  if (!bytes) {
    bytes.error().place = ref.path + ", " + bytes.error().place;
  }
  return bytes;
}

}  // namespace

Result<HostTensor> constant_tensor(const mil::Value& value,
                                   const WeightFiles& weights,
                                   const Options& options) {
  const mil::Type& type = value.type;
  if (type.kind != mil::Type::Kind::kTensor ||
      type.dtype == DataType::kString) {
    return input_error("interp", "",
                       "a constant that is not a tensor has no numbers");
  }
  const std::optional<int64_t> count =
      limited_count(type.shape, options.max_elements);
  if (!count) {
    return input_error(
        "interp", "",
        fmt::format("a constant of shape {} is unknown or "
                    "exceeds the limit of {} elements",
                    to_string(type.shape), options.max_elements));
  }
  HostTensor tensor{type.dtype, type.shape, {}};
  if (const auto* ref = std::get_if<mil::BlobRef>(&value.data)) {
    ANEROID_ASSIGN(const std::vector<std::byte> bytes,
                   blob_bytes(*ref, type.dtype, *count, weights, options));
    tensor.data = decode(type.dtype, bytes);
    return tensor;
  }
  const auto* bytes = std::get_if<mil::Value::Bytes>(&value.data);
  const size_t size = static_cast<size_t>(*count) * aneroid::bytes(type.dtype);
  if (bytes == nullptr || bytes->size() != size) {
    return input_error("interp", "",
                       fmt::format("a constant {} holds {} bytes, not {}",
                                   describe(type.dtype, type.shape),
                                   bytes == nullptr ? 0 : bytes->size(), size));
  }
  tensor.data = decode(type.dtype, *bytes);
  return tensor;
}

Result<std::vector<HostTensor>> evaluate_op(const mil::Operation& operation,
                                            const mil::Symbols& symbols,
                                            const Lookup& lookup,
                                            const WeightFiles& weights,
                                            const Options& options) {
  const OpFunction function = find_function(operation.op);
  if (function == nullptr) {
    return input_error(
        "interp", place_of(operation),
        "the interpreter has no meaning for op '" + operation.op + "'");
  }
  const auto context =
      Context::bind(operation, symbols, lookup, weights, options);
  if (!context) return at_op(context.error(), operation);
  Results results = function(*context);
  if (!results) return at_op(std::move(results).error(), operation);

  if (results->size() != operation.outputs.size()) {
    return input_error("interp", place_of(operation),
                       fmt::format("{} results for {} names", results->size(),
                                   operation.outputs.size()));
  }
  for (size_t i = 0; i < results->size(); ++i) {
    HostTensor& tensor = (*results)[i];
    const mil::Type& declared = operation.outputs[i].type;
    if (!fits(declared, tensor)) {
      return input_error("interp", place_of(operation),
                         fmt::format("the result is {}, declared {}",
                                     describe(tensor.dtype, tensor.shape),
                                     describe(declared.dtype, declared.shape)));
    }
    round_all(tensor, options.rounding);
  }
  return results;
}

Result<TensorMap> evaluate(const mil::Program& program, const TensorMap& inputs,
                           const WeightFiles& weights, const Options& options) {
  const mil::Function* function = program.function(options.function);
  if (function == nullptr) {
    return input_error(
        "interp", "", "the program has no function '" + options.function + "'");
  }
  const mil::Block& body = function->body;
  Values values(body);
  for (const mil::Parameter& parameter : body.inputs) {
    const auto given = inputs.find(parameter.var.name);
    if (given == inputs.end()) {
      return input_error("interp", "input '" + parameter.var.name + "'",
                         "not given");
    }
    ANEROID_TRY(check_input(parameter.var, given->second));
    HostTensor tensor = given->second;
    round_all(tensor, options.rounding);
    values.add(parameter.var.name, std::move(tensor));
  }

  const mil::Symbols symbols(*function);
  const Lookup lookup = [&values](std::string_view name) {
    return values.find(name);
  };
  for (size_t i = 0; i < body.operations.size(); ++i) {
    const mil::Operation& operation = body.operations[i];
    if (is_not_a_tensor(operation)) continue;
    Options remaining = options;
    remaining.max_elements =
        std::max<int64_t>(0, options.max_elements - values.elements());
    ANEROID_ASSIGN(auto results,
                   evaluate_op(operation, symbols, lookup, weights, remaining));
    if (options.probe && operation.op != "const") {
      options.probe(operation, results);
    }
    for (size_t r = 0; r < results.size(); ++r) {
      values.add(operation.outputs[r].name, std::move(results[r]));
    }
    values.drop_after(i, operation);
  }

  TensorMap outputs;
  for (const std::string& name : body.outputs) {
    const HostTensor* tensor = values.find(name);
    if (tensor == nullptr) {
      return input_error("interp", "output '" + name + "'", "has no value");
    }
    outputs[name] = *tensor;
  }
  return outputs;
}

}  // namespace aneroid::interp
