// What an op function sees of its operation: inputs by name, materialised.
// Private to this folder.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/interp/interp.h"
#include "aneroid/mil/ir.h"

namespace aneroid::interp {

using Results = Result<std::vector<HostTensor>>;

class Context {
 public:
  // Finds or materialises every input. constexpr ops and const may carry
  // theirs as attributes; both look the same from here on.
  static Result<Context> bind(const mil::Operation& operation,
                              const mil::Symbols& symbols, const Lookup& lookup,
                              const WeightFiles& weights,
                              const Options& options);

  const mil::Operation& operation() const { return *operation_; }

  // A required tensor, an optional one (null when absent), all of a tuple.
  Result<const HostTensor*> tensor(std::string_view name) const;
  const HostTensor* optional_tensor(std::string_view name) const;
  Result<std::vector<const HostTensor*>> tensors(std::string_view name) const;

  // Elements of an input, or the default when it is absent. Whole numbers
  // beyond +-2^31 are errors: no dimension, axis or pad is that large.
  Result<std::vector<int64_t>> integers(
      std::string_view name,
      std::optional<std::vector<int64_t>> otherwise = std::nullopt) const;
  Result<int64_t> integer(std::string_view name,
                          std::optional<int64_t> otherwise) const;
  Result<double> number(std::string_view name, double otherwise) const;
  Result<bool> flag(std::string_view name, bool otherwise) const;
  Result<std::string> text(std::string_view name,
                           std::string_view otherwise) const;

  // A tensor of zeros, within Options::max_elements.
  Result<HostTensor> make(DataType dtype, Shape shape) const;

  // An error of this op; its place is added by evaluate_op.
  static tl::unexpected<Diagnostic> error(std::string message);

 private:
  struct Operand {
    std::string_view name;
    std::vector<const HostTensor*> tensors;
    const mil::Value* value = nullptr;  // set for strings
  };
  Context() = default;
  Status add(const mil::Argument& argument, const mil::Symbols& symbols,
             const Lookup& lookup, const WeightFiles& weights,
             Operand& operand);
  Status add(const mil::Value& value, const WeightFiles& weights,
             Operand& operand);
  const Operand* find(std::string_view name) const;

  const mil::Operation* operation_ = nullptr;
  const Options* options_ = nullptr;
  std::vector<Operand> operands_;
  std::vector<std::unique_ptr<HostTensor>> constants_;
};

}  // namespace aneroid::interp
