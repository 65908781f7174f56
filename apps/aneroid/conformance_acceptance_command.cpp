// aneroid conformance acceptance: our verdicts against measured ones.
#include "apps/aneroid/conformance_acceptance_command.h"

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/conformance/acceptance.h"
#include "apps/aneroid/conformance_table.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using conformance::AcceptanceReport;
using conformance::AcceptanceRow;
using conformance::Counts;
using conformance::Outcome;
using Json = nlohmann::ordered_json;

struct AcceptanceOptions {
  std::string table;
  bool placement = false;
  bool json = false;
};

// ---- Text ------------------------------------------------------------------

std::string number(int count) { return fmt::format("{}", count); }

std::string share(const Counts& counts) {
  return counts.rows == 0 ? "-"
                          : fmt::format("{} / {}", counts.agree, counts.rows);
}

void print_summary(const AcceptanceReport& report) {
  Table table({{"path"},
               {"chip"},
               {"rows", Align::kRight},
               {"agree", Align::kRight},
               {"disagree", Align::kRight},
               {"not judged", Align::kRight},
               {"placement", Align::kRight}});
  const auto add = [&table](const std::string& path, const std::string& chip,
                            const Counts& support, const Counts& placement) {
    table.add({visible(path), visible(chip), number(support.rows),
               number(support.agree), number(support.disagree),
               number(support.not_judged), share(placement)});
  };
  for (const AcceptanceReport::Group& group : report.groups) {
    add(group.path, group.chip, group.support, group.placement);
  }
  add("all", "", report.support, report.placement);
  print("{}", table.to_string());
}

// What a reader needs to look into a row: where it is, what was measured, what
// we say and why.
void print_row(const AcceptanceOptions& options, const AcceptanceRow& row,
               std::string_view title, const std::string& answer) {
  constexpr size_t kIndent = 4;
  print("{}:{}: {}: {} | {} | {}\n", visible(options.table), row.line, title,
        visible(row.op), visible(row.variant), visible(row.chip));
  const std::string text =
      fmt::format("measured {}; {}", visible(row.verdict), visible(answer));
  print("    {}\n", wrap(text, terminal_width(stdout), kIndent));
}

void print_failures(const AcceptanceOptions& options,
                    const AcceptanceReport& report) {
  for (const AcceptanceRow& row : report.rows) {
    if (row.support == Outcome::kNotJudged) {
      print_row(options, row, "not judged", row.why_not);
      continue;
    }
    if (row.support == Outcome::kDisagrees) {
      print_row(options, row, "support",
                fmt::format("judged {} by {}: {}", name(row.judgement.support),
                            row.judgement.decided_by, row.judgement.reason));
    }
    if (row.placement == Outcome::kDisagrees) {
      print_row(options, row, "placement",
                fmt::format("estimated {}: {:.1f} us on the engine, {:.1f} us "
                            "on the CPU (C105)",
                            row.place.on_engine ? "engine" : "CPU",
                            row.place.engine_us, row.place.cpu_us));
    }
  }
}

// ---- JSON ------------------------------------------------------------------

Json to_json(const AcceptanceRow& row) {
  Json json = {{"line", row.line},
               {"op", row.op},
               {"variant", row.variant},
               {"api", row.api},
               {"chip", row.chip},
               {"verdict", row.verdict},
               {"support", name(row.support)},
               {"judged", name(row.judgement.support)},
               {"decided_by", row.judgement.decided_by},
               {"reason", row.judgement.reason}};
  if (row.support == Outcome::kNotJudged) json["why_not"] = row.why_not;
  if (row.placement) {
    json["placement"] = {{"outcome", name(*row.placement)},
                         {"on_engine", row.place.on_engine},
                         {"cpu_us", row.place.cpu_us}};
    // JSON has no infinity: an op never scheduled on the engine has no time.
    if (std::isfinite(row.place.engine_us)) {
      json["placement"]["engine_us"] = row.place.engine_us;
    }
  }
  return json;
}

void print_report_json(const AcceptanceReport& report, bool good) {
  Json json = {{"good", good},
               {"support", counts_json(report.support)},
               {"placement", counts_json(report.placement)}};
  json["groups"] = Json::array();
  for (const AcceptanceReport::Group& group : report.groups) {
    json["groups"].push_back({{"path", group.path},
                              {"chip", group.chip},
                              {"support", counts_json(group.support)},
                              {"placement", counts_json(group.placement)}});
  }
  json["rows"] = Json::array();
  for (const AcceptanceRow& row : report.rows) {
    json["rows"].push_back(to_json(row));
  }
  print_json(json);
}

// ---- Command ---------------------------------------------------------------

Result<int> run_acceptance(const AcceptanceOptions& options) {
  ANEROID_ASSIGN(const std::string text,
                 read_file(options.table, kLongestTable));
  ANEROID_ASSIGN(const AcceptanceReport report,
                 conformance::check_acceptance(text, options.table));
  const bool good = report.support.disagree == 0 &&
                    (!options.placement || report.placement.disagree == 0);
  if (options.json) {
    print_report_json(report, good);
  } else {
    print_failures(options, report);
    print_summary(report);
  }
  return good ? kGood : kAnswerNo;
}

}  // namespace

void setup_conformance_acceptance(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_acceptance);
  describe(command,
           "Compares the rules and the vocabulary of the software engine with "
           "a table of what engines were seen to accept; "
           "docs/spec/acceptance.md has its format. Rows that cannot be read "
           "are listed as not judged. Where Core ML would place an op is an "
           "estimate and counts only with --placement. Exit code 0: all "
           "judged rows agree; 1: some disagree; 3: not such a table.",
           "  aneroid conformance acceptance --table ane-acceptance.csv\n"
           "  aneroid conformance acceptance --table ane-acceptance.csv "
           "--json\n");
  command
      .add_option("--table", options->table, "CSV file of measured verdicts")
      ->type_name("FILE")
      ->required();
  command.add_flag("--placement", options->placement,
                   "rows placed elsewhere than estimated are disagreements");
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
