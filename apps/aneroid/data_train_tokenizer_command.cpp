// aneroid data train-tokenizer: a vocabulary from text.
#include <iterator>
#include <string>
#include <vector>

#include "aneroid/base/file.h"
#include "aneroid/data/documents.h"
#include "aneroid/tokenizer/bpe_model.h"
#include "apps/aneroid/data_command.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

struct TrainTokenizerOptions {
  int32_t vocab_size = 0;
  std::string output;
  std::vector<std::string> inputs;
};

Result<int> run_train_tokenizer(const TrainTokenizerOptions& options) {
  ANEROID_TRY(refuse_overwriting(options.output, options.inputs));
  std::vector<std::string> documents;
  size_t bytes = 0;
  for (const std::string& path : options.inputs) {
    ANEROID_ASSIGN(const std::string text, read_file(path));
    bytes += text.size();
    ANEROID_ASSIGN(auto part, data::split_documents(text, path));
    std::move(part.begin(), part.end(), std::back_inserter(documents));
  }
  ANEROID_ASSIGN(const tokenizer::BpeModel model,
                 tokenizer::train_bpe(documents, options.vocab_size));
  ANEROID_TRY(tokenizer::save_bpe(model, options.output));
  print("wrote {}: {} pieces ({} merges, {} characters)\n", options.output,
        grouped(model.vocab_size()), grouped(std::ssize(model.merges)),
        grouped(std::ssize(model.characters)));
  print("  learnt from {} in {} {}\n", human_bytes(static_cast<double>(bytes)),
        grouped(std::ssize(documents)),
        documents.size() == 1 ? "document" : "documents");
  if (model.vocab_size() < options.vocab_size) {
    print("  fewer pieces than the {} asked for: no other pair occurs twice\n",
          grouped(options.vocab_size));
  }
  return kGood;
}

}  // namespace

void setup_data_train_tokenizer(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_train_tokenizer);
  describe(command,
           "Learns byte-pair merges and writes them as aneroid-bpe JSON, which "
           "every --tokenizer option reads. The same text gives the same file "
           "on every machine. The first 259 pieces are the control pieces and "
           "the single bytes, so any text can be spelled.",
           "  aneroid data train-tokenizer --vocab 1024 --out stories.json "
           "stories.txt\n");
  command
      .add_option("--vocab", options->vocab_size,
                  "pieces in the vocabulary, at least 260")
      ->type_name("N")
      ->required();
  command.add_option("--out", options->output, "file to write")
      ->type_name("FILE.json")
      ->required();
  command
      .add_option("INPUT.txt", options->inputs,
                  "UTF-8 text; <|endoftext|> separates documents")
      ->required();
}

}  // namespace aneroid::cli
