#include "aneroid/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace aneroid::train {

double LrSchedule::at(int64_t step) const {
  if (step < warmup_steps) {
    return peak * static_cast<double>(step + 1) /
           static_cast<double>(warmup_steps);
  }
  if (total_steps <= warmup_steps) return peak;
  const double progress =
      std::min(1.0, static_cast<double>(step - warmup_steps) /
                        static_cast<double>(total_steps - warmup_steps));
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  return peak * (final_fraction + (1.0 - final_fraction) * cosine);
}

bool LossScale::update(bool overflow) {
  if (overflow) {
    exhausted_ = scale_ <= kSmallest;
    scale_ = std::max(kSmallest, scale_ / 2);
    good_steps_ = 0;
    return false;
  }
  exhausted_ = false;
  if (growth_interval_ > 0 && ++good_steps_ >= growth_interval_) {
    scale_ = std::min(kLargest, scale_ * 2);
    good_steps_ = 0;
  }
  return true;
}

void LossScale::restore(double scale, int good_steps) {
  scale_ = scale;
  good_steps_ = good_steps;
}

}  // namespace aneroid::train
