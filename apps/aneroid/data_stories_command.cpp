// aneroid data stories: the embedded text as a file.
#include <string>

#include "aneroid/base/file.h"
#include "aneroid/data/documents.h"
#include "apps/aneroid/data_command.h"
#include "apps/aneroid/stories.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

struct StoriesOptions {
  std::string output;
};

Result<int> run_stories(const StoriesOptions& options) {
  const auto stories = built_in_stories();
  std::string text;
  for (const std::string& story : stories) {
    text += fmt::format("{}\n{}\n", story, data::kDocumentEnd);
  }
  if (options.output.empty()) {
    print("{}", text);
    return kGood;
  }
  ANEROID_TRY(write_file_atomically(options.output, text));
  print("wrote {}: {} stories, {}\n", options.output, stories.size(),
        human_bytes(static_cast<double>(text.size())));
  return kGood;
}

}  // namespace

void setup_data_stories(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_stories);
  describe(command,
           "The stories that 'aneroid train' learns from when it is given no "
           "data: short, in simple English, written for this project. A line "
           "<|endoftext|> follows each.",
           "  aneroid data stories | head\n"
           "  aneroid data stories --out stories.txt\n");
  command
      .add_option("--out", options->output,
                  "file to write (default: standard output)")
      ->type_name("FILE");
}

}  // namespace aneroid::cli
