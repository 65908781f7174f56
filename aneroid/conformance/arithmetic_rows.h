// One judge per format of arithmetic.h. Internal to this folder.
#pragma once

#include <string>
#include <string_view>

#include "aneroid/base/csv.h"
#include "aneroid/conformance/arithmetic.h"

namespace aneroid::conformance {

// The fields of one row by the names of their columns.
class RowFields {
 public:
  RowFields(const CsvTable& table, size_t row) : table_(table), row_(row) {}
  // Empty when there is no such column.
  std::string_view operator[](std::string_view column) const;

 private:
  const CsvTable& table_;
  size_t row_;
};

ArithmeticRow judge_case(const RowFields& fields);
ArithmeticRow judge_integers(const RowFields& fields);
ArithmeticRow judge_knot(const RowFields& fields);
ArithmeticRow judge_statistics(const RowFields& fields);

}  // namespace aneroid::conformance
