#include "aneroid/numerics/softmax.h"

#include <algorithm>
#include <cmath>

#include "aneroid/numerics/activation.h"
#include "aneroid/numerics/decode.h"
#include "aneroid/numerics/elementwise.h"

namespace aneroid::numerics {

void softmax(const float* a, float* dst, size_t n) {
  constexpr double kUnit = 65536.0;
  constexpr double kLimit = 32768.0;
  const float max = *std::max_element(a, a + n);
  apply(BinaryOp::kSub, {a, false}, {&max, true}, dst, n);
  apply(map(Function::kExp), dst, dst, n);
  double units = 0;
  for (size_t i = 0; i < n; ++i) {
    units += std::floor(static_cast<double>(dst[i]) * kUnit + 0.5);
  }
  double sum = units / kUnit;
  if (sum >= kLimit) sum = static_cast<double>(kInfinityValue);
  const float factor = decode(reciprocal(sum));
  apply(BinaryOp::kMul, {dst, false}, {&factor, true}, dst, n);
}

}  // namespace aneroid::numerics
