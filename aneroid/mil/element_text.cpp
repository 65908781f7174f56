// Numbers from text, exactly, and back.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "aneroid/mil/element.h"

namespace aneroid::mil {
namespace {

// A finite number as text gives it: (-1)^negative * mantissa * 2^exponent,
// where a set `inexact` means that the true magnitude is a little larger.
struct Binary {
  bool negative = false;
  uint64_t mantissa = 0;
  int64_t exponent = 0;
  bool inexact = false;
};

enum class Round { kNearestEven, kOdd };

// `kOdd` keeps enough about the rest for a second rounding, to a format at
// least two bits narrower, to come out as if it were the only one.
double compose(const Binary& number, Round round) {
  if (number.mantissa == 0) return number.negative ? -0.0 : 0.0;
  const int zeros = std::countl_zero(number.mantissa);
  const uint64_t mantissa = number.mantissa << zeros;
  const int64_t exponent = number.exponent - zeros;
  double magnitude = 0;
  if (exponent > 1024) {
    magnitude = std::numeric_limits<double>::infinity();
  } else if (exponent >= -1074 - 64) {
    constexpr int kDropped = 64 - 53;
    const int shift =
        static_cast<int>(std::max<int64_t>(kDropped, -1074 - exponent));
    uint64_t kept = shift >= 64 ? 0 : mantissa >> shift;
    const uint64_t rest = shift >= 64 ? mantissa : mantissa << (64 - shift);
    const bool any = rest != 0 || number.inexact;
    if (round == Round::kOdd) {
      if (any) kept |= 1;
    } else {
      constexpr uint64_t kHalf = uint64_t{1} << 63;
      const bool above = rest > kHalf || (rest == kHalf && number.inexact);
      const bool tie = rest == kHalf && !number.inexact;
      if (above || (tie && (kept & 1) != 0)) ++kept;
    }
    magnitude = std::ldexp(static_cast<double>(kept),
                           static_cast<int>(exponent + shift));
  }
  return number.negative ? -magnitude : magnitude;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Exponents beyond any format are as good as these.
constexpr int64_t kExponentLimit = 1'000'000'000;

// "[+-]digits" up to the end of the text.
std::optional<int64_t> parse_exponent(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  int64_t exponent = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    exponent = std::min(exponent * 10 + (c - '0'), kExponentLimit);
  }
  return negative ? -exponent : exponent;
}

// What follows "0x": digits[.digits][p exponent].
std::optional<Binary> parse_hex(std::string_view text, bool negative) {
  Binary number;
  number.negative = negative;
  bool any_digit = false;
  bool point = false;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    const int digit = hex_digit(c);
    if (digit < 0) break;
    any_digit = true;
    if (number.mantissa >> 60 == 0) {
      number.mantissa = number.mantissa << 4 | static_cast<uint64_t>(digit);
      if (point) number.exponent -= 4;
    } else {
      number.inexact |= digit != 0;
      if (!point) number.exponent += 4;
    }
  }
  if (!any_digit) return std::nullopt;
  if (at < text.size()) {
    if (text[at] != 'p' && text[at] != 'P') return std::nullopt;
    const auto exponent = parse_exponent(text.substr(at + 1));
    if (!exponent) return std::nullopt;
    number.exponent += *exponent;
  }
  return number;
}

// A decimal magnitude as significant digits d1 d2 ... (no zeros at either end)
// times 10^point, the point standing before d1.
struct Decimal {
  std::string digits;
  int64_t point = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal number;
  bool any_digit = false;
  bool point = false;
  size_t at = 0;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (c < '0' || c > '9') break;
    any_digit = true;
    if (c == '0' && number.digits.empty()) {
      if (point) --number.point;
    } else {
      number.digits += c;
      if (!point) ++number.point;
    }
  }
  if (!any_digit) return std::nullopt;
  if (at < text.size()) {
    if (text[at] != 'e' && text[at] != 'E') return std::nullopt;
    const auto exponent = parse_exponent(text.substr(at + 1));
    if (!exponent) return std::nullopt;
    number.point += *exponent;
  }
  number.digits.erase(number.digits.find_last_not_of('0') + 1);
  return number;
}

// <0, 0, >0 as `number` is below, equal to or above the finite `value` > 0.
int compare(const Decimal& number, double value) {
  // 767 significant digits hold every double exactly.
  std::array<char, 800> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 value, std::chars_format::scientific, 767);
  const auto exact = parse_decimal(
      {buffer.data(), static_cast<size_t>(end.ptr - buffer.data())});
  if (number.point != exact->point) {
    return number.point < exact->point ? -1 : 1;
  }
  return number.digits.compare(exact->digits);
}

// The magnitude of a decimal as a double.
double decimal_magnitude(std::string_view text, const Decimal& number,
                         Round round) {
  if (number.digits.empty()) return 0;
  double nearest = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(),
                                      nearest, std::chars_format::general);
  if (result.ec == std::errc::result_out_of_range) {
    nearest = number.point > 0 ? std::numeric_limits<double>::infinity() : 0;
  }
  if (round == Round::kNearestEven || std::isinf(nearest)) return nearest;
  const bool odd = (std::bit_cast<uint64_t>(nearest) & 1) != 0;
  if (odd || nearest == 0) return nearest;
  const int order = compare(number, nearest);
  if (order == 0) return nearest;
  const double infinity = std::numeric_limits<double>::infinity();
  return std::nextafter(nearest, order < 0 ? 0 : infinity);
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(
      text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
        return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
      });
}

bool take_sign(std::string_view& text) {
  if (text.empty() || (text.front() != '-' && text.front() != '+')) {
    return false;
  }
  const bool negative = text.front() == '-';
  text.remove_prefix(1);
  return negative;
}

bool take_hex_prefix(std::string_view& text) {
  if (text.size() < 2 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) {
    return false;
  }
  text.remove_prefix(2);
  return true;
}

std::optional<NumberError> append_float(DataType dtype, std::string_view text,
                                        Value::Bytes& out) {
  const bool negative = take_sign(text);
  const double sign = negative ? -1 : 1;
  if (equal_ignoring_case(text, "inf") ||
      equal_ignoring_case(text, "infinity")) {
    append_double(dtype, sign * std::numeric_limits<double>::infinity(), out);
    return std::nullopt;
  }
  if (equal_ignoring_case(text, "nan")) {
    append_double(dtype,
                  std::copysign(std::numeric_limits<double>::quiet_NaN(), sign),
                  out);
    return std::nullopt;
  }
  const Round round =
      dtype == DataType::kFp64 ? Round::kNearestEven : Round::kOdd;
  double value = 0;
  if (take_hex_prefix(text)) {
    const auto number = parse_hex(text, negative);
    if (!number) return NumberError::kMalformed;
    value = compose(*number, round);
  } else {
    const auto number = parse_decimal(text);
    if (!number) return NumberError::kMalformed;
    value = sign * decimal_magnitude(text, *number, round);
  }
  const size_t start = out.size();
  append_double(dtype, value, out);
  const double stored = element_as_double(dtype, out.data() + start);
  if (!std::isfinite(stored)) {
    out.resize(start);
    return NumberError::kOutOfRange;
  }
  return std::nullopt;
}

bool is_signed_integer(DataType dtype) {
  switch (dtype) {
    case DataType::kInt4:
    case DataType::kInt8:
    case DataType::kInt16:
    case DataType::kInt32:
    case DataType::kInt64:
      return true;
    default:
      return false;
  }
}

std::optional<NumberError> append_integer(DataType dtype, std::string_view text,
                                          Value::Bytes& out) {
  const bool negative = take_sign(text);
  const int base = take_hex_prefix(text) ? 16 : 10;
  uint64_t magnitude = 0;
  const auto result =
      std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (text.empty() || result.ec == std::errc::invalid_argument ||
      result.ptr != text.data() + text.size()) {
    return NumberError::kMalformed;
  }
  const int width = bits(dtype) - (is_signed_integer(dtype) ? 1 : 0);
  const uint64_t largest =
      width == 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1;
  const uint64_t smallest = is_signed_integer(dtype) ? largest + 1 : 0;
  if (result.ec == std::errc::result_out_of_range ||
      magnitude > (negative ? smallest : largest)) {
    return NumberError::kOutOfRange;
  }
  append_int(dtype, static_cast<int64_t>(negative ? 0 - magnitude : magnitude),
             out);
  return std::nullopt;
}

uint64_t load_uint64(const std::byte* element) {
  uint64_t value = 0;
  std::memcpy(&value, element, sizeof value);
  return value;
}

}  // namespace

std::optional<NumberError> append_number(DataType dtype, std::string_view text,
                                         Value::Bytes& out) {
  return is_float(dtype) ? append_float(dtype, text, out)
                         : append_integer(dtype, text, out);
}

void print_element(DataType dtype, const std::byte* element, FloatStyle style,
                   std::string& out) {
  if (dtype == DataType::kBool) {
    out += *element == std::byte{0} ? "false" : "true";
  } else if (dtype == DataType::kUint64) {
    out += fmt::format("{}", load_uint64(element));
  } else if (!is_float(dtype)) {
    out += fmt::format("{}", element_as_int(dtype, element));
  } else {
    const double value = element_as_double(dtype, element);
    if (!std::isfinite(value)) {
      out += std::isnan(value) ? "nan" : value < 0 ? "-inf" : "inf";
    } else if (style == FloatStyle::kDecimal) {
      out += fmt::format("{:.17g}", value);
    } else {
      std::array<char, 40> buffer;
      const auto end =
          std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                        std::fabs(value), std::chars_format::hex);
      out += std::signbit(value) ? "-0x" : "0x";
      out.append(buffer.data(), end.ptr);
    }
  }
}

}  // namespace aneroid::mil
