// What a check sees and where it reports; private to this folder.
//
// To add a rule: write its check here or in checks_*.cpp, a row in rules.cpp,
// a paragraph in docs/spec/engine.md and two cases in rules_test.cpp (the
// tests insist on the last two).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aneroid/mil/ir.h"
#include "aneroid/target/target.h"

namespace aneroid::target {

// One function of a program on its way to a chip.
struct Subject {
  const mil::Program& program;
  const mil::Function& function;
  const mil::Symbols& symbols;
  const Chip& chip;
  Path path;
  std::string_view file;
};

// Where a rule is broken, with the numbers.
class Findings {
 public:
  struct Finding {
    std::string place;
    std::string message;
    const mil::Operation* operation;  // null: not about one operation
  };
  void add(std::string place, std::string message,
           const mil::Operation* operation = nullptr) {
    findings_.push_back({std::move(place), std::move(message), operation});
  }
  const std::vector<Finding>& all() const { return findings_; }

 private:
  std::vector<Finding> findings_;
};

// One operation with its names resolved.
class OpView {
 public:
  OpView(const mil::Operation& operation, const Subject& subject)
      : operation_(&operation), subject_(&subject) {}

  const mil::Operation& operation() const { return *operation_; }
  const mil::Symbols& symbols() const { return subject_->symbols; }
  const Chip& chip() const { return subject_->chip; }
  Path path() const { return subject_->path; }
  bool is(std::string_view op) const { return operation_->op == op; }

  // Null when the input is absent, a tuple, or of unknown type.
  const mil::Type* type(std::string_view input) const;
  // The input's shape when all of it is known.
  std::optional<Shape> shape(std::string_view input) const;
  // The first result's, likewise.
  std::optional<Shape> result_shape() const;
  // What computes the input; null for constants given in place, function
  // inputs and tuples.
  const mil::Operation* producer(std::string_view input) const;
  // The operations that use the first result.
  std::vector<const mil::Operation*> consumers() const;
  // Computed while running, or a function input: not a constant.
  bool is_runtime(std::string_view input) const;
  // "model.mil:12:7 op 'conv_1'"
  std::string place() const;

 private:
  const mil::Operation* operation_;
  const Subject* subject_;
};

// All operations, nested blocks included, in program order.
std::vector<const mil::Operation*> all_operations(const mil::Function&);

bool is_constant_op(const mil::Operation& operation);  // const, constexpr_*

// The names that an operation's inputs refer to, tuples included.
struct NamedInput {
  std::string_view input;  // "x"
  std::string_view name;   // "conv_1"
};
std::vector<NamedInput> references(const mil::Operation& operation);

// The constants written in an operation: attributes and literals.
std::vector<const mil::Value*> constants_of(const mil::Operation& operation);

// Whether the op works element by element: activations, unary, binary.
bool is_elementwise(const mil::Operation& operation);

// A check that looks at one operation at a time: `Check` returns what is wrong
// with it, if anything.
template <std::optional<std::string> (*Check)(const OpView&)>
void each_op(const Subject& subject, Findings& findings) {
  for (const mil::Operation* operation : all_operations(subject.function)) {
    const OpView view(*operation, subject);
    if (auto message = Check(view)) {
      findings.add(view.place(), *std::move(message), operation);
    }
  }
}

}  // namespace aneroid::target
