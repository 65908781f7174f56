// Built where the Neural Engine cannot be driven.
#include "aneroid/apple/apple.h"

namespace aneroid::apple {

Result<std::unique_ptr<device::Device>> open() {
#if defined(__APPLE__)
  constexpr const char* kReason =
      "not available, because this version does not yet drive a Mac's Neural "
      "Engine; use --device emulator, which compiles the same programs";
#else
  constexpr const char* kReason =
      "not available, because this is not a Mac with Apple silicon; use "
      "--device emulator";
#endif
  return device_error("apple", "device apple", kReason);
}

}  // namespace aneroid::apple
