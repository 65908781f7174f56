// aneroid train, generate, eval and bench: what they print for programs, and
// how they refuse what cannot work.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Words = std::vector<std::string>;

constexpr std::string_view kConfig = R"({
  "name": "tiny", "hidden_size": 32, "intermediate_size": 64,
  "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 300,
  "max_position_embeddings": 64})";

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

class Models : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    config_ = write("tiny.json", kConfig);
  }

  // A short training of the tiny model in folder_/run.
  Words train(const Words& more = {}) const {
    Words words = {"train", "--config", config_,     "--accum", "1",
                   "--seq", "16",       "--threads", "1"};
    const auto add = [&](const std::string& flag, const std::string& value) {
      if (std::ranges::find(more, flag) == more.end()) {
        words = words + Words{flag, value};
      }
    };
    add("--out", path("run"));
    add("--steps", "4");
    return words + more;
  }
  // The folder of a finished run, and its weights in a llama2.c file.
  std::string trained() const {
    expect_good(train());
    return path("run");
  }
  std::string llama2c() const {
    expect_good({"convert", trained(), path("m.bin")});
    return path("m.bin");
  }
  std::string own_tokenizer() const { return path("run/tokenizer.json"); }
  // A tokenizer that is not the model's.
  std::string smaller_tokenizer() const {
    const std::string text = stories();
    expect_good({"data", "train-tokenizer", "--vocab", "280", "--out",
                 path("t280.json"), text});
    return path("t280.json");
  }
  std::string stories() const {
    expect_good({"data", "stories", "--out", path("stories.txt")});
    return path("stories.txt");
  }

  // Resuming the run must fail after the first `from` in its config.json
  // became `to`.
  void expect_no_resuming(std::string_view from, std::string_view to,
                          int exit_code, std::string_view text) const {
    SCOPED_TRACE(to);
    const std::string good = read(path("run/config.json"));
    const size_t at = good.find(from);
    ASSERT_NE(at, std::string::npos) << good;
    std::string bad = good;
    write("run/config.json", bad.replace(at, from.size(), to));
    expect_refusal({"train", "--out", path("run"), "--resume", "--steps", "8"},
                   exit_code, text);
    write("run/config.json", good);
  }

  std::string config_;
};

using Train = Models;
using Generate = Models;
using Eval = Models;
using Bench = Models;

TEST_F(Train, TellsAProgramHowItEnded) {
  const Json said = Json::parse(expect_good(train({"--json"})));
  EXPECT_EQ(said["run"], path("run"));
  EXPECT_EQ(said["steps"], 4);
  EXPECT_FALSE(said["interrupted"].get<bool>());
  EXPECT_NEAR(said["first_loss"].get<double>(), std::log(300), 0.2);
  EXPECT_GT(said["last_loss"].get<double>(), 0);
  EXPECT_GT(said["validation_loss"].get<double>(), 0);
  EXPECT_GE(said["seconds"].get<double>(), 0);
  for (const char* name : {"checkpoint.safetensors", "config.json",
                           "events.jsonl", "tokenizer.json"}) {
    EXPECT_TRUE(fs::exists(path("run") + "/" + name)) << name;
  }
}

TEST_F(Train, TellsAPersonHowItEnded) {
  const std::string said = expect_good(train());
  for (const char* text :
       {"tokenizer   300 pieces learnt", "model       tiny: 19,936 parameters",
        "step     1/4  loss", "validation loss", "\ncheckpoint  ",
        "aneroid generate --model "}) {
    EXPECT_NE(said.find(text), std::string::npos) << text << "\n" << said;
  }
}

TEST_F(Train, SeedDecidesTheRun) {
  const auto losses = [&](const char* seed) {
    const Json said = Json::parse(
        expect_good(train({"--json", "--overwrite", "--seed", seed})));
    return said["last_loss"].dump();
  };
  const std::string first = losses("7");
  EXPECT_EQ(losses("7"), first);
  EXPECT_NE(losses("8"), first);
}

TEST_F(Train, RefusesBadText) {
  expect_refusal(train({"--data", path("none.txt")}), 3,
                 "none.txt: error [file]: cannot open");
  expect_refusal(train({"--data", write("empty.txt", "")}), 3,
                 "error [text]: holds no text");
  expect_refusal(train({"--data", write("latin.txt", "abc\nde\xE9 fghi")}), 3,
                 "error [text]: is not UTF-8: byte 0xE9 at offset 6");
}

TEST_F(Train, RefusesBadShards) {
  using namespace std::string_view_literals;
  expect_refusal(train({"--data", path("none.bin")}), 3,
                 "none.bin: error [file]: cannot open");
  expect_refusal(train({"--data", write("empty.bin", "")}), 3,
                 "error [shard]: holds no tokens");
  expect_refusal(train({"--data", write("odd.bin", "abc")}), 3,
                 "error [shard]: has 3 bytes, an odd number");
  expect_refusal(train({"--data", write("short.bin", "\1\0\2\0"sv)}), 3,
                 "has 2 tokens; a sequence of 16 needs 17 at least");
  expect_refusal(train({"--data", write("high.bin", "\1\0\54\1"sv)}), 3,
                 "token 1 is 300, outside the vocabulary of 300");
}

TEST_F(Train, RefusesBadConfigs) {
  const auto refuses = [&](std::string_view config, std::string_view text) {
    write("tiny.json", config);
    expect_refusal(train(), 3, text);
  };
  refuses("{}", "hidden_size: error [config]: is missing");
  refuses("[]", "error [config]: must be a JSON object");
  refuses("{\"hidden_size\"", "error [config]: is not valid JSON");
  refuses(R"({"hidden_size": "32"})", "must be an integer, is \"32\"");
  refuses(R"({"hidden_size": 0, "intermediate_size": 64,
              "num_hidden_layers": 1, "num_attention_heads": 2,
              "vocab_size": 300, "max_position_embeddings": 64})",
          "hidden_size: error [config]: must be from 1 to");
  fs::remove(config_);
  expect_refusal(train(), 3, "tiny.json: error [file]: cannot open");
}

TEST_F(Train, RefusesSequencesLongerThanTheModel) {
  expect_refusal(
      {"train", "--config", config_, "--seq", "65", "--out", path("run")}, 3,
      "sequence length 65 is outside 1..64");
}

TEST_F(Train, RefusesBadWeights) {
  const std::string good = read(llama2c());
  const auto refuses = [&](const std::string& model, std::string_view text) {
    for (const char* command : {"train", "generate"}) {
      Words words = {command, "--model", model, "--tokenizer", own_tokenizer()};
      if (words[0] == "train") words = words + Words{"--out", path("more")};
      expect_refusal(words, 3, text);
    }
  };
  refuses(path("none.safetensors"), "error [file]: cannot open");
  refuses(path("none"), "error [file]: cannot open");
  refuses(write("cut.bin", std::string_view(good).substr(0, 3000)),
          "error [llama2c]: has 3000 bytes; its header needs 83868");
  const std::string checkpoint = read(path("run/checkpoint.safetensors"));
  refuses(
      write("cut.safetensors", std::string_view(checkpoint).substr(0, 5000)),
      "cut.safetensors");
  std::string nan = good;
  nan.replace(28 + 25 * 4, 4, std::string("\0\0\xC0\x7F", 4));
  refuses(write("nan.bin", nan),
          "error [weights]: is nan at index 25; 1 of 9600 values");
}

TEST_F(Train, RefusesTheTokenizerOfAnotherModel) {
  const std::string model = llama2c();
  const std::string other = smaller_tokenizer();
  const std::string text =
      "error [tokenizer]: the model has a vocabulary of 300 and the tokenizer "
      "has 280 pieces";
  const Words with = {"--model", model, "--tokenizer", other};
  expect_refusal(Words{"train", "--out", path("more")} + with, 3, text);
  expect_refusal(Words{"generate"} + with, 3, text);
  expect_refusal(Words{"eval", "--data", stories()} + with, 3, text);
  expect_refusal({"generate", "--model", model}, 2, "no tokenizer in '");
}

TEST_F(Train, RefusesFoldersItCannotMake) {
  expect_refusal({"train", "--config", config_, "--out", config_}, 3,
                 "error [file]: cannot make the folder");
  for (const char* folder : {"/dev/full/x", "/proc/x"}) {
    if (!fs::exists(fs::path(folder).parent_path())) continue;
    expect_refusal({"train", "--config", config_, "--out", folder}, 3,
                   std::string(folder) + ": error [file]: cannot make");
  }
}

TEST_F(Train, OneProcessAtATimeUsesAFolder) {
  const Running first = start(train({"--steps", "1000000"}));
  for (int i = 0; i < 1000 && !fs::exists(path("run/events.jsonl")); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  for (const char* flag : {"--resume", "--overwrite", "--json"}) {
    expect_refusal(train({flag}), 3, "error [run.locked]");
  }
  ::kill(first.pid, SIGINT);
  const Outcome outcome = wait_for(first);
  EXPECT_EQ(outcome.exit_code, 130);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Train, DoesNotReplaceARunUnasked) {
  const std::string run = trained();
  const std::string checkpoint = read(run + "/checkpoint.safetensors");
  expect_refusal(train({"--seed", "5"}), 2, "holds a run already");
  EXPECT_TRUE(read(run + "/checkpoint.safetensors") == checkpoint);
  expect_good(train({"--seed", "5", "--overwrite"}));
  EXPECT_FALSE(read(run + "/checkpoint.safetensors") == checkpoint);
}

// What cannot start must not cost the run it would have replaced.
TEST_F(Train, OverwritesOnlyWhenTheNewRunCanStart) {
  const std::string old = trained();
  const std::string checkpoint = read(old + "/checkpoint.safetensors");
  const Words mistakes[] = {{"--data", path("none.txt")},
                            {"--tokenizer", path("none.json")},
                            {"--numerics", "warp"},
                            {"--chip", "m99"}};
  for (const Words& mistake : mistakes) {
    SCOPED_TRACE(mistake[0]);
    EXPECT_NE(run(train(Words{"--overwrite"} + mistake)).exit_code, 0);
    // Not EXPECT_EQ, which would print it.
    EXPECT_TRUE(read(old + "/checkpoint.safetensors") == checkpoint);
    EXPECT_TRUE(fs::exists(old + "/config.json"));
    EXPECT_TRUE(fs::exists(own_tokenizer()));
  }
}

TEST_F(Train, ReplacesTheRunItGoesOnFrom) {
  const std::string run = trained();
  const std::string tokenizer = read(own_tokenizer());
  const Json said = Json::parse(expect_good(
      {"train", "--model", run, "--out", run, "--overwrite", "--steps", "2",
       "--seq", "16", "--accum", "1", "--threads", "1", "--json"}));
  EXPECT_EQ(said["steps"], 2);
  EXPECT_TRUE(read(own_tokenizer()) == tokenizer);
  expect_good(
      {"eval", "--model", run, "--data", stories(), "--max-tokens", "50"});
}

TEST_F(Train, RefusesNumbersThatCannotBeMeant) {
  const std::pair<const char*, const char*> bad[] = {
      {"--steps", "0"},
      {"--steps", "-1"},
      {"--steps", "many"},
      {"--lr", "nan"},
      {"--lr", "inf"},
      {"--lr", "-1"},
      {"--lr", "0"},
      {"--min-lr", "-1"},
      {"--warmup", "-1"},
      {"--beta1", "1"},
      {"--beta2", "-0.1"},
      {"--eps", "0"},
      {"--weight-decay", "-1"},
      {"--clip", "-1"},
      {"--loss-scale", "0"},
      {"--validation", "1"},
      {"--loss-scale-growth", "-1"},
      {"--validate-every", "-1"},
      {"--checkpoint-every", "-1"},
      {"--seed", "-1"}};
  for (const auto& [flag, value] : bad) {
    SCOPED_TRACE(std::string(flag) + " " + value);
    expect_refusal(train({flag, value, "--overwrite"}), 2, flag);
  }
  expect_refusal(
      train({"--fuse-optimizer", "--pipeline", "static", "--overwrite"}), 2,
      "--fuse-optimizer needs --accum 1");
  for (const char* flag : {"--accum", "--seq", "--threads"}) {
    expect_refusal({"train", flag, "-1", "--config", config_, "--steps", "1",
                    "--out", path("run"), "--overwrite"},
                   2, flag);
  }
}

TEST_F(Train, RefusesUnknownDevices) {
  expect_refusal(train({"--numerics", "warp"}), 2,
                 "error [numerics]: unknown numerics 'warp'");
  expect_refusal(train({"--device", "gpu"}), 2,
                 "gpu: error [device]: unknown device");
  expect_refusal(train({"--chip", "m99"}), 2, "error [chip]: no chip 'm99'");
#if !defined(__APPLE__)
  expect_refusal(train({"--device", "apple"}), 4, "not available, because");
#endif
  expect_refusal(train({"--compile-budget", "3"}), 4,
                 "error [C090]: 3 programs were compiled");
  EXPECT_FALSE(fs::exists(path("run/config.json")));
}

TEST_F(Train, NamesADivergingStep) {
  // Without loss scaling nothing skips the first absurd update.
  const Outcome outcome =
      run(train({"--steps", "20", "--lr", "1000", "--loss-scale", "1"}));
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("step 2: error [train.diverged]: the loss is "),
            std::string::npos)
      << outcome.err;
  EXPECT_NE(read(path("run/events.jsonl")).find("\"reason\":\"error\""),
            std::string::npos);
}

TEST_F(Train, ResumesOnlyWhatItBegan) {
  trained();
  expect_no_resuming("\"hidden_size\": 32", "\"hidden_size\": 64", 3,
                     "config.hidden_size: error [checkpoint]: is 32 in the "
                     "checkpoint and 64 in the model asked for");
  expect_no_resuming("\"vocab_size\": 300", "\"vocab_size\": 301", 3,
                     "the model has a vocabulary of 301 and the tokenizer has "
                     "300 pieces");
  expect_no_resuming("\"seq\": 16", "\"seq\": 32", 3,
                     "saved with sequence = 16, and now it is 32");
  expect_no_resuming("\"model\": {", "\"model\": 3, \"other\": {", 3,
                     "error [config]: must be a JSON object");
  expect_no_resuming("\"flags\"", "\"flogs\"", 3,
                     "is not the config.json of a run");
  expect_no_resuming("\"accum\": 1", "\"accom\": 1", 3,
                     "flag 'accum' is missing");
  expect_no_resuming("\"accum\": 1", "\"accum\": \"1\"", 3, "flag 'accum'");
  expect_no_resuming("\"data\": \"\"", "\"data\": \"none.bin\"", 3,
                     "none.bin: error [file]");
}

// The limits of the command line hold for an edited config.json as well.
TEST_F(Train, ResumesWithSoundFlagsOnly) {
  trained();
  expect_no_resuming("\"beta1\": 0.9", "\"beta1\": 2", 3, "beta1");
  expect_no_resuming("\"lr\": 0.002", "\"lr\": -1e300", 3, "lr");
  expect_no_resuming("\"accum\": 1", "\"accum\": 1e300", 3, "accum");
  expect_no_resuming("\"loss_scale_growth\": 200",
                     "\"loss_scale_growth\": 5000000000", 3,
                     "loss_scale_growth");
}

// In bf16: a smaller checkpoint that other commands read as well, resumed bit
// for bit, and with the other type when asked.
TEST_F(Train, StoresMomentsAsAsked) {
  const Words resume = {"train", "--resume", "--threads", "2", "--out"};
  // All of it within the warm-up, which does not depend on --steps.
  for (const char* compact : {"on", "off"}) {
    const Words words = {"--moments", "bf16", "--overwrite",
                         "--compact-vocabulary", compact};
    expect_good(train(words + Words{"--steps", "9"}));
    expect_good(train(words + Words{"--out", path("parts")}));
    const std::string said =
        expect_good(resume + Words{path("parts"), "--steps", "9"});
    EXPECT_EQ(said.find("from here on"), std::string::npos) << said;
    EXPECT_TRUE(read(path("run/checkpoint.safetensors")) ==
                read(path("parts/checkpoint.safetensors")));
  }
  const std::string whole = read(path("run/checkpoint.safetensors"));
  EXPECT_NE(whole.find(R"("dtype":"BF16")"), std::string::npos);
  EXPECT_NE(whole.find(R"("moments":"bf16")"), std::string::npos);

  const std::string widened = expect_good(
      resume + Words{path("run"), "--steps", "10", "--moments", "fp32"});
  EXPECT_NE(widened.find("bf16 in the checkpoint, fp32 from here on"),
            std::string::npos)
      << widened;
  const std::string kept = read(path("run/checkpoint.safetensors"));
  EXPECT_GT(kept.size(), whole.size() * 5 / 4);
  EXPECT_EQ(kept.find("BF16"), std::string::npos);
  EXPECT_EQ(expect_good(resume + Words{path("run"), "--steps", "11"})
                .find("from here on"),
            std::string::npos);

  for (const char* to : {"checkpoint", "blzt", "safetensors", "llama2c"}) {
    expect_good({"convert", path("parts"), path("to"), "--to", to});
  }
  expect_refusal(train({"--overwrite", "--moments", "fp16"}), 2, "--moments");
  expect_no_resuming(R"("moments": "fp32")", R"("moments": "fp16")", 3,
                     "--moments is 'fp16'; use fp32 or bf16");
  expect_no_resuming(R"("moments": "fp32")", R"("moments": 16)", 3,
                     "flag 'moments'");
}

TEST_F(Train, ResumesOnlyFromWholeFiles) {
  const std::string run = trained();
  const Words resume = {"train", "--out", run, "--resume", "--steps", "8"};
  const std::string checkpoint = read(run + "/checkpoint.safetensors");
  write("run/checkpoint.safetensors",
        std::string_view(checkpoint).substr(0, 5000));
  expect_refusal(resume, 3, "checkpoint.safetensors");
  std::string flipped = checkpoint;
  flipped[flipped.size() / 2] ^= 1;
  write("run/checkpoint.safetensors", flipped);
  expect_refusal(resume, 3, "error [checkpoint]");
  write("run/checkpoint.safetensors", checkpoint);
  fs::remove(own_tokenizer());
  expect_refusal(resume, 2, "no tokenizer in '");
  expect_refusal({"train", "--out", path("nothing"), "--resume"}, 3,
                 "error [run.config]: there is no run to resume here");
}

TEST_F(Generate, SeedDecidesTheText) {
  const std::string run = trained();
  const auto text = [&](const char* seed) {
    const Json said = Json::parse(
        expect_good({"generate", "--model", run, "--prompt", "Once",
                     "--max-tokens", "12", "--json", "--seed", seed}));
    EXPECT_EQ(said["tokens"], 12);
    EXPECT_EQ(said["stop"], "length");
    EXPECT_EQ(said["device"], "emulator");
    EXPECT_EQ(said["numerics"], "fast");
    EXPECT_GT(said["prompt_tokens"], 1);
    EXPECT_GT(said["prefill_ms"], 0);
    EXPECT_GT(said["decode_ms"], 0);
    EXPECT_GT(said["tokens_per_s"], 0);
    EXPECT_GT(said["weight_bytes"], 0);
    EXPECT_EQ(said["text"].get<std::string>().rfind("Once", 0), 0U);
    return said["text"].get<std::string>();
  };
  const std::string first = text("5");
  EXPECT_EQ(text("5"), first);
  EXPECT_NE(text("6"), first);
}

TEST_F(Generate, EndsAtTheLastPosition) {
  // With <s> and the space in front these fill all 64 positions: what follows
  // the last of them is still told.
  const Words words = {"generate",      "--model", trained(), "--json",
                       "--temperature", "0",       "--prompt"};
  const std::string prompt(62, 'z');
  const Json said = Json::parse(expect_good(words + Words{prompt}));
  EXPECT_EQ(said["prompt_tokens"], 64);
  EXPECT_EQ(said["tokens"], 1);
  EXPECT_EQ(said["stop"], "context");
  expect_refusal(words + Words{prompt + "z"}, 2, "has 65 tokens; 1 to 64 fit");
}

TEST_F(Generate, RefusesWhatItCannotContinue) {
  const std::string run = trained();
  const auto refuses = [&](const Words& more, int code, const char* text) {
    expect_refusal(Words{"generate", "--model", run} + more, code, text);
  };
  std::string prompt;
  for (int i = 0; i < 300; ++i) prompt += "Once upon ";
  refuses({"--prompt", prompt}, 2, "1 to 64 fit the context");
  refuses({"--prompt", "\xFF\xFE"}, 3, "is not UTF-8: byte 0xFF at offset 0");
  refuses({"--max-tokens", "0"}, 2, "--max-tokens");
  refuses({"--temperature", "-1"}, 2, "--temperature");
  refuses({"--temperature", "nan"}, 2, "--temperature");
  refuses({"--top-p", "2"}, 2, "--top-p");
  refuses({"--top-k", "-1"}, 2, "--top-k");
  refuses({"--device", "gpu"}, 2, "error [device]");
  refuses({"--numerics", "warp"}, 2, "error [numerics]");
  expect_refusal({"generate", "--model", "stories15m"}, 2,
                 "'stories15m' is a preset: a shape without weights");
}

TEST_F(Eval, MeasuresATextForAProgram) {
  const std::string run = trained();
  const Json said = Json::parse(
      expect_good({"eval", "--model", run, "--data", stories(), "--seq", "32",
                   "--max-tokens", "500", "--json"}));
  EXPECT_EQ(said["tokens"], 500);
  EXPECT_EQ(said["sequence"], 32);
  EXPECT_EQ(said["device"], "emulator");
  EXPECT_EQ(said["numerics"], "fast");
  EXPECT_GT(said["tokens_per_s"], 0);
  const double mean = said["mean_nll"];
  EXPECT_NEAR(mean, std::log(300), 0.2);
  EXPECT_NEAR(said["perplexity"].get<double>(), std::exp(mean), 1e-9);
}

TEST_F(Eval, RefusesWhatItCannotMeasure) {
  const std::string run = trained();
  const auto refuses = [&](const Words& more, int code, const char* text) {
    expect_refusal(Words{"eval", "--model", run} + more, code, text);
  };
  refuses({"--data", path("none.txt")}, 3, "error [file]: cannot open");
  refuses({"--data", write("empty.txt", "")}, 3, "error [text]: holds no text");
  refuses({"--data", write("one.bin", std::string_view("\1\0", 2))}, 3,
          "error [eval]: has 1 token; 2 are needed");
  refuses({"--data", stories(), "--seq", "65"}, 3,
          "sequence length 65 is outside 1..64");
  refuses({"--data", stories(), "--max-tokens", "-1"}, 2, "--max-tokens");
  expect_refusal({"eval", "--model", "stories15m", "--data", stories()}, 2,
                 "'stories15m' is a preset: a shape without weights");
}

TEST_F(Bench, PartsSumToTheStep) {
  const Json said =
      Json::parse(expect_good({"bench", "step", "--config", config_, "--seq",
                               "32", "--steps", "9", "--json"}));
  EXPECT_EQ(said["steps"], 9);
  EXPECT_EQ(said["measured_on"], "this CPU, not a Neural Engine");
  EXPECT_GT(said["microstep_ms"], 0);
  EXPECT_GT(said["update_ms"], 0);
  EXPECT_GE(said["microstep_ms"], said["microstep_min_ms"]);
  EXPECT_GE(said["update_ms"], said["update_min_ms"]);
  EXPECT_GE(said["step_ms"], said["step_min_ms"]);
  EXPECT_NEAR(said["first_loss"].get<double>(), std::log(300), 0.2);
  for (const char* part : {"engine_forward", "engine_backward", "loss",
                           "weight_gradients", "optimizer"}) {
    EXPECT_GT(said["parts_ms"].value(part, 0.0), 0) << part;
  }
  // In every single step; medians of parts need not sum to the median step.
  EXPECT_LT(said["unaccounted_percent"], 2.0);
}

TEST_F(Bench, WritesATimeline) {
  expect_good({"bench", "step", "--config", config_, "--seq", "32", "--steps",
               "1", "--threads", "2", "--trace", path("trace.json"), "--json"});
  const Json events =
      Json::parse(std::ifstream(path("trace.json")))["traceEvents"];
  std::set<std::string> names;
  for (const Json& event : events) {
    if (event["ph"] != "X") continue;
    EXPECT_GE(event["ts"], 0) << event;
    EXPECT_GE(event["dur"], 0) << event;
    names.insert(event["cat"].get<std::string>() + " " +
                 event["name"].get<std::string>());
  }
  for (const char* name : {"part engine_forward", "foreground cross entropy",
                           "background d down_proj"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  expect_refusal({"bench", "step", "--config", config_, "--seq", "32",
                  "--steps", "1", "--trace", path("no/such/folder/trace.json")},
                 3, "trace.json");
}

TEST_F(Bench, SaysWhatTheComputerCouldDo) {
  const Json ceiling =
      Json::parse(expect_good({"bench", "ceiling", "--rounds", "1", "--json"}));
  EXPECT_GT(ceiling["fma_gflop_per_s"]["best"], 0);
  EXPECT_GT(ceiling["read_gb_per_s"]["best"], 0);
  const Json gemm =
      Json::parse(expect_good({"bench", "gemm", "--config", config_, "--seq",
                               "32", "--rounds", "2", "--json"}));
  EXPECT_GT(gemm["products"].size(), 5U);
  for (const Json& row : gemm["products"]) {
    EXPECT_GT(row["gflop_per_s"]["median"], 0) << row;
    EXPECT_GT(row["percent_of_ceiling"], 0) << row;
  }
  expect_refusal({"bench", "gemm", "--rounds", "0"}, 2, "--rounds");
}

TEST_F(Bench, MeasuresAllEightKernels) {
  const Json said =
      Json::parse(expect_good({"bench", "kernels", "--config", config_, "--seq",
                               "16", "--steps", "3", "--json"}));
  ASSERT_EQ(said["kernels"].size(), 8U);
  for (const Json& row : said["kernels"]) {
    EXPECT_GT(row["median_ms"], 0) << row;
    EXPECT_GT(row["compile_ms"], 0) << row;
    EXPECT_GT(row["input_bytes"], 0) << row;
  }
  EXPECT_GT(said["kernels"][0]["gflop"], 0);
}

TEST_F(Bench, RefusesWhatItCannotMeasure) {
  for (const char* suite : {"step", "kernels"}) {
    const Words words = {"bench", suite, "--config", config_, "--seq", "16"};
    expect_refusal(words + Words{"--steps", "0"}, 2, "--steps");
    expect_refusal(words + Words{"--compile-budget", "3"}, 4, "error [C090]");
    expect_refusal(words + Words{"--numerics", "warp"}, 2, "error [numerics]");
    expect_refusal({"bench", suite, "--model", "none"}, 3,
                   "error [config]: there is no such preset");
  }
}

}  // namespace
}  // namespace aneroid::cli_test
