// aneroid data tokenize: text to a shard of token ids.
#include <string>
#include <vector>

#include "aneroid/base/file.h"
#include "aneroid/data/documents.h"
#include "aneroid/data/shard.h"
#include "aneroid/tokenizer/tokenizer.h"
#include "apps/aneroid/data_command.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

struct TokenizeOptions {
  std::string tokenizer;
  std::string output;
  bool wide = false;
  std::vector<std::string> inputs;
};

struct Tokens {
  std::vector<int32_t> ids;
  size_t documents = 0;
  size_t bytes = 0;  // of the documents
};

// Appends each document of the file, BOS first; stops early when interrupted.
Status append_file(const tokenizer::Tokenizer& tokenizer,
                   const std::string& path, Tokens& tokens) {
  ANEROID_ASSIGN(const std::string text, read_file(path));
  ANEROID_ASSIGN(const auto documents, data::split_documents(text, path));
  Progress progress({"tokenizing " + path, "B", text.size()});
  uint64_t done = 0;
  for (const std::string& document : documents) {
    if (interrupted()) break;
    ANEROID_ASSIGN(const auto ids,
                   tokenizer.encode(document, /*bos=*/true, /*eos=*/false));
    tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
    ++tokens.documents;
    tokens.bytes += document.size();
    done += document.size() + data::kDocumentEnd.size();
    progress.update(done);
  }
  return {};
}

Result<int> run_tokenize(const TokenizeOptions& options) {
  ANEROID_TRY(refuse_overwriting(options.output, options.inputs));
  ANEROID_ASSIGN(const auto tokenizer,
                 tokenizer::load_tokenizer(options.tokenizer));
  catch_interrupts();
  Tokens tokens;
  for (const std::string& path : options.inputs) {
    ANEROID_TRY(append_file(*tokenizer, path, tokens));
  }
  if (interrupted()) {
    fmt::print(stderr, "aneroid: interrupted; nothing was written\n");
    return kInterrupted;
  }
  const data::ShardFormat format =
      options.wide ? data::ShardFormat::kUint32
                   : data::smallest_format(tokenizer->vocab_size());
  ANEROID_TRY(data::write_shard(options.output, tokens.ids, format));
  print("wrote {}: {} tokens in {} {}, {} each\n", options.output,
        grouped(std::ssize(tokens.ids)),
        grouped(static_cast<int64_t>(tokens.documents)),
        tokens.documents == 1 ? "document" : "documents",
        format == data::ShardFormat::kUint16 ? "2 bytes" : "4 bytes");
  print("  {} of text, {:.2f} bytes a token\n",
        human_bytes(static_cast<double>(tokens.bytes)),
        static_cast<double>(tokens.bytes) /
            static_cast<double>(tokens.ids.size()));
  return kGood;
}

}  // namespace

void setup_data_tokenize(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_tokenize);
  describe(command,
           "Writes the ids of all documents, one after the other, each with "
           "BOS in front. Ids take 2 bytes (the llama2.c format) when the "
           "vocabulary has at most 65,536 pieces, else 4.",
           "  aneroid data tokenize --tokenizer tokenizer.model --out "
           "train.bin a.txt b.txt\n");
  add_tokenizer_option(command, options->tokenizer)->required();
  command.add_option("--out", options->output, "shard to write")
      ->type_name("FILE.bin")
      ->required();
  command.add_flag("--u32", options->wide, "4 bytes an id in any case");
  command
      .add_option("INPUT.txt", options->inputs,
                  "UTF-8 text; <|endoftext|> separates documents")
      ->required();
}

}  // namespace aneroid::cli
