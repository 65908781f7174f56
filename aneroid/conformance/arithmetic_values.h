// Values as tables of measured arithmetic write them (docs/spec/
// arithmetic-table.md). Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/base/half.h"

namespace aneroid::conformance {

// A number as it is written; "inf", "-inf" and "nan" too.
std::optional<double> read_number(std::string_view text);
// "2^-10" too.
std::optional<double> read_bound(std::string_view text);

// An fp16 value: a number that fp16 can hold, or "bits:0x7C00".
std::optional<Half> read_half(std::string_view text);

// One value, and how often it is repeated.
template <typename T>
struct Run {
  T value;
  int64_t count = 1;
};
// At most this many values in a list.
inline constexpr int64_t kMostValues = int64_t{1} << 22;

// "a;b;c", where an item may be "a repeated 256", and where "per kernel row
// (each over 64 channels): a;b" repeats every item. The message tells which
// item is wrong.
Result<std::vector<Run<Half>>> read_halves(std::string_view list);
Result<std::vector<Run<int8_t>>> read_int8s(std::string_view list);

// Calls pair(x, w) for every position of two lists. False when they differ in
// length.
template <typename T, typename Pair>
bool for_pairs(const std::vector<Run<T>>& xs, const std::vector<Run<T>>& ws,
               Pair pair) {
  size_t i = 0;
  size_t j = 0;
  int64_t left_x = 0;
  int64_t left_w = 0;
  while (true) {
    if (left_x == 0 && i < xs.size()) left_x = xs[i++].count;
    if (left_w == 0 && j < ws.size()) left_w = ws[j++].count;
    if (left_x == 0 || left_w == 0) return left_x == left_w;
    const int64_t count = left_x < left_w ? left_x : left_w;
    for (int64_t n = 0; n < count; ++n) pair(xs[i - 1].value, ws[j - 1].value);
    left_x -= count;
    left_w -= count;
  }
}

// Whether `value`, printed with as many digits as `text` has, is `text`: the
// distance is at most half a unit of its last digit.
bool agrees_as_printed(double value, std::string_view text);

}  // namespace aneroid::conformance
