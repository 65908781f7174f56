// Values known when compiling: which names are, and their contents.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"
#include "aneroid/emulator/plan.h"
#include "aneroid/interp/interp.h"
#include "aneroid/mil/ir.h"

namespace aneroid::emulator {

// Borrows its arguments. Weights are read when asked for, never later.
class Constants {
 public:
  Constants(const mil::Function& function, const mil::Symbols& symbols,
            const device::WeightMap& weights, Numerics numerics);

  // A const, a constexpr, or computed from such only.
  bool is_constant(std::string_view name) const;
  // The elements in the storage of the plan.
  Result<std::vector<std::byte>> bytes(const std::string& name);
  // The value of a one-element constant as the plan stores it.
  Result<float> scalar(const std::string& name);

 private:
  Result<const interp::HostTensor*> folded(const std::string& name);

  const mil::Symbols& symbols_;
  const device::WeightMap& weights_;
  Numerics numerics_;
  std::set<std::string, std::less<>> names_;
  std::map<std::string, interp::HostTensor, std::less<>> folded_;
};

}  // namespace aneroid::emulator
