// Learning rate and loss scale over the steps.
#pragma once

#include <cstdint>

namespace aneroid::train {

// Linear warm-up to `peak` over `warmup_steps`, then a cosine down to
// `peak * final_fraction` at `total_steps`; constant after. Counted in
// optimizer steps, from 0.
struct LrSchedule {
  double peak = 3e-4;
  double final_fraction = 0.1;
  int64_t warmup_steps = 0;
  int64_t total_steps = 0;  // 0: constant after the warm-up

  double at(int64_t step) const;
};

// Dynamic loss scaling: gradients travel multiplied by a power of two, so that
// small ones survive fp16. An overflow halves it and the step is skipped; a
// run of good steps doubles it.
class LossScale {
 public:
  static constexpr double kLargest = 0x1p24;
  static constexpr double kSmallest = 0x1p-8;

  // A scale of 1 with growth off is "no loss scaling".
  explicit LossScale(double initial = 8192.0, int growth_interval = 200)
      : scale_(initial), growth_interval_(growth_interval) {}

  double scale() const { return scale_; }
  int good_steps() const { return good_steps_; }
  // After each attempted step. Returns false when the step must be skipped.
  bool update(bool overflow);
  // Still overflowing at the smallest scale: the values themselves are bad.
  bool exhausted() const { return exhausted_; }
  void restore(double scale, int good_steps);

 private:
  double scale_;
  int growth_interval_;  // 0: never grow
  int good_steps_ = 0;
  bool exhausted_ = false;
};

}  // namespace aneroid::train
