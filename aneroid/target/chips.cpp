#include <cctype>
#include <string>

#include <fmt/format.h>

#include "aneroid/target/chips_file.h"
#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

std::string as_id(std::string_view name) {
  std::string id;
  for (const char letter : name) {
    id += letter == ' ' || letter == '_'
              ? '-'
              : static_cast<char>(
                    std::tolower(static_cast<unsigned char>(letter)));
  }
  return id;
}

}  // namespace

const Figure* Chip::figure(std::string_view key) const {
  for (const Figure& figure : figures) {
    if (figure.key == key) return &figure;
  }
  return nullptr;
}

std::span<const Chip> chips() { return chips_file().chips; }

Result<Chip> find_chip(std::string_view name) {
  const std::string wanted = as_id(name);
  std::string known;
  for (const Chip& candidate : chips()) {
    if (candidate.id == wanted) return candidate;
    known += known.empty() ? "" : ", ";
    known += candidate.id;
  }
  return fail(ErrorKind::kUsage, "chip", "",
              fmt::format("no chip '{}'; known: {}", name, known));
}

}  // namespace aneroid::target
