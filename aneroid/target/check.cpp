#include <algorithm>

#include <fmt/format.h>

#include "aneroid/target/checks.h"
#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

void report(const Rule& rule, const Findings& findings,
            std::vector<Diagnostic>& diagnostics) {
  for (const Findings::Finding& finding : findings.all()) {
    Diagnostic diagnostic;
    diagnostic.kind = ErrorKind::kDevice;
    diagnostic.label = rule.id;
    diagnostic.place = finding.place;
    diagnostic.message =
        fmt::format("{}; {}", finding.message, rule.workaround);
    diagnostic.notes.push_back(fmt::format(
        "symptom ({}): {}; known on {}, confidence {}", name(rule.phase),
        rule.symptom, rule.known_on, rule.confidence));
    diagnostics.push_back(std::move(diagnostic));
  }
}

}  // namespace

bool is_active(const Rule& rule, const Chip& chip, Path path,
               const CheckOptions& options) {
  const bool enforced =
      rule.enforcement == Enforcement::kDefault ||
      (rule.enforcement == Enforcement::kStrict && options.strict);
  return enforced && rule.known_for(chip) &&
         std::find(rule.paths.begin(), rule.paths.end(), path) !=
             rule.paths.end();
}

std::vector<Diagnostic> check(const mil::Program& program, const Chip& chip,
                              Path path, const CheckOptions& options,
                              std::string_view file) {
  std::vector<Diagnostic> diagnostics;
  for (const mil::Function& function : program.functions) {
    const mil::Symbols symbols(function);
    const Subject subject{program, function, symbols, chip, file};
    for (const Rule& rule : rules()) {
      if (rule.check == nullptr || !is_active(rule, chip, path, options)) {
        continue;
      }
      Findings findings;
      rule.check(subject, findings);
      report(rule, findings, diagnostics);
    }
  }
  return diagnostics;
}

Status check_surfaces(const SurfaceSizes& sizes, const Chip& chip, Path path,
                      const CheckOptions& options) {
  for (const Rule& rule : rules()) {
    if (rule.check_surfaces == nullptr ||
        !is_active(rule, chip, path, options)) {
      continue;
    }
    Findings findings;
    rule.check_surfaces(sizes, chip, findings);
    std::vector<Diagnostic> diagnostics;
    report(rule, findings, diagnostics);
    if (!diagnostics.empty()) {
      return tl::unexpected(std::move(diagnostics.front()));
    }
  }
  return {};
}

}  // namespace aneroid::target
