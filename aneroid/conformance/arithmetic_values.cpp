#include "aneroid/conformance/arithmetic_values.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace aneroid::conformance {
namespace {

constexpr std::string_view kRepeated = " repeated ";
constexpr std::string_view kPerRow = "per kernel row (each over ";

std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

template <typename T, typename... Options>
std::optional<T> read_all(std::string_view text, Options... options) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] =
      std::from_chars(text.data(), end, value, options...);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  return value;
}

std::optional<int64_t> read_count(std::string_view text) {
  const auto count = read_all<int64_t>(trim(text));
  if (!count || *count < 1 || *count > kMostValues) return std::nullopt;
  return count;
}

std::optional<int8_t> read_int8(std::string_view text) {
  return read_all<int8_t>(text);
}

tl::unexpected<Diagnostic> bad_list(std::string message) {
  return input_error("arithmetic", "", std::move(message));
}

template <typename T>
Result<std::vector<Run<T>>> read_list(
    std::string_view list, std::optional<T> (*read)(std::string_view)) {
  int64_t each = 1;
  if (list.starts_with(kPerRow)) {
    list.remove_prefix(kPerRow.size());
    const size_t channels = list.find(' ');
    const size_t colon = list.find(':');
    const auto count = read_count(list.substr(0, channels));
    if (!count || colon == std::string_view::npos) {
      return bad_list(
          "not of the form 'per kernel row (each over N channels): "
          "a;b'");
    }
    each = *count;
    list.remove_prefix(colon + 1);
  }
  std::vector<Run<T>> runs;
  int64_t values = 0;
  while (true) {
    const size_t end = std::min(list.find(';'), list.size());
    std::string_view item = trim(list.substr(0, end));
    int64_t count = each;
    if (const size_t word = item.find(kRepeated);
        word != std::string_view::npos) {
      const auto times = read_count(item.substr(word + kRepeated.size()));
      count = times ? each * *times : kMostValues + 1;
      item = item.substr(0, word);
    }
    values += count;
    if (values > kMostValues) {
      return bad_list(
          fmt::format("value {} repeats more than {} times, or not "
                      "a number of times",
                      runs.size() + 1, kMostValues));
    }
    const auto value = read(item);
    if (!value) {
      return bad_list(fmt::format("value {}, '{}', is not of this type",
                                  runs.size() + 1, item));
    }
    runs.push_back({*value, count});
    if (end == list.size()) return runs;
    list.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<double> read_number(std::string_view text) {
  text = trim(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  return read_all<double>(text, std::chars_format::general);
}

std::optional<double> read_bound(std::string_view text) {
  constexpr std::string_view kPower = "2^";
  text = trim(text);
  if (!text.starts_with(kPower)) return read_number(text);
  const auto exponent = read_all<int>(text.substr(kPower.size()));
  if (!exponent) return std::nullopt;
  return std::ldexp(1.0, *exponent);
}

std::optional<Half> read_half(std::string_view text) {
  constexpr std::string_view kBits = "bits:0x";
  constexpr int kHexadecimal = 16;
  text = trim(text);
  if (text.starts_with(kBits)) {
    const auto bits =
        read_all<uint16_t>(text.substr(kBits.size()), kHexadecimal);
    if (!bits) return std::nullopt;
    return Half{*bits};
  }
  const auto number = read_number(text);
  if (!number) return std::nullopt;
  const Half half = to_half_even(*number);
  // Decimal text is exact, but for NaN.
  const bool same = static_cast<double>(to_float(half)) == *number;
  if (!same && !std::isnan(*number)) return std::nullopt;
  return half;
}

Result<std::vector<Run<Half>>> read_halves(std::string_view list) {
  return read_list<Half>(list, read_half);
}

Result<std::vector<Run<int8_t>>> read_int8s(std::string_view list) {
  return read_list<int8_t>(list, read_int8);
}

bool agrees_as_printed(double value, std::string_view text) {
  text = trim(text);
  const auto printed = read_number(text);
  if (!printed) return false;
  if (!std::isfinite(*printed) || !std::isfinite(value)) {
    return *printed == value || (std::isnan(*printed) && std::isnan(value));
  }
  // The place of the last digit: digits after the point, and the exponent.
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  const size_t point = std::min(text.find('.'), mark);
  const auto decimals = static_cast<int>(point == mark ? 0 : mark - point - 1);
  int exponent = 0;
  if (mark < text.size()) {
    std::string_view digits = text.substr(mark + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    exponent = read_all<int>(digits).value_or(0);
  }
  // A little more than half a unit, for ties and the rounding of this sum.
  constexpr double kHalf = 0.500001;
  return std::fabs(value - *printed) <=
         kHalf * std::pow(10.0, exponent - decimals);
}

}  // namespace aneroid::conformance
