#include "aneroid/base/random.h"

#include <cmath>
#include <numbers>

namespace aneroid {

uint64_t mix_bits(uint64_t value) {
  value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9U;
  value = (value ^ (value >> 27)) * 0x94D049BB133111EBU;
  return value ^ (value >> 31);
}

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += 0x9E3779B97F4A7C15U;
    word = mix_bits(seed);
  }
}

double Random::normal() {
  const double first = uniform();
  return normal_of(first, uniform());
}

double Random::normal_of(double first, double second) {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - first));
  return radius * std::cos(2.0 * std::numbers::pi * second);
}

uint64_t Random::below(uint64_t n) {
  const uint64_t limit = n * (UINT64_MAX / n);
  uint64_t value = next();
  while (value >= limit) value = next();
  return value % n;
}

}  // namespace aneroid
