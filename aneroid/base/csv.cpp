#include "aneroid/base/csv.h"

#include <algorithm>

#include <fmt/format.h>

#include "aneroid/base/file.h"

namespace aneroid {
namespace {

// Reads one record at a time; a record is more than one line when a quoted
// field holds line breaks.
class Reader {
 public:
  Reader(std::string_view text, std::string_view place)
      : text_(text), place_(place) {}

  bool at_end() const { return next_ >= text_.size(); }
  int line() const { return line_; }

  Result<std::vector<std::string>> record() {
    std::vector<std::string> fields;
    while (true) {
      ANEROID_ASSIGN(std::string field, next_field());
      fields.push_back(std::move(field));
      if (at_end() || text_[next_] != ',') break;
      ++next_;
    }
    if (!at_end() && text_[next_] == '\r') ++next_;
    if (!at_end()) {
      if (text_[next_] != '\n') {
        return input_error("csv", at(line_),
                           "text after a closing quote: double the quotes that "
                           "belong to the field");
      }
      ++next_;
      ++line_;
    }
    return fields;
  }

  std::string at(int line) const { return fmt::format("{}:{}", place_, line); }

 private:
  Result<std::string> next_field() {
    if (at_end() || text_[next_] != '"') {
      const size_t end =
          std::min(text_.find_first_of(",\r\n", next_), text_.size());
      std::string field(text_.substr(next_, end - next_));
      next_ = end;
      return field;
    }
    const int first_line = line_;
    std::string field;
    for (++next_; !at_end(); ++next_) {
      if (text_[next_] == '"') {
        ++next_;
        if (at_end() || text_[next_] != '"') return field;
      } else if (text_[next_] == '\n') {
        ++line_;
      }
      field += text_[next_];
    }
    return input_error("csv", at(first_line), "a quoted field never ends");
  }

  std::string_view text_;
  std::string_view place_;
  size_t next_ = 0;
  int line_ = 1;
};

bool is_blank(const std::vector<std::string>& record) {
  return record.size() == 1 && record[0].empty();
}

}  // namespace

Result<CsvTable> CsvTable::parse(std::string_view text,
                                 std::string_view place) {
  size_t bad = 0;
  if (!is_utf8(text, &bad)) {
    return input_error("csv", std::string(place),
                       fmt::format("not UTF-8 at byte {}", bad));
  }
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  if (text.substr(0, kMark.size()) == kMark) text.remove_prefix(kMark.size());

  CsvTable table;
  table.place_ = place;
  Reader reader(text, place);
  while (!reader.at_end()) {
    const int line = reader.line();
    ANEROID_ASSIGN(std::vector<std::string> record, reader.record());
    if (is_blank(record)) continue;
    if (table.columns_.empty()) {
      for (size_t i = 0; i < record.size(); ++i) {
        if (std::find(record.begin(), record.begin() + static_cast<long>(i),
                      record[i]) != record.begin() + static_cast<long>(i)) {
          return input_error(
              "csv", reader.at(line),
              fmt::format("two columns are named '{}'", record[i]));
        }
      }
      table.columns_ = std::move(record);
      continue;
    }
    if (record.size() != table.columns_.size()) {
      return input_error(
          "csv", reader.at(line),
          fmt::format("{} fields where the header has {}: quote fields that "
                      "hold commas",
                      record.size(), table.columns_.size()));
    }
    table.rows_.push_back(std::move(record));
    table.lines_.push_back(line);
  }
  if (table.columns_.empty()) {
    return input_error("csv", std::string(place),
                       "empty: the first row must name the columns");
  }
  return table;
}

std::optional<size_t> CsvTable::find_column(std::string_view name) const {
  const auto found = std::find(columns_.begin(), columns_.end(), name);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<size_t>(found - columns_.begin());
}

Result<size_t> CsvTable::column(std::string_view name) const {
  if (const auto found = find_column(name)) return *found;
  return input_error("csv", place_,
                     fmt::format("no column '{}'; the header has {}", name,
                                 fmt::join(columns_, ", ")));
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace aneroid
