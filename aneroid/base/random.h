// A small, portable random generator whose whole state can be saved.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace aneroid {

// splitmix64's output function: a bijection that spreads every bit over all.
uint64_t mix_bits(uint64_t value);

// xoshiro256** seeded through splitmix64: the same sequence on every machine
// and compiler, unlike the distributions of <random>.
class Random {
 public:
  explicit Random(uint64_t seed = 0);

  uint64_t next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }
  double uniform() {  // [0, 1), 53 bits
    return static_cast<double>(next() >> 11) * 0x1p-53;
  }
  // Mean 0, deviation 1. Of two uniform() values by Box-Muller; the second
  // result is dropped so that the state is four words.
  double normal();
  static double normal_of(double first, double second);
  uint64_t below(uint64_t n);  // [0, n) without bias; n > 0

  using State = std::array<uint64_t, 4>;
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  State state_;
};

}  // namespace aneroid
