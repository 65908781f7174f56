// Errors as values: what went wrong, where, with which numbers, and what to do.
//
// Libraries return Result<T> or Status; they neither print nor exit. The
// command line turns a Diagnostic into text on stderr and an exit code.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace aneroid {

// What kind of thing failed; decides the exit code of the command.
enum class ErrorKind {
  kAnswerNo,  // the question was understood and the answer is no: exit 1
  kUsage,     // the request contradicts itself: exit 2
  kInput,     // a file or value given to us is bad, or cannot be
              // read or written: exit 3
  kDevice,    // the device refused or failed: exit 4
};

struct Diagnostic {
  ErrorKind kind = ErrorKind::kInput;
  std::string label;    // a rule or subsystem: "C090", "mil.parse", "shard"
  std::string place;    // "model.mil:12:7", "tensor layers.0.wq"; may be empty
  std::string message;  // the numbers, and what to do
  std::vector<std::string> notes;
};

// "place: error [label]: message", then one "  note: ..." line per note.
std::string to_string(const Diagnostic& diagnostic);

// Exit code of design.md: 1 no, 2 usage, 3 bad input, 4 device.
int exit_code(ErrorKind kind);

template <typename T>
using Result = tl::expected<T, Diagnostic>;
using Status = Result<void>;

inline tl::unexpected<Diagnostic> fail(ErrorKind kind, std::string label,
                                       std::string place, std::string message) {
  return tl::unexpected(Diagnostic{
      kind, std::move(label), std::move(place), std::move(message), {}});
}
inline tl::unexpected<Diagnostic> input_error(std::string label,
                                              std::string place,
                                              std::string message) {
  return fail(ErrorKind::kInput, std::move(label), std::move(place),
              std::move(message));
}
inline tl::unexpected<Diagnostic> device_error(std::string label,
                                               std::string place,
                                               std::string message) {
  return fail(ErrorKind::kDevice, std::move(label), std::move(place),
              std::move(message));
}

}  // namespace aneroid

// NOLINTBEGIN(bugprone-macro-parentheses): the targets are declarations
#define ANEROID_CONCAT_INNER(a, b) a##b
#define ANEROID_CONCAT(a, b) ANEROID_CONCAT_INNER(a, b)

// Returns the error of a Status or Result from the enclosing function.
#define ANEROID_TRY(expression)                                 \
  do {                                                          \
    if (auto aneroid_status = (expression); !aneroid_status) {  \
      return tl::unexpected(std::move(aneroid_status).error()); \
    }                                                           \
  } while (false)

// ANEROID_ASSIGN(auto x, f()): declares or assigns from a Result, or returns
// its error.
#define ANEROID_ASSIGN(target, expression)                                \
  ANEROID_ASSIGN_INNER(ANEROID_CONCAT(aneroid_result_, __LINE__), target, \
                       expression)
#define ANEROID_ASSIGN_INNER(result, target, expression) \
  auto result = (expression);                            \
  if (!result) {                                         \
    return tl::unexpected(std::move(result).error());    \
  }                                                      \
  target = std::move(*result)
// NOLINTEND(bugprone-macro-parentheses)
