// The words of a variant text, sorted into shapes, numbers and element types.
// Part of acceptance_variant.h.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/dtype.h"

namespace aneroid::conformance {

struct VariantWords {
  // Shapes behind a word ("input", "weight", "to"), and the others in order.
  std::map<std::string, Shape, std::less<>> labelled_shapes;
  std::vector<Shape> shapes;
  // Numbers behind a word ("axis", "stride"), and the others. Factors are
  // written "x2".
  std::map<std::string, std::vector<double>, std::less<>> labelled_numbers;
  std::vector<double> numbers;
  std::optional<double> factor;
  // "int32 inputs", "int32 index", and for cast "fp16 to int32".
  std::optional<DataType> input_type;
  std::optional<DataType> index_type;
  std::optional<DataType> output_type;
  std::set<std::string, std::less<>> words;

  bool has(std::string_view word) const { return words.contains(word); }
  // The first number behind the word.
  std::optional<double> number(std::string_view label) const;
  std::optional<Shape> shape(std::string_view label) const;
};

// Never fails: a text without sense has no facts. Numbers above 2^40 and
// shapes of more than 16 dimensions are skipped.
VariantWords read_words(std::string_view variant);

}  // namespace aneroid::conformance
