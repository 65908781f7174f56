#include "aneroid/conformance/acceptance_words.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace aneroid::conformance {
namespace {

constexpr double kLargestNumber = 1099511627776.0;  // 2^40
constexpr size_t kMostDims = 16;

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

// Words a number or shape belongs to when it stands behind them.
std::optional<std::string> label_of(std::string_view word) {
  struct Synonym {
    std::string_view word;
    std::string_view label;
  };
  constexpr std::array<Synonym, 41> kSynonyms = {{
      {"alpha", "alpha"},       {"axes", "axis"},
      {"axis", "axis"},         {"batch", "batch"},
      {"begin", "begin"},       {"block", "block"},
      {"boxes", "boxes"},       {"channels", "channels"},
      {"const", "const"},       {"constant", "const"},
      {"contraction", "inner"}, {"dim", "inner"},
      {"dilation", "dilation"}, {"dilations", "dilation"},
      {"exponent", "exponent"}, {"groups", "groups"},
      {"height", "height"},     {"index", "index"},
      {"indices", "index"},     {"input", "input"},
      {"inputs", "input"},      {"k", "k"},
      {"kernel", "kernel"},     {"mask", "mask"},
      {"of", "input"},          {"pad", "pad"},
      {"reps", "reps"},         {"scale", "scale"},
      {"scores", "scores"},     {"second", "second"},
      {"size", "size"},         {"stride", "stride"},
      {"strides", "stride"},    {"table", "const"},
      {"target", "to"},         {"to", "to"},
      {"value", "value"},       {"weight", "weight"},
      {"weights", "weight"},
  }};
  const auto found = std::ranges::find(kSynonyms, word, &Synonym::word);
  if (found == kSynonyms.end()) return std::nullopt;
  return std::string(found->label);
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(std::abs(value) <= kLargestNumber)) {
    return std::nullopt;
  }
  return value;
}

// "2;3", "2", and the ends of "8..40".
std::vector<double> to_numbers(std::string_view text) {
  std::vector<double> numbers;
  if (const size_t dots = text.find(".."); dots != std::string_view::npos) {
    const std::optional<double> first = to_number(text.substr(0, dots));
    const std::optional<double> last = to_number(text.substr(dots + 2));
    if (first && last) numbers = {*first, *last};
    return numbers;
  }
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::optional<double> number = to_number(text.substr(0, end));
    if (!number) return {};
    numbers.push_back(*number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return numbers;
}

// "1x64x32x32", with at least one 'x'; in "Nx64x32x32" the letter stands for
// `swept`.
std::optional<Shape> to_shape(std::string_view text, int64_t swept) {
  Shape shape;
  if (std::ranges::none_of(text, is_digit)) return std::nullopt;
  while (!text.empty()) {
    const size_t end = std::min(text.find('x'), text.size());
    const std::string_view dim = text.substr(0, end);
    if (dim.size() == 1 && !is_digit(dim[0])) {
      shape.push_back(swept);
    } else {
      if (dim.empty() || !std::ranges::all_of(dim, is_digit)) {
        return std::nullopt;
      }
      const std::optional<double> size = to_number(dim);
      if (!size) return std::nullopt;
      shape.push_back(static_cast<int64_t>(*size));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (shape.size() < 2 || shape.size() > kMostDims) return std::nullopt;
  return shape;
}

// Lower case, without the label before a colon, with ';' and ',' apart from
// words unless they are between digits.
std::vector<std::string> split(std::string_view variant) {
  std::string text;
  for (const char c : variant) {
    text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  const size_t colon = text.find(':');
  if (colon != std::string::npos && text.find(' ') > colon) {
    text.erase(0, colon + 1);
  }
  std::vector<std::string> words;
  std::string word;
  const auto finish = [&] {
    if (!word.empty()) words.push_back(word);
    word.clear();
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool is_list = (c == ';' || c == ',') && i > 0 &&
                         i + 1 < text.size() && is_digit(text[i - 1]) &&
                         (is_digit(text[i + 1]) || text[i + 1] == '-');
    if (is_list) {
      word += ';';
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0 ||
               std::string_view(";,:()[]=").find(c) != std::string::npos) {
      finish();
    } else {
      word += c;
    }
  }
  finish();
  return words;
}

class Reader {
 public:
  explicit Reader(std::vector<std::string> words) : words_(std::move(words)) {}

  VariantWords read() {
    // In "batch 16: Nx64x32x32" the first number is what was swept.
    for (const std::string& word : words_) {
      const std::optional<double> number = to_number(word);
      if (!number) continue;
      swept_ = static_cast<int64_t>(*number);
      break;
    }
    for (position_ = 0; position_ < words_.size(); ++position_) take();
    return std::move(facts_);
  }

 private:
  std::string_view at(size_t position) const {
    return position < words_.size() ? words_[position] : std::string_view();
  }

  void take() {
    const std::string& word = words_[position_];
    facts_.words.insert(word);
    if (const auto type = data_type_from_name(word)) {
      take_type(*type);
    } else if (const auto shape = to_shape(word, swept_)) {
      if (label_.empty()) {
        facts_.shapes.push_back(*shape);
      } else {
        facts_.labelled_shapes.try_emplace(label_, *shape);
      }
      label_.clear();
    } else if (const auto numbers = to_numbers(word); !numbers.empty()) {
      auto& list =
          label_.empty() ? facts_.numbers : facts_.labelled_numbers[label_];
      list.insert(list.end(), numbers.begin(), numbers.end());
      label_.clear();
    } else if (word.size() > 1 && word[0] == 'x' && to_number(word.substr(1))) {
      facts_.factor = to_number(word.substr(1));
    } else if (word.size() > 1 && word[0] == 'k' && to_number(word.substr(1))) {
      facts_.labelled_numbers["k"] = {*to_number(word.substr(1))};
    } else if (auto label = label_of(word)) {
      label_ = *std::move(label);
    }
  }

  // What a type belongs to is said by the words around it.
  void take_type(DataType type) {
    const std::string_view before = position_ > 0 ? at(position_ - 1) : "";
    const std::string_view after = at(position_ + 1);
    constexpr std::array<std::string_view, 6> kIndices = {
        "index", "indices", "begin", "size", "offsets", "lengths"};
    constexpr std::array<std::string_view, 3> kOutputs = {"output", "outputs",
                                                          "result"};
    constexpr std::array<std::string_view, 8> kInputs = {
        "input",    "inputs", "operand", "operands",
        "branches", "data",   "tensors", "to"};
    const auto is_in = [](const auto& words, std::string_view word) {
      return std::ranges::find(words, word) != words.end();
    };
    if (before == "to" || is_in(kOutputs, after)) {
      facts_.output_type = type;
      label_.clear();
    } else if (is_in(kIndices, after)) {
      facts_.index_type = type;
    } else if (is_in(kInputs, after) || to_shape(after, swept_)) {
      facts_.input_type = type;
    }
  }

  std::vector<std::string> words_;
  size_t position_ = 0;
  std::string label_;
  int64_t swept_ = 1;
  VariantWords facts_;
};

}  // namespace

std::optional<double> VariantWords::number(std::string_view label) const {
  const auto found = labelled_numbers.find(label);
  if (found == labelled_numbers.end() || found->second.empty()) {
    return std::nullopt;
  }
  return found->second.front();
}

std::optional<Shape> VariantWords::shape(std::string_view label) const {
  const auto found = labelled_shapes.find(label);
  if (found == labelled_shapes.end()) return std::nullopt;
  return found->second;
}

VariantWords read_words(std::string_view variant) {
  return Reader(split(variant)).read();
}

}  // namespace aneroid::conformance
