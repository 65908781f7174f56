#include "aneroid/conformance/timing_text.h"

#include <cctype>
#include <cmath>
#include <cstdlib>

namespace aneroid::conformance {
namespace {

constexpr double kLargestSize = 2147483648.0;

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }
bool is_word(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_';
}
char lower(char letter) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
}

// The number at `at`, which moves behind it.
std::optional<double> take_number(std::string_view text, size_t& at) {
  size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  if (end == at) return std::nullopt;
  if (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1])) {
    ++end;
    while (end < text.size() && is_digit(text[end])) ++end;
  }
  const double value =
      std::strtod(std::string(text.substr(at, end - at)).c_str(), nullptr);
  at = end;
  return value;
}

std::optional<std::vector<double>> match_at(std::string_view text, size_t at,
                                            std::string_view pattern) {
  std::vector<double> numbers;
  for (const char wanted : pattern) {
    if (wanted == '#') {
      const auto number = take_number(text, at);
      if (!number) return std::nullopt;
      numbers.push_back(*number);
    } else if (wanted == ' ') {
      while (at < text.size() && text[at] == ' ') ++at;
    } else {
      if (at >= text.size() || lower(text[at]) != lower(wanted)) {
        return std::nullopt;
      }
      ++at;
    }
  }
  if (at < text.size() && at > 0 && is_word(text[at - 1]) &&
      is_word(text[at])) {
    return std::nullopt;
  }
  return numbers;
}

bool begins_word(std::string_view text, size_t at) {
  if (at == 0) return true;
  const char before = text[at - 1];
  if (!is_word(text[at])) return true;
  return !is_word(before) && !(before == '.' && is_digit(text[at]));
}

}  // namespace

std::optional<std::vector<double>> find_numbers(std::string_view text,
                                                std::string_view pattern) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (!begins_word(text, at)) continue;
    if (auto numbers = match_at(text, at, pattern)) return numbers;
  }
  return std::nullopt;
}

std::optional<std::vector<int64_t>> find_sizes(std::string_view text,
                                               std::string_view pattern) {
  const auto numbers = find_numbers(text, pattern);
  if (!numbers) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const double number : *numbers) {
    if (number < 1 || number > kLargestSize || number != std::floor(number)) {
      return std::nullopt;
    }
    sizes.push_back(static_cast<int64_t>(number));
  }
  return sizes;
}

bool contains_word(std::string_view text, std::string_view word) {
  return find_numbers(text, word).has_value();
}

std::optional<double> as_number(std::string_view text) {
  size_t at = 0;
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) at = 1;
  const auto number = take_number(text, at);
  if (!number || at != text.size()) return std::nullopt;
  return negative ? -*number : *number;
}

}  // namespace aneroid::conformance
