// The frame that every subcommand uses: how it is described, chosen, run, and
// how its outcome becomes text on stderr and an exit code.
//
// A subcommand NAME is one row in main.cpp's table, a declaration in
// commands.h, and a file NAME_command.cpp of this shape:
//
//   struct NameOptions { std::string input; };
//   Result<int> run_name(const NameOptions& options);
//
//   void setup_name(CLI::App& command, Action& chosen) {
//     const auto options = bind(command, chosen, run_name);
//     describe(command, "What it does, at length.", "  aneroid name a.txt\n");
//     command.add_option("INPUT", options->input, "text file")->required();
//   }
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json_fwd.hpp>

#include "aneroid/base/diagnostic.h"

namespace aneroid::cli {

inline constexpr int kGood = 0;
inline constexpr int kAnswerNo = 1;
inline constexpr int kUsage = 2;
inline constexpr int kBadInput = 3;
inline constexpr int kDeviceFailed = 4;
inline constexpr int kInterrupted = 130;  // 128 + SIGINT, as shells count

// What the chosen subcommand does: its exit code, or why it could not.
using Action = std::function<Result<int>()>;

// One row of the table of subcommands.
struct Command {
  const char* group;  // heading in the overview
  const char* name;
  const char* summary;  // a line of the overview, without a full stop
  void (*setup)(CLI::App& command, Action& chosen);
};

// Adds each row as a subcommand of `app`.
void add_commands(CLI::App& app, std::span<const Command> commands,
                  Action& chosen);

// Makes `run` the action when the user chooses `command`. The returned options
// are those `run` will get: let add_option() fill them.
template <typename Options>
std::shared_ptr<Options> bind(CLI::App& command, Action& chosen,
                              Result<int> (*run)(const Options&)) {
  auto options = std::make_shared<Options>();
  command.callback([options, run, &chosen] {
    chosen = [options, run] { return run(*options); };
  });
  return options;
}

// Adds to the summary a paragraph, and the "Examples:" at the end of --help:
// lines of two spaces and a command.
void describe(CLI::App& command, std::string_view details,
              std::string_view examples);

// "aneroid: " and the diagnostic, on stderr.
void print_error(const Diagnostic& diagnostic);

// Writes to stdout. Whether all of it arrived is checked once, at the end of
// the command, which then exits with kBadInput.
template <typename... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  std::fwrite(text.data(), 1, text.size(), stdout);
}
// Indented JSON and a line end; bytes that are not UTF-8 become U+FFFD.
void print_json(const nlohmann::ordered_json& json);

inline tl::unexpected<Diagnostic> usage_error(std::string message) {
  return fail(ErrorKind::kUsage, "usage", "", std::move(message));
}

// Error (usage) when `output` is one of the input files, which writing it would
// destroy.
Status refuse_overwriting(const std::string& output,
                          std::span<const std::string> inputs);

// Parses the command line with the given table and runs what it chooses.
// Catches what the standard library throws, so that nothing leaves main().
int run_command_line(std::span<const Command> commands, int argc,
                     const char* const* argv);

}  // namespace aneroid::cli
