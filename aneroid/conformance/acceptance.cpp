#include "aneroid/conformance/acceptance.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "aneroid/base/csv.h"
#include "aneroid/conformance/acceptance_variant.h"

namespace aneroid::conformance {
namespace {

using target::Judgement;
using target::Support;
using target::Surroundings;

// How a row reached the engine.
struct Way {
  std::string_view word;  // in the column `api`
  target::Path path;
  Surroundings surroundings;
  std::string_view name;
};
// The first whose word occurs counts.
constexpr std::array kWays = {
    Way{"ANECCompile", target::Path::kRaw, Surroundings::kAlone, "raw"},
    Way{"e5rt", target::Path::kE5, Surroundings::kAlone, "e5"},
    Way{"op between", target::Path::kCoreml, Surroundings::kBetweenLayers,
        "coreml between layers"},
    Way{"Core ML", target::Path::kCoreml, Surroundings::kAlone, "coreml alone"},
};

const Way* find_way(std::string_view api) {
  const auto found = std::ranges::find_if(kWays, [api](const Way& way) {
    return api.find(way.word) != std::string_view::npos;
  });
  return found == kWays.end() ? nullptr : &*found;
}

// "M4 (h16g)": the name, without what is in brackets.
Result<target::Chip> read_chip(std::string_view text) {
  text = text.substr(0, text.find('('));
  while (text.ends_with(' ')) text.remove_suffix(1);
  return target::find_chip(text);
}

// The forms of a row stand or fall together: the first that is not plainly
// accepted speaks for all.
Judgement judge_all(const std::vector<target::OpForm>& forms,
                    const target::Chip& chip, target::Path path) {
  Judgement worst;
  for (size_t i = 0; i < forms.size(); ++i) {
    const Judgement judgement = target::judge(forms[i], chip, path);
    if (i == 0 || judgement.support != Support::kSupported) worst = judgement;
    if (judgement.support == Support::kRefused) break;
  }
  return worst;
}

Outcome compare(Measured measured, const Judgement& judgement) {
  const auto agree = [](bool agrees) {
    return agrees ? Outcome::kAgrees : Outcome::kDisagrees;
  };
  // What is folded is accepted, and needs no engine.
  const bool accepts = judgement.support == Support::kSupported ||
                       judgement.support == Support::kFolded;
  switch (measured) {
    case Measured::kAccepted:
      return agree(accepts);
    case Measured::kRefused:
      return agree(judgement.support == Support::kRefused);
    case Measured::kFolded:
      return agree(judgement.support == Support::kFolded);
    case Measured::kStopped:
      return agree(judgement.heavy);
    case Measured::kUnreadable:
    case Measured::kNoAnswer:
      break;
  }
  return Outcome::kNotJudged;
}

// Fills in the answers; returns the way for the groups.
const Way* judge_row(AcceptanceRow& row) {
  const Verdict verdict = read_verdict(row.verdict);
  const Way* way = find_way(row.api);
  if (way == nullptr) {
    row.why_not = fmt::format("no way to the engine in api '{}'", row.api);
    return nullptr;
  }
  const Result<target::Chip> chip = read_chip(row.chip);
  if (!chip) {
    row.why_not = chip.error().message;
    return way;
  }
  if (verdict.support == Measured::kUnreadable) {
    row.why_not = fmt::format("no known word in verdict '{}'", row.verdict);
    return way;
  }
  const std::vector<target::OpForm> forms = read_forms(row.op, row.variant);
  if (forms.empty()) {
    row.why_not = "no op";
    return way;
  }
  row.judgement = judge_all(forms, *chip, way->path);
  if (verdict.support == Measured::kNoAnswer) {
    row.why_not = "the measurement failed before an engine was asked";
    return way;
  }
  if (row.judgement.support == Support::kUnknown) {
    row.why_not = row.judgement.reason;
    return way;
  }
  row.support = compare(verdict.support, row.judgement);
  if (verdict.placed_on_engine && verdict.support == Measured::kAccepted) {
    row.place = target::place(forms.back(), row.judgement, way->surroundings);
    row.placement = row.place.on_engine == *verdict.placed_on_engine
                        ? Outcome::kAgrees
                        : Outcome::kDisagrees;
  }
  return way;
}

AcceptanceReport::Group& group_of(AcceptanceReport& report,
                                  std::string_view path,
                                  const std::string& chip) {
  const auto found = std::ranges::find_if(
      report.groups, [&](const AcceptanceReport::Group& group) {
        return group.path == path && group.chip == chip;
      });
  if (found != report.groups.end()) return *found;
  report.groups.push_back({std::string(path), chip, {}, {}});
  return report.groups.back();
}

}  // namespace

Verdict read_verdict(std::string_view text) {
  struct Word {
    std::string_view word;
    Measured measured;
  };
  // The first that the text begins with counts.
  constexpr std::array<Word, 15> kWords = {{
      {"ane_supported", Measured::kAccepted},
      {"cpu_only", Measured::kRefused},
      {"compiles", Measured::kAccepted},
      {"runs", Measured::kAccepted},
      {"fails", Measured::kRefused},
      {"compile_fails", Measured::kRefused},
      {"run_fails", Measured::kRefused},
      {"folded", Measured::kFolded},
      {"out of memory", Measured::kStopped},
      {"watchdog", Measured::kStopped},
      {"parse_error", Measured::kNoAnswer},
      {"timeout", Measured::kNoAnswer},
      {"placed_ane", Measured::kAccepted},
      {"placed_cpu (no ANE", Measured::kRefused},
      {"not supported", Measured::kRefused},
  }};
  Verdict verdict;
  for (const Word& word : kWords) {
    if (!text.starts_with(word.word)) continue;
    verdict.support = word.measured;
    break;
  }
  if (text.find("placed_ane") != std::string_view::npos) {
    verdict.placed_on_engine = true;
  } else if (text.find("placed_cpu") != std::string_view::npos) {
    verdict.placed_on_engine = false;
  }
  return verdict;
}

std::string_view name(Measured measured) {
  constexpr std::array<std::string_view, 6> kNames = {
      "unreadable", "accepted", "refused", "folded", "stopped", "no answer"};
  return kNames[static_cast<size_t>(measured)];
}

Result<AcceptanceReport> check_acceptance(std::string_view table,
                                          std::string_view place) {
  ANEROID_ASSIGN(const CsvTable csv, CsvTable::parse(table, place));
  ANEROID_ASSIGN(const size_t op, csv.column("op"));
  ANEROID_ASSIGN(const size_t variant, csv.column("variant"));
  ANEROID_ASSIGN(const size_t api, csv.column("api"));
  ANEROID_ASSIGN(const size_t chip, csv.column("chip"));
  ANEROID_ASSIGN(const size_t verdict, csv.column("verdict"));

  AcceptanceReport report;
  for (size_t i = 0; i < csv.rows(); ++i) {
    AcceptanceRow row;
    row.line = csv.line(i);
    row.op = csv.at(i, op);
    row.variant = csv.at(i, variant);
    row.api = csv.at(i, api);
    row.chip = csv.at(i, chip);
    row.verdict = csv.at(i, verdict);
    const Way* way = judge_row(row);

    AcceptanceReport::Group& group =
        group_of(report, way == nullptr ? "unknown" : way->name, row.chip);
    group.support.add(row.support);
    report.support.add(row.support);
    if (row.placement) {
      group.placement.add(*row.placement);
      report.placement.add(*row.placement);
    }
    report.rows.push_back(std::move(row));
  }
  return report;
}

}  // namespace aneroid::conformance
