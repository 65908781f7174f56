#include "apps/aneroid/text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace aneroid::cli {
namespace {

// Three significant digits and a prefix: 1536000 -> "1.54 M".
std::string scaled(double value, std::string_view unit) {
  constexpr std::string_view kPrefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  size_t prefix = 0;
  // 999.5 and more would round to 1000.
  while (std::abs(value) >= 999.5 && prefix + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++prefix;
  }
  const bool whole = prefix == 0 && value == std::floor(value);
  const int decimals = whole || std::abs(value) >= 99.95 ? 0
                       : std::abs(value) >= 9.995        ? 1
                                                         : 2;
  std::string suffix = fmt::format("{}{}", kPrefixes[prefix], unit);
  if (!suffix.empty()) suffix.insert(0, " ");
  return fmt::format("{:.{}f}{}", value, decimals, suffix);
}

void append_repeated(std::string& out, std::string_view piece, size_t times) {
  for (size_t i = 0; i < times; ++i) out += piece;
}

}  // namespace

std::string human_bytes(double bytes) { return scaled(bytes, "B"); }
std::string human_count(double count) { return scaled(count, ""); }

std::string human_duration(double seconds) {
  if (!std::isfinite(seconds)) return "?";
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const double limited = std::min(seconds, 1e15);
  const auto whole = static_cast<int64_t>(std::llround(limited));
  if (whole < 3600) {
    return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  }
  const int64_t minutes = whole / 60;
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string grouped(int64_t number) {
  std::string digits = fmt::format("{}", number);
  const size_t first = digits[0] == '-' ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3; i -= 3) {
    digits.insert(i - 3, 1, ',');
  }
  return digits;
}

size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80;
  }));
}

std::string wrap(std::string_view text, size_t width, size_t indent) {
  constexpr size_t kLeast = 20;  // a column narrower than this is no help
  const size_t room = std::max(width, indent + kLeast) - indent;
  std::string out;
  size_t used = 0;
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '\n') {
      out += "\n" + std::string(indent, ' ');
      used = 0;
      ++i;
      continue;
    }
    // A word with the spaces in front of it.
    const size_t word = std::min(text.find_first_not_of(' ', i), text.size());
    const size_t end = std::min(text.find_first_of(" \n", word), text.size());
    const std::string_view piece = text.substr(i, end - i);
    const size_t length = display_width(piece);
    if (used > 0 && used + length > room) {
      out += "\n" + std::string(indent, ' ');
      out += text.substr(word, end - word);
      used = display_width(text.substr(word, end - word));
    } else {
      out += piece;
      used += length;
    }
    i = end;
  }
  return out;
}

std::string bar(double fraction, size_t width) {
  constexpr std::string_view kEighths[] = {"",  "▏", "▎", "▍",
                                           "▌", "▋", "▊", "▉"};
  const double share = std::isnan(fraction) ? 0 : std::clamp(fraction, 0., 1.);
  const auto eighths =
      static_cast<size_t>(std::lround(share * static_cast<double>(width) * 8));
  std::string out;
  append_repeated(out, "█", eighths / 8);
  out += kEighths[eighths % 8];
  out.append(width - (eighths + 7) / 8, ' ');
  return out;
}

std::string sparkline(std::span<const double> values, size_t width) {
  constexpr std::string_view kLevels[] = {"▁", "▂", "▃", "▄",
                                          "▅", "▆", "▇", "█"};
  const size_t count = std::min(width, values.size());
  std::vector<double> means;
  for (size_t i = 0; i < count; ++i) {
    const size_t begin = i * values.size() / count;
    const size_t end = (i + 1) * values.size() / count;
    double sum = 0;
    for (const double value : values.subspan(begin, end - begin)) sum += value;
    means.push_back(sum / static_cast<double>(end - begin));
  }
  double least = INFINITY;
  double most = -INFINITY;
  for (const double mean : means) {
    if (!std::isfinite(mean)) continue;
    least = std::min(least, mean);
    most = std::max(most, mean);
  }
  std::string out;
  for (const double mean : means) {
    if (!std::isfinite(mean)) {
      out += ' ';
      continue;
    }
    const double height = most > least ? (mean - least) / (most - least) : 0.5;
    out += kLevels[static_cast<size_t>(std::lround(height * 7))];
  }
  return out;
}

std::string visible(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string Table::to_string(size_t width) const {
  constexpr size_t kGap = 2;
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    widths.push_back(display_width(columns_[c].title));
    for (const auto& row : rows_) {
      widths[c] = std::max(widths[c], display_width(row[c]));
    }
  }
  std::string out;
  const auto append_row = [&](const auto& cell) {
    size_t column = 0;  // where the cell begins
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      std::string text = cell(c);
      const bool last = c + 1 == columns_.size();
      if (last && width > 0) text = wrap(text, width, column);
      const size_t padding =
          widths[c] - std::min(widths[c], display_width(text));
      if (columns_[c].align == Align::kRight) line.append(padding, ' ');
      line += text;
      if (columns_[c].align == Align::kLeft && !last) line.append(padding, ' ');
      if (!last) line.append(kGap, ' ');
      column += widths[c] + kGap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  append_row([&](size_t c) { return columns_[c].title; });
  for (const auto& row : rows_) {
    append_row([&](size_t c) { return row[c]; });
  }
  return out;
}

}  // namespace aneroid::cli
