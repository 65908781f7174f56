#include "aneroid/train/update.h"

namespace aneroid::train {

void update_run(float* w, model::Moments& m, model::Moments& v, size_t row,
                const cpu::RunPlace& place, const float* g, size_t n,
                const cpu::AdamW& options) {
  if (m.type() == DataType::kBf16) {
    cpu::adamw_update(w, m.values<Bfloat>(row) + place.first,
                      v.values<Bfloat>(row) + place.first, g, n, options,
                      place);
  } else {
    cpu::adamw_update(w, m.values<float>(row) + place.first,
                      v.values<float>(row) + place.first, g, n, options);
  }
}

}  // namespace aneroid::train
