// aneroid generate: text from a model.
#include <cstdio>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/cpu/gemv.h"
#include "aneroid/infer/generator.h"
#include "aneroid/infer/sampler.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/tokenizer/tokenizer.h"
#include "apps/aneroid/commands.h"
#include "apps/aneroid/device_options.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/terminal.h"

namespace aneroid::cli {
namespace {

struct GenerateOptions {
  std::string model;
  std::string tokenizer;
  std::string prompt;
  std::string weights;
  int64_t max_tokens = 256;
  infer::SamplerOptions sampler;
  bool json = false;
  DeviceFlags device;
};

struct Outcome {
  std::string text;
  int64_t tokens = 0;
  std::string stop = "length";
  double prefill_ms = 0;
  double decode_ms = 0;
};

// Writes the text as it comes unless JSON was asked for. Ids that training left
// out are not chosen.
Result<Outcome> generate(const GenerateOptions& options,
                         infer::Generator& generator,
                         const tokenizer::Tokenizer& tokenizer,
                         const std::vector<int32_t>& prompt,
                         const std::vector<bool>& used_ids) {
  Outcome outcome;
  infer::Sampler sampler(options.sampler, used_ids);
  tokenizer::StreamDecoder decoder(tokenizer);
  const auto emit = [&](const std::string& piece) {
    outcome.text += piece;
    if (options.json) return;
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  for (const int32_t id : prompt) emit(decoder.push(id));

  const telemetry::Timer prefill;
  ANEROID_ASSIGN(auto logits, generator.prefill(prompt));
  outcome.prefill_ms = prefill.milliseconds();
  const telemetry::Timer decode;
  while (outcome.tokens < options.max_tokens) {
    if (interrupted()) {
      outcome.stop = "interrupted";
      break;
    }
    const int32_t next = sampler.choose(logits);
    // A new document begins, or this one ends.
    if (next == tokenizer.bos_id() || next == tokenizer.eos_id()) {
      outcome.stop = "end";
      break;
    }
    ++outcome.tokens;
    emit(decoder.push(next));
    if (generator.position() >= generator.context()) {
      outcome.stop = "context";
      break;
    }
    if (outcome.tokens < options.max_tokens) {
      ANEROID_ASSIGN(logits, generator.decode(next));
    }
  }
  emit(decoder.finish());
  if (!options.json) {
    print("\n");
    std::fflush(stdout);  // before the figures on stderr
  }
  outcome.decode_ms = decode.milliseconds();
  return outcome;
}

Result<int> run_generate(const GenerateOptions& options) {
  ANEROID_TRY(infer::check(options.sampler));
  ANEROID_ASSIGN(const auto loaded, load_weights(options.model));
  ANEROID_ASSIGN(const auto tokenizer,
                 find_tokenizer(options.tokenizer, options.model));
  ANEROID_TRY(tokenizer::check_vocab_size(*tokenizer, loaded.config.vocab_size,
                                          options.model));
  ANEROID_ASSIGN(const std::vector<int32_t> prompt,
                 tokenizer->encode(options.prompt, /*bos=*/true,
                                   /*eos=*/false));
  ANEROID_ASSIGN(const OpenedDevice opened, open_device(options.device));
  ANEROID_ASSIGN(const auto generator,
                 infer::Generator::create(*opened.device, *opened.pool,
                                          loaded.config, loaded.weights,
                                          loaded.config.max_position_embeddings,
                                          cpu::gemv_storage(options.weights)));
  catch_interrupts();
  ANEROID_ASSIGN(
      const Outcome outcome,
      generate(options, *generator, *tokenizer, prompt, loaded.used_ids));
  const double rate =
      outcome.decode_ms > 0
          ? static_cast<double>(outcome.tokens) / (outcome.decode_ms / 1000)
          : 0;
  if (options.json) {
    print_json({{"text", outcome.text},
                {"prompt_tokens", prompt.size()},
                {"tokens", outcome.tokens},
                {"stop", outcome.stop},
                {"prefill_ms", outcome.prefill_ms},
                {"decode_ms", outcome.decode_ms},
                {"tokens_per_s", rate},
                {"weight_bytes", generator->weight_bytes()},
                {"device", opened.device->info().name},
                {"numerics", opened.device->info().numerics}});
  } else {
    fmt::print(
        stderr, "{}",
        styled(stderr, Style::kDim,
               fmt::format("{} tokens, {:.1f} tokens/s on the CPU; "
                           "prompt of {} in {:.0f} ms on the {}\n",
                           outcome.tokens, rate, prompt.size(),
                           outcome.prefill_ms, opened.device->info().name)));
  }
  return outcome.stop == "interrupted" ? kInterrupted : kGood;
}

}  // namespace

void setup_generate(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_generate);
  describe(command,
           "The prompt runs through the engine's programs, then the text grows "
           "one token at a time on the CPU with a key/value cache, until the "
           "story ends, --max-tokens, or the model's last position.",
           "  aneroid generate --model runs/stories --prompt \"Once upon a "
           "time\"\n"
           "  aneroid generate --model stories15M.bin --tokenizer "
           "tokenizer.bin --temperature 0\n"
           "  aneroid generate --model runs/stories --weights int8\n");
  add_model_option(command, options->model)->required();
  add_tokenizer_option(command, options->tokenizer);
  command.add_option("--prompt", options->prompt, "how the text begins")
      ->type_name("TEXT");
  command.add_option("--max-tokens", options->max_tokens, "tokens to add")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command
      .add_option(
          "--weights", options->weights,
          "how decoding keeps the weights: fp32, fp16 or int8 (default: "
          "as the device stores numbers)")
      ->type_name("NAME")
      ->check(CLI::IsMember({"fp32", "fp16", "int8"}));
  command
      .add_option("--temperature", options->sampler.temperature,
                  "0 takes the likeliest token; higher is wilder")
      ->type_name("T")
      ->capture_default_str();
  command
      .add_option("--top-k", options->sampler.top_k,
                  "only the k likeliest tokens; 0 for all")
      ->type_name("K")
      ->capture_default_str();
  command
      .add_option("--top-p", options->sampler.top_p,
                  "only the likeliest tokens that make up this share")
      ->type_name("P")
      ->capture_default_str();
  add_seed_option(command, options->sampler.seed);
  add_json_option(command, options->json);
  add_device_options(command, options->device);
}

}  // namespace aneroid::cli
