// The Neural Engine of a Mac as a device::Device.
#pragma once

#include <memory>

#include "aneroid/base/diagnostic.h"
#include "aneroid/device/device.h"

namespace aneroid::apple {

// Error ("apple", device): not available, and why.
Result<std::unique_ptr<device::Device>> open();

}  // namespace aneroid::apple
