#include "apps/aneroid/options.h"

#include <fmt/format.h>

#include "apps/aneroid/common.h"

namespace aneroid::cli {
namespace {

// "--chip ''" is a mistake in a script, not the absence of --chip.
std::string not_empty(const std::string& value) {
  return value.empty() ? "must not be empty" : "";
}

// Unsigned numbers are parsed as if -1 were a very large one.
std::string not_negative(const std::string& value) {
  return value.starts_with("-") ? "must not be negative" : "";
}

}  // namespace

CLI::Option* add_model_option(CLI::App& command, std::string& path) {
  return command
      .add_option("--model", path,
                  "model: a run folder, .safetensors, llama2.c .bin or a "
                  "Hugging Face folder")
      ->type_name("PATH")
      ->check(not_empty);
}

CLI::Option* add_data_option(CLI::App& command, std::string& path) {
  return command
      .add_option("--data", path,
                  "token shard written by 'aneroid data tokenize'")
      ->type_name("FILE")
      ->check(not_empty);
}

CLI::Option* add_tokenizer_option(CLI::App& command, std::string& path) {
  return command
      .add_option("--tokenizer", path,
                  "SentencePiece .model, llama2.c tokenizer.bin or "
                  "aneroid-bpe .json")
      ->type_name("FILE")
      ->check(not_empty);
}

CLI::Option* add_sequence_option(CLI::App& command, int64_t& length) {
  return command.add_option("--seq", length, "sequence length in tokens")
      ->type_name("TOKENS")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
}

CLI::Option* add_moments_option(CLI::App& command, std::string& type) {
  return command
      .add_option("--moments", type,
                  "how AdamW's two moments are stored: fp32, or bf16 in half "
                  "the memory, rounded at random")
      ->type_name("TYPE")
      ->check(CLI::IsMember({"fp32", "bf16"}))
      ->capture_default_str();
}

CLI::Option* add_seed_option(CLI::App& command, uint64_t& seed) {
  return command.add_option("--seed", seed, "start of the random sequences")
      ->type_name("N")
      ->check(not_negative)
      ->capture_default_str();
}

CLI::Option* add_json_option(CLI::App& command, bool& json) {
  return command.add_flag("--json", json, "print JSON, for programs");
}

CLI::Option* add_chip_option(CLI::App& command, std::string& chip) {
  return command
      .add_option("--chip", chip, "a chip of 'aneroid devices': m1, m4, ...")
      ->type_name("CHIP")
      ->check(not_empty);
}

CLI::Option* add_strict_option(CLI::App& command, bool& strict) {
  return command.add_flag("--strict", strict,
                          "apply rules that sources disagree about as well");
}

Result<DataType> moments_from_name(const std::string& type) {
  const auto found = data_type_from_name(type);
  if (found == DataType::kFp32 || found == DataType::kBf16) return *found;
  return usage_error(fmt::format("--moments is '{}'; use fp32 or bf16", type));
}

}  // namespace aneroid::cli
