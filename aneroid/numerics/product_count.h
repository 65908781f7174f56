// How many products of a matrix product reach the accumulator: what the rule
// of exponents costs a model.
#pragma once

#include <array>
#include <cstdint>

#include "aneroid/cpu/gemm.h"

namespace aneroid::numerics {

struct ProductCount {
  // Products of two numbers that are not 0, by the sum of their exponents:
  // by_exponent[s + kOffset]. Below kLeastExponentSum they are dropped.
  static constexpr int kOffset = 28;          // two subnormal numbers: -14 - 14
  static constexpr int kSums = kOffset + 33;  // up to 16 + 16
  std::array<int64_t, kSums> by_exponent{};
  int64_t zero = 0;  // a factor is 0

  int64_t total() const;
  int64_t dropped() const;
  ProductCount& operator+=(const ProductCount& other);
};

// Exact, in time m k + k n. Operands as matrix_product()'s.
ProductCount count_products(const cpu::GemmShape& shape,
                            const cpu::ConstMatrix& a,
                            const cpu::ConstMatrix& b,
                            const cpu::GemmBatch& batch = {});

}  // namespace aneroid::numerics
