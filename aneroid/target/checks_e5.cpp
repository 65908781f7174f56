// What was seen on M5 below Core ML.
#include <algorithm>

#include <fmt/format.h>

#include "aneroid/target/checks.h"

namespace aneroid::target {
namespace {

bool is_nonlinear(const mil::Operation& operation) {
  return is_elementwise(operation) && operation.input("y") == nullptr &&
         operation.op != "square" && operation.op != "cast";
}

}  // namespace

OpFinding topk_of_3_or_4(const OpView& view) {
  if (!view.is("topk")) return std::nullopt;
  const int64_t k = view.symbols().int_or(view.operation(), "k", 1);
  if (k != 3 && k != 4) return std::nullopt;
  return fmt::format("topk of {}", k);
}

OpFinding shuffle_or_norm_limits(const OpView& view) {
  const std::optional<Shape> x = view.shape("x");
  if (!x || x->size() < 2) return std::nullopt;
  if (view.is("local_response_norm") && (*x)[1] < 16) {
    return fmt::format("local_response_norm of {} channels, below 16", (*x)[1]);
  }
  if (!view.is("batch_to_space")) return std::nullopt;
  int64_t batch = (*x)[0];
  for (const int64_t block :
       view.symbols().ints_or(view.operation(), "block_shape", {})) {
    if (block <= 0 || batch % block != 0) {
      return fmt::format("batch {} does not divide into the blocks", (*x)[0]);
    }
    batch /= block;
  }
  return std::nullopt;
}

OpFinding fused_square(const OpView& view) {
  if (!view.is("square")) return std::nullopt;
  const std::optional<Shape> shape = view.result_shape();
  if (!shape || shape->empty() || shape->back() % 128 <= 64) {
    return std::nullopt;
  }
  const mil::Operation* before = view.producer("x");
  const std::vector<const mil::Operation*> after = view.consumers();
  const bool fused =
      (before != nullptr && is_nonlinear(*before)) ||
      std::ranges::any_of(after, [](const mil::Operation* operation) {
        return is_nonlinear(*operation);
      });
  if (!fused) return std::nullopt;
  return fmt::format(
      "square beside a nonlinear op, {} wide: {} above a "
      "multiple of 128",
      shape->back(), shape->back() % 128);
}

OpFinding narrow_dynamic_slice(const OpView& view) {
  const std::optional<Shape> x = view.shape("x");
  const std::vector<int64_t> size =
      view.symbols().ints_or(view.operation(), "size", {});
  if (!view.is("slice_by_size") || !view.is_runtime("begin") || !x ||
      x->empty() || x->back() != 4 || size.empty() || size.back() != 2) {
    return std::nullopt;
  }
  return "a slice of 2 from a width of 4 begins where the program computes";
}

}  // namespace aneroid::target
