#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "aneroid/target/checks.h"
#include "aneroid/target/target.h"

namespace aneroid::target {
namespace {

Diagnostic report(const Rule& rule, const Findings::Finding& finding) {
  Diagnostic diagnostic;
  diagnostic.kind = ErrorKind::kDevice;
  diagnostic.label = rule.id;
  diagnostic.place = finding.place;
  const std::string silently =
      rule.phase == Phase::kSilent
          ? fmt::format("; the chip would silently go wrong ({})", rule.symptom)
          : "";
  diagnostic.message =
      fmt::format("{}{}; {}", finding.message, silently, rule.workaround);
  diagnostic.notes.push_back(fmt::format(
      "symptom ({}): {}; known on {}, confidence {}", name(rule.phase),
      rule.symptom, rule.known_on, rule.confidence));
  return diagnostic;
}

// Calls visit(rule, finding) for every violation.
template <typename Visit>
void each_finding(const mil::Program& program, const Chip& chip, Path path,
                  const CheckOptions& options, std::string_view file,
                  Visit visit) {
  for (const mil::Function& function : program.functions) {
    const mil::Symbols symbols(function);
    const Subject subject{program, function, symbols, chip, path, file};
    for (const Rule& rule : rules()) {
      if (rule.check == nullptr || !is_active(rule, chip, path, options)) {
        continue;
      }
      Findings findings;
      rule.check(subject, findings);
      for (const Findings::Finding& finding : findings.all()) {
        visit(rule, finding);
      }
    }
  }
}

template <typename Visit>
void each_finding(const SurfaceSizes& sizes, const Chip& chip, Path path,
                  const CheckOptions& options, Visit visit) {
  for (const Rule& rule : rules()) {
    if (rule.check_surfaces == nullptr ||
        !is_active(rule, chip, path, options)) {
      continue;
    }
    Findings findings;
    rule.check_surfaces(sizes, chip, findings);
    for (const Findings::Finding& finding : findings.all()) {
      visit(rule, finding);
    }
  }
}

bool has_effect(const Rule& rule) {
  return rule.silent_effect != SilentEffect::kNone;
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
  each_finding(program, chip, path, options, file,
               [&](const Rule& rule, const Findings::Finding& finding) {
                 if (options.faithful_silent && has_effect(rule)) return;
                 diagnostics.push_back(report(rule, finding));
               });
  return diagnostics;
}

std::vector<SilentFinding> silent_findings(const mil::Program& program,
                                           const Chip& chip, Path path,
                                           const CheckOptions& options,
                                           std::string_view file) {
  std::vector<SilentFinding> silent;
  each_finding(
      program, chip, path, options, file,
      [&](const Rule& rule, const Findings::Finding& finding) {
        if (!has_effect(rule)) return;
        silent.push_back({&rule, finding.operation, report(rule, finding)});
      });
  return silent;
}

Status check_surfaces(const SurfaceSizes& sizes, const Chip& chip, Path path,
                      const CheckOptions& options) {
  std::optional<Diagnostic> first;
  each_finding(sizes, chip, path, options,
               [&](const Rule& rule, const Findings::Finding& finding) {
                 if (options.faithful_silent && has_effect(rule)) return;
                 if (!first) first = report(rule, finding);
               });
  if (first) return tl::unexpected(*std::move(first));
  return {};
}

std::vector<SilentFinding> silent_findings(const SurfaceSizes& sizes,
                                           const Chip& chip, Path path,
                                           const CheckOptions& options) {
  std::vector<SilentFinding> silent;
  each_finding(sizes, chip, path, options,
               [&](const Rule& rule, const Findings::Finding& finding) {
                 if (!has_effect(rule)) return;
                 silent.push_back({&rule, nullptr, report(rule, finding)});
               });
  return silent;
}

}  // namespace aneroid::target
