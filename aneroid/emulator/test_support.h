// What this folder's tests share.
#pragma once

#include <utility>

#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

inline mil::Type fp16(Shape shape) {
  return mil::tensor(DataType::kFp16, std::move(shape));
}

}  // namespace aneroid::emulator
