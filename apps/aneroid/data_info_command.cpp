// aneroid data info: what is in a shard.
#include <algorithm>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "aneroid/data/histogram.h"
#include "aneroid/data/shard.h"
#include "aneroid/tokenizer/tokenizer.h"
#include "apps/aneroid/data_command.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

constexpr size_t kCommonest = 20;
constexpr size_t kBarWidth = 24;
constexpr int32_t kLlamaBos = 1;

struct InfoOptions {
  std::string file;
  std::string tokenizer;
  bool json = false;
};

struct ShardFacts {
  std::string file;
  int width = 0;  // bytes an id
  data::TokenHistogram histogram;
  int32_t least = 0;
  int32_t most = 0;
  int32_t bos = 0;         // -1: the tokenizer has none
  uint64_t documents = 0;  // occurrences of BOS
  std::unique_ptr<tokenizer::Tokenizer> tokenizer;  // may be null

  std::string piece(int32_t id) const {
    return tokenizer ? std::string(tokenizer->piece(id)) : "";
  }
  double share(int32_t id) const {
    return static_cast<double>(histogram.counts[static_cast<size_t>(id)]) /
           static_cast<double>(histogram.total);
  }
};

Result<ShardFacts> look_into(const InfoOptions& options) {
  ShardFacts facts;
  facts.file = options.file;
  if (!options.tokenizer.empty()) {
    ANEROID_ASSIGN(facts.tokenizer,
                   tokenizer::load_tokenizer(options.tokenizer));
  }
  // Without a tokenizer, any id that some tokenizer could have.
  const int64_t vocab_size = facts.tokenizer
                                 ? facts.tokenizer->vocab_size()
                                 : static_cast<int64_t>(tokenizer::kMostPieces);
  ANEROID_ASSIGN(const data::TokenShard shard,
                 data::TokenShard::open(options.file, vocab_size));
  facts.width = shard.width();
  facts.histogram = data::count_ids(shard, shard.all());
  const std::vector<int32_t> used = facts.histogram.used_ids();
  facts.least = used.front();  // a shard is never empty
  facts.most = used.back();
  facts.bos = facts.tokenizer ? facts.tokenizer->bos_id() : kLlamaBos;
  if (facts.bos >= 0) {
    facts.documents = facts.histogram.counts[static_cast<size_t>(facts.bos)];
  }
  return facts;
}

void print_facts_json(const ShardFacts& facts) {
  nlohmann::ordered_json json = {
      {"file", facts.file},
      {"bytes_per_id", facts.width},
      {"tokens", facts.histogram.total},
      {"used_ids", facts.histogram.used},
      {"min_id", facts.least},
      {"max_id", facts.most},
  };
  if (facts.bos >= 0) {
    json["documents"] = facts.documents;
    json["bos_id"] = facts.bos;
  }
  if (facts.tokenizer) json["vocab_size"] = facts.tokenizer->vocab_size();
  json["commonest"] = nlohmann::ordered_json::array();
  for (const int32_t id : facts.histogram.commonest(kCommonest)) {
    nlohmann::ordered_json row = {
        {"id", id}, {"count", facts.histogram.counts[static_cast<size_t>(id)]}};
    if (facts.tokenizer) row["piece"] = facts.piece(id);
    json["commonest"].push_back(row);
  }
  print_json(json);
}

void print_facts(const ShardFacts& facts) {
  const data::TokenHistogram& histogram = facts.histogram;
  print("{}\n", facts.file);
  print("  tokens     {} of {} bytes\n",
        grouped(static_cast<int64_t>(histogram.total)), facts.width);
  if (facts.bos >= 0) {
    print("  documents  {} (times that BOS, id {}, occurs{})\n",
          grouped(static_cast<int64_t>(facts.documents)), facts.bos,
          facts.tokenizer ? "" : ", as in Llama vocabularies");
  }
  print("  ids        {} different, from {} to {}{}\n\n",
        grouped(histogram.used), facts.least, facts.most,
        facts.tokenizer ? fmt::format("; the vocabulary has {}",
                                      grouped(facts.tokenizer->vocab_size()))
                        : "");
  const std::vector<int32_t> commonest = histogram.commonest(kCommonest);
  const double most = facts.share(commonest.front());
  Table table({{"id", Align::kRight},
               {facts.tokenizer ? "piece" : ""},
               {"count", Align::kRight},
               {"share", Align::kRight},
               {""}});
  for (const int32_t id : commonest) {
    const std::string piece = facts.piece(id);
    table.add(
        {fmt::format("{}", id),
         piece.empty() ? "" : fmt::format("'{}'", visible(piece)),
         grouped(
             static_cast<int64_t>(histogram.counts[static_cast<size_t>(id)])),
         fmt::format("{:.2f} %", facts.share(id) * 100),
         styled(stdout, Style::kCyan, bar(facts.share(id) / most, kBarWidth))});
  }
  print("{}", table.to_string());
}

Result<int> run_info(const InfoOptions& options) {
  ANEROID_ASSIGN(const ShardFacts facts, look_into(options));
  if (options.json) {
    print_facts_json(facts);
  } else {
    print_facts(facts);
  }
  return kGood;
}

}  // namespace

void setup_data_info(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_info);
  describe(command,
           "Counts tokens, documents and ids, and draws the commonest ids. "
           "With a tokenizer also checks that every id is in its vocabulary.",
           "  aneroid data info train.bin\n"
           "  aneroid data info train.bin --tokenizer tokenizer.model\n");
  command.add_option("FILE", options->file, "shard to look into")->required();
  add_tokenizer_option(command, options->tokenizer);
  add_json_option(command, options->json);
}

}  // namespace aneroid::cli
