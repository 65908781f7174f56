#include "aneroid/kernels/norm.h"

#include <cmath>

namespace aneroid::kernels {
namespace {

using mil::Var;

// Channels; activations are [1, D, 1, S].
double channels(const Var& x) { return static_cast<double>(x.type.shape[1]); }

struct Unit {
  Var values;       // x r: mean square 1
  Var inverse_rms;  // r, [1, 1, 1, S]
};

// A sum of D squares passes fp16's 65504 already at rms 9 for D = 768. So x is
// first scaled by s, a power of two (exact) with D s^2 about 4: the sum is then
// about 4 mean(x^2) and holds up to an rms of about 128, while single squares
// stay above fp16's smallest step down to an rms of a few 1e-3, where epsilon
// takes over.
Unit normalise(KernelWriter& writer, const Var& x, double epsilon) {
  mil::Builder& b = writer.mil();
  const double d = channels(x);
  const double s = std::exp2(std::round(1.0 - std::log2(d) / 2.0));
  const Var scaled = b.mul(x, writer.scalar(s));
  const Var sum = b.reduce_sum(b.mul(scaled, scaled), {1});
  const Var mean_square = b.mul(sum, writer.scalar(1.0 / (d * s * s)));
  // 1e-5 is a subnormal in fp16 (1.0014e-5): the engine's element-wise unit
  // keeps those (rule N08).
  const Var shifted = b.add(mean_square, writer.scalar(epsilon));
  const Var r = b.pow(shifted, writer.scalar(-0.5));
  return {b.mul(x, r), r};
}

}  // namespace

Var rms_norm(KernelWriter& writer, const Var& x, const Var& gain,
             double epsilon) {
  return writer.mil().mul(normalise(writer, x, epsilon).values, gain);
}

Var rms_norm_backward(KernelWriter& writer, const Var& dxn, const Var& x,
                      const Var& gain, double epsilon) {
  mil::Builder& b = writer.mil();
  const Unit u = normalise(writer, x, epsilon);
  const Var t = b.mul(dxn, gain);
  // mean(t u) with the division by D split in two: 2^-k before the sum, so
  // that it cannot overflow, and 2^k / D after it, so that small gradients do
  // not vanish before they are summed. As |u| <= sqrt(D) = about 2^k, the
  // scaled u is at most about 1 and the products are no larger than t.
  const double d = channels(x);
  const double scale = std::exp2(std::round(std::log2(d) / 2.0));
  const Var small = b.mul(u.values, writer.scalar(1.0 / scale));
  const Var sum = b.reduce_sum(b.mul(t, small), {1});
  const Var mean = b.mul(sum, writer.scalar(scale / d));
  return b.mul(b.sub(t, b.mul(u.values, mean)), u.inverse_rms);
}

}  // namespace aneroid::kernels
