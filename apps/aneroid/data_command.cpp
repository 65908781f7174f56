#include "apps/aneroid/data_command.h"

#include "apps/aneroid/commands.h"

namespace aneroid::cli {

void setup_data(CLI::App& command, Action& chosen) {
  describe(command,
           "Turns text into the token shards that training reads, and looks "
           "into them.",
           "  aneroid data stories --out stories.txt\n"
           "  aneroid data train-tokenizer --vocab 1024 --out stories.json "
           "stories.txt\n"
           "  aneroid data tokenize --tokenizer stories.json --out stories.bin "
           "stories.txt\n"
           "  aneroid data info stories.bin --tokenizer stories.json\n");
  static constexpr Command kParts[] = {
      {"Commands", "tokenize", "Turn text into a shard of token ids",
       setup_data_tokenize},
      {"Commands", "info", "Tell what is in a shard", setup_data_info},
      {"Commands", "train-tokenizer", "Learn a byte-pair vocabulary from text",
       setup_data_train_tokenizer},
      {"Commands", "stories", "Print the built-in stories", setup_data_stories},
  };
  add_commands(command, kParts, chosen);
  command.require_subcommand(1);
}

}  // namespace aneroid::cli
