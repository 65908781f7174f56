#include "aneroid/conformance/acceptance_result.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace aneroid::conformance {
namespace {

// Null when the axis, counted from the end when negative, does not exist.
int64_t* dimension(Shape& shape, double axis) {
  const auto rank = static_cast<int64_t>(shape.size());
  int64_t index = whole(axis);
  if (index < 0) index += rank;
  return index >= 0 && index < rank ? &shape[static_cast<size_t>(index)]
                                    : nullptr;
}

void divide(Shape& shape, double axis, double parts) {
  int64_t* dim = dimension(shape, axis);
  if (dim != nullptr && parts >= 1) *dim /= whole(parts);
}

// The numbers behind a word, if there are `count`.
const std::vector<double>* numbers(const VariantWords& words,
                                   std::string_view label, size_t count) {
  const auto found = words.labelled_numbers.find(label);
  return found != words.labelled_numbers.end() && found->second.size() == count
             ? &found->second
             : nullptr;
}

void reduce(Shape& shape, const VariantWords& words) {
  const auto axes = words.labelled_numbers.find("axis");
  if (axes == words.labelled_numbers.end()) {
    std::ranges::fill(shape, 1);
    return;
  }
  for (const double axis : axes->second) {
    if (int64_t* dim = dimension(shape, axis)) *dim = 1;
  }
}

// Channels 8..40, half of the channels, every second column, the 4 largest.
void take_part(std::string_view op, Shape& shape, const VariantWords& words) {
  if (const auto* size = numbers(words, "size", shape.size())) {
    std::ranges::transform(*size, shape.begin(), whole);
  } else if (const auto* range = numbers(words, "channels", 2);
             range != nullptr && shape.size() > 1) {
    shape[1] = whole((*range)[1] - (*range)[0]);
  } else if (op == "split" && !words.numbers.empty()) {
    divide(shape, words.number("axis").value_or(0), words.numbers.front());
  } else if (op == "topk" && words.number("k")) {
    int64_t* dim = dimension(shape, words.number("axis").value_or(-1));
    if (dim != nullptr) *dim = whole(*words.number("k"));
  } else if (const auto stride = words.number("stride")) {
    divide(shape, words.has("h") ? 2 : 3, *stride);
  }
}

// [N, C, H, W], upsampled, or with blocks moved between channels or batch and
// space.
void rearrange(std::string_view op, Shape& shape, const VariantWords& words) {
  if (op.starts_with("upsample_") || op.starts_with("resize")) {
    const double factor = words.factor.value_or(1);
    shape[2] = whole(static_cast<double>(shape[2]) * factor);
    shape[3] = whole(static_cast<double>(shape[3]) * factor);
    return;
  }
  struct Shuffle {
    std::string_view op;
    size_t axis;  // that gives or takes the blocks
    bool to_space;
  };
  constexpr std::array<Shuffle, 6> kShuffles = {{
      {"depth_to_space", 1, true},
      {"pixel_shuffle", 1, true},
      {"batch_to_space", 0, true},
      {"space_to_depth", 1, false},
      {"pixel_unshuffle", 1, false},
      {"space_to_batch", 0, false},
  }};
  const auto* const shuffle = std::ranges::find(kShuffles, op, &Shuffle::op);
  if (shuffle == kShuffles.end()) return;
  // "block 2x2", "block 2" or a number alone.
  constexpr double kLargestBlock = 1024;
  double side = words.numbers.empty() ? 2 : words.numbers.front();
  if (const auto block = words.shape("block")) {
    side = static_cast<double>(block->front());
  }
  side = words.number("block").value_or(side);
  const int64_t block = whole(std::clamp(side, 1.0, kLargestBlock));
  const auto scale = [block](int64_t& dim, bool up) {
    dim = up ? dim * block : dim / block;
  };
  scale(shape[2], shuffle->to_space);
  scale(shape[3], shuffle->to_space);
  scale(shape[shuffle->axis], !shuffle->to_space);
  scale(shape[shuffle->axis], !shuffle->to_space);
}

}  // namespace

int64_t whole(double number) {
  constexpr double kLimit = 1e15;
  return std::llround(std::clamp(number, -kLimit, kLimit));
}

Shape result_shape(std::string_view op, const Shape& input,
                   const VariantWords& words) {
  Shape shape = input;
  if (const auto to = words.shape("to")) {
    // "to 48x48" gives height and width, a longer one all dimensions.
    if (to->size() != 2 || input.size() != 4) return *to;
    shape[2] = (*to)[0];
    shape[3] = (*to)[1];
  } else if (op.starts_with("slice") || op == "split" || op == "topk") {
    take_part(op, shape, words);
  } else if (op.starts_with("reduce_")) {
    // "then sub": the input takes the reduction back to its shape.
    if (!words.has("then")) reduce(shape, words);
  } else if (shape.size() == 4) {
    rearrange(op, shape, words);
  }
  return shape;
}

}  // namespace aneroid::conformance
