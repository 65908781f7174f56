// What the engine accepts: chips and rules as data, and the checks that cite
// them. docs/spec/engine.md explains every rule to users.
//
// A rule is known for some chips and some paths to the engine, at some phase,
// with some confidence. Contested rules are off unless CheckOptions::strict.
// All functions are pure and thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/mil/ir.h"

namespace aneroid::target {

// ---- Chips -----------------------------------------------------------------

struct Chip {
  std::string_view id;            // "m4-pro": what --chip takes
  std::string_view name;          // "M4 Pro"
  std::string_view architecture;  // "h16g": the compiler's name for it
  int generation = 0;             // 16: families share limits
  int engines = 1;                // independent engines on the chip
  int cores = 16;                 // neural cores, all engines together
  double tops = 0.0;              // Apple's figure; 0 when undisclosed

  // Limits that rules read; 0 where none is known.
  int64_t max_dim = 65536;       // C031, any dimension
  int64_t max_spatial_dim = 0;   // C031, height and width
  int64_t max_kernel_width = 0;  // C035
  int64_t max_stride = 0;        // C036
  int64_t max_depth = 0;         // C092, ops in a chain
  uint64_t min_surface = 0;      // C015, bytes
};

// All known chips, oldest first.
std::span<const Chip> chips();
// By id or name, in any case; spaces and '-' are the same. Error ("chip",
// usage) lists the ids.
Result<Chip> find_chip(std::string_view name);

// ---- Rules -----------------------------------------------------------------

// How a program reaches the engine; a rule seen on one is often absent on
// another.
enum class Path : uint8_t {
  kRaw,     // private in-memory MIL: what training uses
  kCoreml,  // an app's model through Core ML
  kE5,      // the compiled-program runtime below Core ML
};
std::string_view name(Path path);  // "raw", "coreml", "e5"

// When the engine shows the fault.
enum class Phase : uint8_t {
  kParse,     // the text is refused
  kCompile,   // the compiler fails
  kEvaluate,  // a call fails
  kSilent,    // wrong numbers and no error
  kTiming,    // right but slow
};
std::string_view name(Phase phase);

enum class Enforcement : uint8_t {
  kDefault,     // check() refuses
  kStrict,      // contested: check() refuses under CheckOptions::strict
  kEmulator,    // needs state over time: the software engine refuses
  kDocumented,  // behaviour that nobody can violate, only be surprised by
};
std::string_view name(Enforcement enforcement);

struct Subject;
class Findings;
struct SurfaceSizes;

struct Rule {
  std::string_view id;         // "C031"
  std::string_view summary;    // a few words
  std::string_view condition;  // what must hold
  Phase phase = Phase::kCompile;
  std::string_view symptom;     // what the engine shows
  std::string_view workaround;  // what to do
  char confidence = 'B';        // A repeated, B measured once, C inferred
  Enforcement enforcement = Enforcement::kDefault;
  std::string_view known_on;  // words for known_for()
  bool (*known_for)(const Chip&) = nullptr;
  std::span<const Path> paths;

  // Null when there is nothing to check at that moment; see checks.h.
  void (*check)(const Subject&, Findings&) = nullptr;
  void (*check_surfaces)(const SurfaceSizes&, const Chip&, Findings&) = nullptr;
};

// In the order of their ids.
std::span<const Rule> rules();
// Null when there is no such rule.
const Rule* find_rule(std::string_view id);
// Whether check() enforces the rule for this chip and path.
struct CheckOptions;
bool is_active(const Rule& rule, const Chip& chip, Path path,
               const CheckOptions& options);

// ---- Checks ----------------------------------------------------------------

struct CheckOptions {
  bool strict = false;  // enforce contested rules too
};

// Every violation, by rule then by place; empty when the engine accepts the
// program. Label: the rule's id; kind: device. The place is
// "file:line:column op 'name'", or "op 'name'" for a built program; the
// message has the numbers and the workaround; a note has the symptom. The
// program should have passed mil::verify; one that has not is judged as far
// as it makes sense.
std::vector<Diagnostic> check(const mil::Program& program, const Chip& chip,
                              Path path, const CheckOptions& options = {},
                              std::string_view file = "mil");

// Allocated bytes of the surfaces of one call, in the order bound.
struct SurfaceSizes {
  std::span<const uint64_t> inputs;
  std::span<const uint64_t> outputs;
};

// The rules that the engine applies when a program is evaluated: C013, C015
// (strict), C024. The first violation; its place is "surfaces".
Status check_surfaces(const SurfaceSizes& sizes, const Chip& chip, Path path,
                      const CheckOptions& options = {});

}  // namespace aneroid::target
