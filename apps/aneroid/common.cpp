#include "apps/aneroid/common.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <numeric>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/aneroid/help.h"

namespace aneroid::cli {
namespace {

// Levenshtein's distance: edits of one character from a to b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t k = 0; k < b.size(); ++k) {
      const size_t replaced = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({replaced, diagonal + 1, row[k] + 1});
    }
  }
  return row.back();
}

// The deepest subcommand that was recognised: whose --help to point at.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) {
    deepest = deepest->get_subcommands().back();
  }
  return *deepest;
}

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr
             ? app.get_name()
             : full_name(*app.get_parent()) + " " + app.get_name();
}

// The names in `app` nearest to a mistyped word, when near enough.
std::string nearest_subcommand(const CLI::App& app, std::string_view word) {
  constexpr size_t kNear = 2;
  std::string nearest;
  size_t least = kNear + 1;
  for (const CLI::App* sub :
       app.get_subcommands([](const CLI::App*) { return true; })) {
    const size_t distance = edit_distance(word, sub->get_name());
    if (distance < least) {
      least = distance;
      nearest = sub->get_name();
    }
  }
  return nearest;
}

Diagnostic usage_diagnostic(const CLI::App& root, const CLI::ParseError& error,
                            std::span<const char* const> words) {
  const CLI::App& app = innermost(root);
  Diagnostic diagnostic{ErrorKind::kUsage, "usage", "", error.what(), {}};
  const bool has_subcommands =
      !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  // The first word that follows the recognised subcommands.
  size_t depth = 1;
  for (const CLI::App* up = &app; up->get_parent() != nullptr;
       up = up->get_parent()) {
    ++depth;
  }
  if (has_subcommands && depth < words.size() && words[depth][0] != '-') {
    const std::string word = words[depth];
    diagnostic.message =
        fmt::format("'{}' has no command '{}'", full_name(app), word);
    const std::string nearest = nearest_subcommand(app, word);
    if (!nearest.empty()) {
      diagnostic.message += fmt::format("; did you mean '{}'?", nearest);
    }
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr &&
             has_subcommands) {
    diagnostic.message =
        fmt::format("'{}' needs one of its commands", full_name(app));
  }
  diagnostic.notes.push_back(
      fmt::format("'{} --help' tells what is possible", full_name(app)));
  return diagnostic;
}

int finish(const Result<int>& outcome) {
  if (!outcome) {
    std::fflush(stdout);
    print_error(outcome.error());
    return exit_code(outcome.error().kind);
  }
  errno = 0;
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    print_error(
        {ErrorKind::kInput,
         "file",
         "standard output",
         fmt::format("cannot write: {}", std::strerror(errno)),  // NOLINT
         {}});
    return kBadInput;
  }
  return *outcome;
}

int parse_and_run(std::span<const Command> commands, int argc,
                  const char* const* argv) {
  CLI::App root(
      "Trains small Llamas as MIL programs, on Apple's Neural Engine or on a "
      "software\none that runs on any processor.",
      "aneroid");
  const auto formatter = std::make_shared<HelpFormatter>();
  formatter->label("Positionals", "Arguments");
  root.formatter(formatter);
  root.set_version_flag("--version", "aneroid " ANEROID_VERSION,
                        "print the version and exit");
  root.set_help_flag("-h,--help", "print this help and exit");
  root.require_subcommand(0, 1);
  root.footer("'aneroid COMMAND --help' tells all about a command.");
  Action chosen;
  add_commands(root, commands, chosen);
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    root.exit(request);
    return finish(kGood);
  } catch (const CLI::ParseError& error) {
    print_error(usage_diagnostic(root, error,
                                 std::span(argv, static_cast<size_t>(argc))));
    return kUsage;
  }
  if (!chosen) {
    print("{}", root.help());
    return finish(kGood);
  }
  return finish(chosen());
}

}  // namespace

void add_commands(CLI::App& app, std::span<const Command> commands,
                  Action& chosen) {
  for (const Command& row : commands) {
    CLI::App* command = app.add_subcommand(row.name, row.summary);
    command->group(row.group);
    row.setup(*command, chosen);
  }
}

void describe(CLI::App& command, std::string_view details,
              std::string_view examples) {
  command.description(
      fmt::format("{}\n{}", command.get_description(), details));
  command.footer(fmt::format("Examples:\n{}", examples));
}

void print_error(const Diagnostic& diagnostic) {
  fmt::print(stderr, "aneroid: {}\n", to_string(diagnostic));
}

void print_json(const nlohmann::ordered_json& json) {
  print("{}\n", json.dump(2, ' ', false,
                          nlohmann::ordered_json::error_handler_t::replace));
}

Status refuse_overwriting(const std::string& output,
                          std::span<const std::string> inputs) {
  for (const std::string& input : inputs) {
    std::error_code missing;  // then it is not the same file
    if (std::filesystem::equivalent(input, output, missing)) {
      return usage_error(fmt::format(
          "--out {} is an input as well; give another name", output));
    }
  }
  return {};
}

int run_command_line(std::span<const Command> commands, int argc,
                     const char* const* argv) {
  try {
    return parse_and_run(commands, argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("aneroid: error [memory]: out of memory\n", stderr);
    return kDeviceFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "aneroid: error [system]: %s\n", error.what());
    return kBadInput;
  }
}

}  // namespace aneroid::cli
