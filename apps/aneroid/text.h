// Numbers, tables and small charts as text.
//
// Widths count code points, which is right for everything we print except
// East Asian wide characters and combining marks in user text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aneroid::cli {

std::string human_bytes(double bytes);       // "812 B", "1.5 MB" (1e6)
std::string human_count(double count);       // "812", "1.5 M"
std::string human_duration(double seconds);  // "3.2 ms", "12 min 05 s"
std::string grouped(int64_t number);         // "1,234,567"

size_t display_width(std::string_view text);

// Breaks at spaces so that lines fit in `width`; continuation lines begin with
// `indent` spaces, and the first is taken to start there. Line ends in the
// text stay.
std::string wrap(std::string_view text, size_t width, size_t indent);

// One line of `width` block characters, 0 <= fraction <= 1, padded with spaces.
std::string bar(double fraction, size_t width);

// A curve in one line of at most `width` characters: each is the mean of its
// share of the values, from the least to the greatest. Values that are not
// finite leave a gap.
std::string sparkline(std::span<const double> values, size_t width);

// User text for a message or a cell: control characters as "\n", "\x1b".
std::string visible(std::string_view text);

enum class Align { kLeft, kRight };
struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// Rows of cells under titles, columns two spaces apart.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // Must have as many cells as there are columns.
  void add(std::vector<std::string> cells) {
    rows_.push_back(std::move(cells));
  }
  // The last column is wrapped under itself to keep lines within `width`;
  // 0 for no limit.
  std::string to_string(size_t width = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace aneroid::cli
