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

// One published or derived number about a chip.
struct Figure {
  std::string_view key;    // "weight_gbs"
  std::string_view title;  // "weight bandwidth"
  std::string_view unit;   // "GB/s"
  double value = 0.0;
  std::string_view source;  // who says so
  char confidence = 'C';    // A repeated, B measured once, C inferred
};

// A row of chips.json, which docs/spec/chips.md explains.
struct Chip {
  std::string_view id;            // "m4-pro": what --chip takes
  std::string_view name;          // "M4 Pro"
  std::string_view architecture;  // "h16g": the compiler's name; "" unknown
  int generation = 0;             // 16: families share limits
  int engines = 1;                // independent engines on the chip
  int cores = 16;                 // neural cores, all engines together
  double tops = 0.0;              // Apple's figure; 0 when undisclosed
  bool open = true;               // programs of others can reach the engine

  // Limits that rules read; 0 where none is known.
  int64_t max_dim = 65536;       // C031, any dimension
  int64_t max_spatial_dim = 0;   // C031, height and width
  int64_t max_kernel_width = 0;  // C035
  int64_t max_stride = 0;        // C036
  int64_t max_depth = 0;         // C092, ops in a chain
  uint64_t min_surface = 0;      // C015, bytes

  // What is known of it, in the order of figure_kinds().
  std::span<const Figure> figures;
  // Null when unknown.
  const Figure* figure(std::string_view key) const;

  // The parameters of timing.h that apply, and whether the public timing
  // table has rows of this chip; without, they are a neighbour's.
  std::string_view timing_class;
  bool timed = false;
};

// What can be known of a chip: key, title and unit of its figures.
std::span<const Figure> figure_kinds();

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
  kParse,      // the text is refused
  kCompile,    // the compiler fails
  kEvaluate,   // a call fails
  kSilent,     // wrong numbers and no error
  kTiming,     // right but slow
  kPlacement,  // Core ML leaves the op on the CPU
};
std::string_view name(Phase phase);

enum class Enforcement : uint8_t {
  kDefault,     // check() refuses
  kStrict,      // contested: check() refuses under CheckOptions::strict
  kEmulator,    // needs more than the program: the software engine refuses
  kDocumented,  // nothing a program or a call can violate; Rule::why says why
};
std::string_view name(Enforcement enforcement);

// What a rule of Phase::kSilent makes of the numbers, where the sources say so
// well enough to compute it.
enum class SilentEffect : uint8_t {
  kNone,          // not silent, or wrong in a way nobody described
  kExchanged,     // surfaces are bound in another order
  kZeros,         // the result is zero
  kMaskIgnored,   // attention as if it had no mask
  kStaleWeights,  // the weights of the last compile
  kSqrtFusion,    // real_div(x, sqrt(v)) gives sqrt(v) / x; a mul that
                  // broadcasts sqrt(v) keeps its first channel, zero elsewhere
  kClampSixteenth,  // |v| above 65504 / 16 becomes infinity
};
std::string_view name(SilentEffect effect);  // "zeros"

struct Subject;
class Findings;
struct SurfaceSizes;

struct Rule {
  std::string_view id;         // "C031"
  std::string_view summary;    // a few words
  std::string_view condition;  // what must hold
  Phase phase = Phase::kCompile;
  std::string_view symptom;      // what the engine shows
  std::string_view workaround;   // what to do
  std::string_view source = {};  // who reported it: docs/spec/engine.md
  std::string_view os = {};      // where it was seen, when the source says
  char confidence = 'B';         // A repeated, B measured once, C inferred
  Enforcement enforcement = Enforcement::kDefault;
  std::string_view why = {};  // kDocumented: why there is nothing to refuse
  SilentEffect silent_effect = SilentEffect::kNone;
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
  // Violations whose silent_effect is known are not refused: the caller will
  // compute the wrong result, as the chip does (see silent_findings).
  bool faithful_silent = false;
};

// Every violation, by rule then by place; empty when the engine accepts the
// program. Label: the rule's id; kind: device. The place is
// "file:line:column op 'name'", or "op 'name'" for a built program; the
// message has the numbers, for Phase::kSilent what "the chip would silently"
// do, and the workaround; a note has the symptom. The program should have
// passed mil::verify; one that has not is judged as far as it makes sense.
std::vector<Diagnostic> check(const mil::Program& program, const Chip& chip,
                              Path path, const CheckOptions& options = {},
                              std::string_view file = "mil");

// What check() leaves out under `faithful_silent`: where a program gets a
// documented wrong result, in the order of check(). Borrows the program.
struct SilentFinding {
  const Rule* rule = nullptr;
  const mil::Operation* operation = nullptr;  // null: of the whole program
  Diagnostic diagnostic;                      // as check() would give it
};
std::vector<SilentFinding> silent_findings(const mil::Program& program,
                                           const Chip& chip, Path path,
                                           const CheckOptions& options = {},
                                           std::string_view file = "mil");

// Allocated bytes of the surfaces of one call, in the order bound.
struct SurfaceSizes {
  std::span<const uint64_t> inputs;
  std::span<const uint64_t> outputs;
};

// The rules that the engine applies when a program is evaluated: C013, C024
// and, when strict, C014, C015 and C109. The first violation; its place is
// "surfaces".
Status check_surfaces(const SurfaceSizes& sizes, const Chip& chip, Path path,
                      const CheckOptions& options = {});
// What check_surfaces() leaves out under `faithful_silent`.
std::vector<SilentFinding> silent_findings(const SurfaceSizes& sizes,
                                           const Chip& chip, Path path,
                                           const CheckOptions& options = {});

}  // namespace aneroid::target
