#include "apps/aneroid/help.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

constexpr size_t kMargin = 2;
constexpr size_t kNameColumn = 26;
constexpr size_t kWidestHelp = 100;

size_t help_width() { return std::min(terminal_width(stdout), kWidestHelp); }

std::pair<std::string, std::string> split_description(const CLI::App& app) {
  const std::string text = app.get_description();
  const size_t end = text.find('\n');
  if (end == std::string::npos) return {text, ""};
  return {text.substr(0, end), text.substr(end + 1)};
}

// "  name          text, wrapped under itself"
std::string entry(const std::string& name, std::string_view text) {
  const std::string indent(kNameColumn, ' ');
  std::string out(kMargin, ' ');
  out += name;
  // A long name has its line to itself.
  out += out.size() + kMargin > kNameColumn
             ? "\n" + indent
             : std::string(kNameColumn - out.size(), ' ');
  return out + wrap(text, help_width(), kNameColumn) + "\n";
}

std::string usage(const CLI::App& app, std::string name) {
  // The caller gives the full name for the innermost command only.
  std::string line = "Usage: " + std::move(name);
  const auto options = app.get_options(
      [](const CLI::Option* option) { return option->nonpositional(); });
  if (!options.empty()) line += " [OPTIONS]";
  for (const CLI::Option* option : app.get_options(
           [](const CLI::Option* o) { return o->get_positional(); })) {
    const bool many =
        option->get_expected_max() >= CLI::detail::expected_max_vector_size;
    const std::string word =
        option->get_name(true, false) + (many ? "..." : "");
    line += option->get_required() ? " " + word : " [" + word + "]";
  }
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) {
    line += " COMMAND";
  }
  return line + "\n";
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string name,
                                     CLI::AppFormatMode mode) const {
  const auto [summary, details] = split_description(*app);
  std::string out =
      wrap(summary + (details.empty() ? "" : "."), help_width(), 0) + "\n";
  if (app->get_parent() == nullptr) {
    out = wrap(summary + " " + details, help_width(), 0) + "\n";
  }
  out += "\n" + usage(*app, std::move(name));
  if (app->get_parent() != nullptr && !details.empty()) {
    out += "\n" + wrap(details, help_width(), 0) + "\n";
  }
  out += make_positionals(app);
  out += make_subcommands(app, mode);
  out += make_groups(app, mode);
  return out + "\n" + make_footer(app);
}

std::string HelpFormatter::make_option(const CLI::Option* option,
                                       bool is_positional) const {
  std::string left = option->get_name(is_positional, !is_positional);
  if (const size_t comma = left.find(','); comma != std::string::npos) {
    left.insert(comma + 1, " ");  // "-h, --help"
  }
  if (!is_positional && option->get_type_size() != 0) {
    // Without what validators add after a colon: the text says it better.
    const std::string type = option->get_type_name();
    left += " " + type.substr(0, type.find(':'));
  }
  std::string text = option->get_description();
  if (option->get_required() && !is_positional) text += " (required)";
  if (!option->get_default_str().empty()) {
    text += fmt::format(" (default: {})", option->get_default_str());
  }
  return entry(left, text);
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return entry(command->get_name(), split_description(*command).first);
}

}  // namespace aneroid::cli
