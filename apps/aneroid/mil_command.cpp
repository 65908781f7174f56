// aneroid mil: the language's own tools.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/file.h"
#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"
#include "aneroid/target/target.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"

namespace aneroid::cli {
namespace {

constexpr uint64_t kLongestProgram = uint64_t{1} << 28;  // bytes of text

// ---- fmt -------------------------------------------------------------------

struct FormatOptions {
  std::string file;
  std::string output;
  bool check = false;
};

// 1-based number of the first line in which the texts differ.
int64_t first_difference(std::string_view a, std::string_view b) {
  const auto [end, unused] = std::mismatch(
      a.begin(),
      a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size())),
      b.begin());
  return 1 + std::count(a.begin(), end, '\n');
}

Result<int> run_format(const FormatOptions& options) {
  ANEROID_ASSIGN(const std::string text,
                 read_file(options.file, kLongestProgram));
  ANEROID_ASSIGN(const mil::Program program, mil::parse(text, options.file));
  const std::string formatted = mil::print(program);
  if (options.check) {
    if (text == formatted) return kGood;
    print("{}:{}: is not formatted\n", options.file,
          first_difference(text, formatted));
    return kAnswerNo;
  }
  if (options.output.empty()) {
    // The standard form has no line end after the last brace.
    print("{}{}", formatted, is_terminal(stdout) ? "\n" : "");
    return kGood;
  }
  ANEROID_TRY(write_file_atomically(options.output, formatted));
  return kGood;
}

void setup_format(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_format);
  describe(command,
           "Prints the program as Core ML's own compiler does, byte for byte: "
           "arguments and attributes sorted by name, floats as hex floats. "
           "Comments are not kept.",
           "  aneroid mil fmt model.mil\n"
           "  aneroid mil fmt model.mil -o model.mil\n"
           "  aneroid mil fmt model.mil --check\n");
  command.add_option("FILE", options->file, "MIL text")->required();
  CLI::Option* output =
      command
          .add_option("-o,--out", options->output,
                      "file to write, may be FILE itself (default: standard "
                      "output)")
          ->type_name("OUT");
  command
      .add_flag("--check", options->check,
                "write nothing; exit with 1 and the first line that would "
                "change when there is one")
      ->excludes(output);
}

// ---- verify ----------------------------------------------------------------

struct VerifyCommandOptions {
  std::string file;
  std::string chip;
  std::string path = "raw";
  bool strict = false;
  bool json = false;
};

constexpr target::Path kPaths[] = {target::Path::kRaw, target::Path::kCoreml,
                                   target::Path::kE5};

struct Verdict {
  std::vector<Diagnostic> findings;
  std::optional<target::Chip> chip;
  bool chip_judged = false;  // false when the program is not good MIL
};

Result<Verdict> judge(const VerifyCommandOptions& options) {
  Verdict verdict;
  if (!options.chip.empty()) {
    ANEROID_ASSIGN(verdict.chip, target::find_chip(options.chip));
  } else if (options.strict) {
    return usage_error("--strict is about a chip's rules; give --chip as well");
  }
  ANEROID_ASSIGN(const std::string text,
                 read_file(options.file, kLongestProgram));
  ANEROID_ASSIGN(const mil::Program program, mil::parse(text, options.file));
  verdict.findings = mil::verify(program, options.file);
  if (verdict.chip && verdict.findings.empty()) {
    const target::Path path = *std::ranges::find(
        kPaths, options.path, [](target::Path p) { return target::name(p); });
    verdict.chip_judged = true;
    verdict.findings = target::check(program, *verdict.chip, path,
                                     {.strict = options.strict}, options.file);
  }
  return verdict;
}

void print_verdict_json(const VerifyCommandOptions& options,
                        const Verdict& verdict) {
  nlohmann::ordered_json json = {{"file", options.file},
                                 {"good", verdict.findings.empty()}};
  if (verdict.chip) {
    json["chip"] = verdict.chip->id;
    json["path"] = options.path;
    json["strict"] = options.strict;
    json["chip_judged"] = verdict.chip_judged;
  }
  json["findings"] = nlohmann::ordered_json::array();
  for (const Diagnostic& finding : verdict.findings) {
    json["findings"].push_back({{"label", finding.label},
                                {"place", finding.place},
                                {"message", finding.message},
                                {"notes", finding.notes}});
  }
  print_json(json);
}

void print_verdict(const VerifyCommandOptions& options,
                   const Verdict& verdict) {
  for (const Diagnostic& finding : verdict.findings) {
    print("{}\n", to_string(finding));
  }
  const std::string judged =
      verdict.chip_judged
          ? fmt::format("{} rules{}", verdict.chip->name,
                        options.strict ? ", contested ones as well" : "")
          : "MIL";
  if (verdict.findings.empty()) {
    print("{}: {} ({})\n", options.file, styled(stdout, Style::kGreen, "good"),
          judged);
    return;
  }
  print("{}: {} ({})\n", options.file,
        styled(
            stdout, Style::kRed,
            fmt::format("{} {}", verdict.findings.size(),
                        verdict.findings.size() == 1 ? "finding" : "findings")),
        judged);
  if (verdict.chip && !verdict.chip_judged) {
    print("  the rules of {} were not applied, as they need good MIL\n",
          verdict.chip->name);
  }
}

Result<int> run_verify(const VerifyCommandOptions& options) {
  ANEROID_ASSIGN(const Verdict verdict, judge(options));
  if (options.json) {
    print_verdict_json(options, verdict);
  } else {
    print_verdict(options, verdict);
  }
  return verdict.findings.empty() ? kGood : kAnswerNo;
}

void setup_verify(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_verify);
  describe(command,
           "Checks names, operations, types and shapes; with --chip also "
           "whether that chip's engine takes the program. Exit code 0: good; "
           "1: findings, one a line; 3: not readable as MIL.",
           "  aneroid mil verify model.mil\n"
           "  aneroid mil verify model.mil --chip m4 --strict\n");
  command.add_option("FILE", options->file, "MIL text")->required();
  add_chip_option(command, options->chip);
  std::vector<std::string> names;
  for (const target::Path path : kPaths) names.emplace_back(name(path));
  command
      .add_option("--path", options->path,
                  "the way to the engine whose rules count: raw (in-memory "
                  "MIL), coreml or e5")
      ->type_name("PATH")
      ->check(CLI::IsMember(names))
      ->capture_default_str();
  add_strict_option(command, options->strict);
  add_json_option(command, options->json);
}

}  // namespace

void setup_mil(CLI::App& command, Action& chosen) {
  describe(command, "MIL is the language in which the engine takes programs.",
           "  aneroid mil fmt model.mil\n"
           "  aneroid mil verify model.mil --chip m4\n");
  static constexpr Command kParts[] = {
      {"Commands", "fmt", "Print a program in its standard form", setup_format},
      {"Commands", "verify",
       "Tell whether a program is good MIL, and good for a chip", setup_verify},
  };
  add_commands(command, kParts, chosen);
  command.require_subcommand(1);
}

}  // namespace aneroid::cli
