// How --help looks: wrapped to the terminal, defaults and units in the text.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace aneroid::cli {

// A command's description is "summary\ndetails"; lists show the summary.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override;

 private:
  std::string make_option(const CLI::Option* option,
                          bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;
};

}  // namespace aneroid::cli
