// What a decoded position needs between its matrix products: one vector at a
// time, on the calling thread. fp32 throughout; vector code chosen for the CPU
// at run time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace aneroid::infer {

// result = x / sqrt(mean(x^2) + epsilon) * gain. The sum of squares is fp64.
void rms_norm(std::span<const float> x, std::span<const float> gain,
              double epsilon, std::span<float> result);

// x += y
void add(std::span<const float> y, std::span<float> x);

// gate = gate * sigmoid(gate) * up
void swiglu(std::span<const float> up, std::span<float> gate);

// Rotary embedding of interleaved pairs (2i, 2i + 1), angles computed once.
class Rotation {
 public:
  Rotation(int64_t positions, int64_t head_dim, double theta);
  // Turns every head of `heads`, whole heads one after another.
  void apply(int64_t position, std::span<float> heads) const;

 private:
  size_t head_dim_;
  std::vector<float> cosines_;  // [positions, head_dim], each twice
  std::vector<float> sines_;    // likewise, -sin then +sin
};

// Keys or values of one head: position t is at data + t * stride.
struct CachedHead {
  const float* data = nullptr;
  int64_t stride = 0;
};

// result = softmax(q K^T / sqrt(head_dim)) V over the first `positions`.
// `scores` is scratch of `positions` values.
void attend(std::span<const float> q, const CachedHead& keys,
            const CachedHead& values, int64_t positions, float* scores,
            std::span<float> result);

}  // namespace aneroid::infer
