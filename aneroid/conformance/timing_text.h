// Finding numbers in the words that tables of measurements use. Private to
// this folder.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace aneroid::conformance {

// The numbers of the first place where `pattern` occurs in `text`, or nullopt.
// In a pattern '#' stands for a number ("12", "0.5") and a space for any run
// of spaces, none included; letters match in either case. An occurrence neither
// begins nor ends inside a word or number: "#x#" is not in "k=3x3" or "1.5x2".
//
//   find_numbers("conv 64->128 sp32", "#->#")  is {64, 128}
std::optional<std::vector<double>> find_numbers(std::string_view text,
                                                std::string_view pattern);

// The same as whole numbers from 1 to 2^31; nullopt when one is not.
std::optional<std::vector<int64_t>> find_sizes(std::string_view text,
                                               std::string_view pattern);

bool contains_word(std::string_view text, std::string_view word);

// All of `text` is one number.
std::optional<double> as_number(std::string_view text);

}  // namespace aneroid::conformance
