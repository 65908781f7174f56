// Comma-separated tables with a header row (RFC 4180), as measurements are
// published: quoted fields may hold commas, quotes ("") and line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"

namespace aneroid {

class CsvTable {
 public:
  // `place` names the file in messages. Errors ("csv"): not UTF-8, no header,
  // a column named twice, a row with another number of fields than the header,
  // a quote that never ends. Blank lines are skipped; a byte-order mark and
  // "\r\n" are accepted.
  static Result<CsvTable> parse(std::string_view text, std::string_view place);

  size_t rows() const { return rows_.size(); }
  const std::vector<std::string>& columns() const { return columns_; }
  // Where row `row` began in the file, counted from 1.
  int line(size_t row) const { return lines_[row]; }
  std::optional<size_t> find_column(std::string_view name) const;
  // The column's index. Error ("csv"): there is none; lists those there are.
  Result<size_t> column(std::string_view name) const;
  const std::string& at(size_t row, size_t column) const {
    return rows_[row][column];
  }

 private:
  std::string place_;
  std::vector<std::string> columns_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<int> lines_;
};

// One field, quoted when it must be.
std::string csv_field(std::string_view text);

}  // namespace aneroid
