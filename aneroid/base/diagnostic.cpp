#include "aneroid/base/diagnostic.h"

#include <fmt/format.h>

namespace aneroid {

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = diagnostic.place.empty() ? "" : diagnostic.place + ": ";
  text += fmt::format("error [{}]: {}", diagnostic.label, diagnostic.message);
  for (const std::string& note : diagnostic.notes) {
    text += "\n  note: " + note;
  }
  return text;
}

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kAnswerNo:
      return 1;
    case ErrorKind::kUsage:
      return 2;
    case ErrorKind::kInput:
      return 3;
    case ErrorKind::kDevice:
      return 4;
  }
  return 3;
}

}  // namespace aneroid
