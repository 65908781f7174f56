// aneroid conformance arithmetic: our arithmetic against measured cases.
#include "apps/aneroid/conformance_arithmetic_command.h"

#include <string>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/conformance/arithmetic.h"
#include "apps/aneroid/conformance_table.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using conformance::ArithmeticReport;
using conformance::ArithmeticRow;
using conformance::Counts;
using conformance::Outcome;
using Json = nlohmann::ordered_json;

struct ArithmeticOptions {
  std::string table;
  bool json = false;
};

// ---- Text ------------------------------------------------------------------

std::string number(int count) { return fmt::format("{}", count); }

std::string share(const Counts& counts) {
  const int judged = counts.rows - counts.not_judged;
  return judged == 0 ? "-" : fmt::format("{} / {}", counts.agree, judged);
}

void print_summary(const ArithmeticReport& report) {
  Table table({{"kind"},
               {"rows", Align::kRight},
               {"agree", Align::kRight},
               {"disagree", Align::kRight},
               {"not judged", Align::kRight},
               {"CPU", Align::kRight}});
  const auto add = [&table](const std::string& kind, const Counts& engine,
                            const Counts& fallback) {
    table.add({visible(kind), number(engine.rows), number(engine.agree),
               number(engine.disagree), number(engine.not_judged),
               share(fallback)});
  };
  for (const ArithmeticReport::Group& group : report.groups) {
    add(group.kind, group.engine, group.fallback);
  }
  add("all", report.engine, report.fallback);
  print("{}", table.to_string());
}

void print_row(const ArithmeticOptions& options, const ArithmeticRow& row,
               std::string_view title, const std::string& answer) {
  constexpr size_t kIndent = 4;
  print("{}:{}: {}: {} | {}\n", visible(options.table), row.line, title,
        visible(row.kind), visible(row.id));
  print("    {}\n", wrap(answer, terminal_width(stdout), kIndent));
}

void print_failures(const ArithmeticOptions& options,
                    const ArithmeticReport& report) {
  for (const ArithmeticRow& row : report.rows) {
    if (row.outcome == Outcome::kNotJudged) {
      print_row(options, row, "not judged", visible(row.why));
    }
    if (row.outcome == Outcome::kDisagrees) {
      std::string answer =
          row.why.empty() ? fmt::format("measured {}; computed {}",
                                        visible(row.expected), row.computed)
                          : visible(row.why);
      if (!row.open.empty()) answer += "; open: " + row.open;
      print_row(options, row, "engine", answer);
    }
    if (row.fallback == Outcome::kDisagrees) {
      print_row(
          options, row, "CPU",
          fmt::format("measured {}; computed {}",
                      visible(row.fallback_expected), row.fallback_computed));
    }
  }
}

// ---- JSON ------------------------------------------------------------------

Json to_json(const ArithmeticRow& row) {
  Json json = {{"line", row.line},         {"id", row.id},
               {"kind", row.kind},         {"expected", row.expected},
               {"computed", row.computed}, {"outcome", name(row.outcome)}};
  if (!row.why.empty()) json["why"] = row.why;
  if (!row.open.empty()) json["open"] = row.open;
  if (row.fallback) {
    json["cpu"] = {{"outcome", name(*row.fallback)},
                   {"expected", row.fallback_expected},
                   {"computed", row.fallback_computed}};
  }
  return json;
}

void print_report_json(const ArithmeticReport& report) {
  Json json = {{"good", report.good()},
               {"format", name(report.format)},
               {"engine", counts_json(report.engine)},
               {"cpu", counts_json(report.fallback)}};
  json["groups"] = Json::array();
  for (const ArithmeticReport::Group& group : report.groups) {
    json["groups"].push_back({{"kind", group.kind},
                              {"engine", counts_json(group.engine)},
                              {"cpu", counts_json(group.fallback)}});
  }
  json["rows"] = Json::array();
  for (const ArithmeticRow& row : report.rows) {
    json["rows"].push_back(to_json(row));
  }
  print_json(json);
}

// ---- Command ---------------------------------------------------------------

Result<int> run_arithmetic(const ArithmeticOptions& options) {
  ANEROID_ASSIGN(const std::string text,
                 read_file(options.table, kLongestTable));
  ANEROID_ASSIGN(const ArithmeticReport report,
                 conformance::check_arithmetic(text, options.table));
  if (options.json) {
    print_report_json(report);
  } else {
    print_failures(options, report);
    print_summary(report);
  }
  return report.good() ? kGood : kAnswerNo;
}

}  // namespace

void setup_conformance_arithmetic(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_arithmetic);
  describe(command,
           "Computes every row of a table of measured cases with the engine's "
           "arithmetic and compares: sums of products, element-wise ops, W8A8 "
           "convolutions, knots of activation tables, error statistics of "
           "activations. The columns tell which; docs/spec/"
           "arithmetic-table.md has them. What Core ML computed on the CPU is "
           "compared with its own arithmetic. Exit code 0: all judged rows "
           "agree; 1: some disagree; 3: not such a table.",
           "  aneroid conformance arithmetic --table mac-fp16.csv\n"
           "  aneroid conformance arithmetic --table lut.csv --json\n");
  command.add_option("--table", options->table, "CSV file of measured cases")
      ->type_name("FILE")
      ->required();
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
