// A small, portable random generator whose whole state can be saved.
#pragma once

#include <array>
#include <cstdint>

namespace aneroid {

// splitmix64's output function: a bijection that spreads every bit over all.
uint64_t mix_bits(uint64_t value);

// xoshiro256** seeded through splitmix64: the same sequence on every machine
// and compiler, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(uint64_t seed = 0);

  uint64_t next();
  double uniform();            // [0, 1), 53 bits
  double normal();             // mean 0, deviation 1
  uint64_t below(uint64_t n);  // [0, n) without bias; n > 0

  using State = std::array<uint64_t, 4>;
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  State state_;
};

}  // namespace aneroid
