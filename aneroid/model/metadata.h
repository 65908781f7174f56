// Keys and values that our own safetensors files carry in their metadata.
#pragma once

#include <string>
#include <string_view>

#include "aneroid/base/diagnostic.h"
#include "aneroid/model/config.h"
#include "aneroid/model/safetensors.h"

namespace aneroid::model {

inline constexpr const char* kFormatKey = "format";
inline constexpr const char* kWeightsFormat = "aneroid.weights";
inline constexpr const char* kCheckpointFormat = "aneroid.checkpoint";
inline constexpr const char* kConfigKey = "config";  // JSON, as config.json
inline constexpr const char* kStateKey = "state";    // JSON, of checkpoints
inline constexpr const char* kRopeLayoutKey = "rope_layout";
inline constexpr const char* kInterleavedLayout = "interleaved";

inline constexpr const char* kMomentsKey = "moments";  // "bf16"; else fp32

// Names of optimizer tensors: the prefix, then the parameter's name.
inline constexpr std::string_view kFirstMomentPrefix = "optimizer.m.";
inline constexpr std::string_view kSecondMomentPrefix = "optimizer.v.";

// Errors: "config"; "weights" when there is none.
Result<ModelConfig> config_from_metadata(const SafetensorsFile& file,
                                         std::string_view place);

}  // namespace aneroid::model
