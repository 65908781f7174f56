#include <array>
#include <cctype>
#include <string>

#include <fmt/format.h>

#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

// Limits that all chips of a generation share.
constexpr Chip family(int generation) {
  Chip chip;
  chip.generation = generation;
  chip.max_spatial_dim = generation <= 14 ? 16384 : 65536;
  chip.max_kernel_width = generation == 13 ? 13 : 0;
  chip.max_stride = generation <= 15 ? 2 : 8;
  return chip;
}

constexpr Chip chip(std::string_view id, std::string_view name,
                    std::string_view architecture, int generation, double tops,
                    int cores = 16) {
  Chip chip = family(generation);
  chip.id = id;
  chip.name = name;
  chip.architecture = architecture;
  chip.tops = tops;
  chip.cores = cores;
  return chip;
}

constexpr Chip m1(std::string_view id, std::string_view name, double tops = 11,
                  int cores = 16) {
  Chip result = chip(id, name, "h13g", 13, tops, cores);
  result.min_surface = 2048;
  return result;
}

constexpr Chip m4(std::string_view id, std::string_view name) {
  Chip result = chip(id, name, "h16g", 16, 38);
  result.max_depth = 448;
  result.min_surface = 49152;
  return result;
}

constexpr Chip m6() {
  Chip result = chip("m6", "M6", "h18g", 18, 0, 32);
  result.engines = 2;
  result.max_depth = 386;
  return result;
}

// Apple's figures count fp16 operations up to A16 and M3, int8 from A17 Pro
// and M4. Ultra chips are two dies.
constexpr std::array kChips = {
    chip("a14", "A14", "h13", 13, 11),
    m1("m1", "M1"),
    m1("m1-pro", "M1 Pro"),
    m1("m1-max", "M1 Max"),
    m1("m1-ultra", "M1 Ultra", 22, 32),
    chip("a15", "A15", "h14", 14, 15.8),
    chip("m2", "M2", "h14g", 14, 15.8),
    chip("m2-pro", "M2 Pro", "h14g", 14, 15.8),
    chip("m2-max", "M2 Max", "h14g", 14, 15.8),
    chip("m2-ultra", "M2 Ultra", "h14g", 14, 31.6, 32),
    chip("a16", "A16", "h15", 15, 17),
    chip("m3", "M3", "h15g", 15, 18),
    chip("m3-pro", "M3 Pro", "h15g", 15, 18),
    chip("m3-max", "M3 Max", "h15g", 15, 18),
    chip("m3-ultra", "M3 Ultra", "h15g", 15, 36, 32),
    chip("a17-pro", "A17 Pro", "h16", 16, 35),
    m4("m4", "M4"),
    m4("m4-pro", "M4 Pro"),
    m4("m4-max", "M4 Max"),
    chip("a18", "A18", "h17", 17, 35),
    chip("a18-pro", "A18 Pro", "h17", 17, 35),
    chip("m5", "M5", "h17", 17, 0),
    chip("m5-pro", "M5 Pro", "h17", 17, 0),
    m6(),
};

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

std::span<const Chip> chips() { return kChips; }

Result<Chip> find_chip(std::string_view name) {
  const std::string wanted = as_id(name);
  std::string known;
  for (const Chip& candidate : kChips) {
    if (candidate.id == wanted) return candidate;
    known += known.empty() ? "" : ", ";
    known += candidate.id;
  }
  return fail(ErrorKind::kUsage, "chip", "",
              fmt::format("no chip '{}'; known: {}", name, known));
}

}  // namespace aneroid::target
