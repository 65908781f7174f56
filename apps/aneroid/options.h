// Flags that mean the same in every command.
#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"

namespace aneroid::cli {

// Each returns the option, so that a command may call ->required().
CLI::Option* add_model_option(CLI::App& command, std::string& path);
CLI::Option* add_data_option(CLI::App& command, std::string& path);
CLI::Option* add_tokenizer_option(CLI::App& command, std::string& path);
CLI::Option* add_sequence_option(CLI::App& command, int64_t& length);
CLI::Option* add_moments_option(CLI::App& command, std::string& type);
CLI::Option* add_seed_option(CLI::App& command, uint64_t& seed);
CLI::Option* add_json_option(CLI::App& command, bool& json);
CLI::Option* add_chip_option(CLI::App& command, std::string& chip);
CLI::Option* add_strict_option(CLI::App& command, bool& strict);

// What --moments names. Error (usage): another name.
Result<DataType> moments_from_name(const std::string& type);

}  // namespace aneroid::cli
