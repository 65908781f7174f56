#include "aneroid/model/checkpoint.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "aneroid/model/json_text.h"
#include "aneroid/model/metadata.h"
#include "aneroid/model/safetensors.h"

namespace aneroid::model {
namespace {

constexpr std::string_view kLabel = "checkpoint";
constexpr const char* kVersionKey = "format_version";
constexpr const char* kChecksumKey = "checksum";

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error(std::string(kLabel), std::move(place), std::move(message));
}

// A 64-bit checksum at the speed of memory: four lanes of xor and multiply.
// Each step is a bijection of its lane, so a change within one word always
// shows; it guards against accidents, not against forgery.
class Checksum {
 public:
  void add(std::span<const std::byte> bytes) {
    add_word(bytes.size());
    size_t at = 0;
    constexpr size_t kBlock = 4 * sizeof(uint64_t);
    for (; at + kBlock <= bytes.size(); at += kBlock) {
      std::array<uint64_t, 4> words{};
      std::memcpy(words.data(), bytes.data() + at, kBlock);
      for (size_t lane = 0; lane < 4; ++lane) {
        lanes_[lane] = mix(lanes_[lane], words[lane]);
      }
    }
    for (; at < bytes.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at,
                  std::min(sizeof word, bytes.size() - at));
      add_word(word);
    }
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }

  std::string hex() const {
    uint64_t sum = 0;
    for (const uint64_t lane : lanes_) sum = mix(sum, lane);
    return fmt::format("{:016x}", sum);
  }

 private:
  static uint64_t mix(uint64_t lane, uint64_t word) {
    return std::rotl((lane ^ word) * 0x9E3779B97F4A7C15U, 29);
  }
  void add_word(uint64_t word) { lanes_[0] = mix(lanes_[0], word); }

  std::array<uint64_t, 4> lanes_ = {1, 2, 3, 4};
};

std::string checksum_of(const Metadata& metadata, const WeightViews& weights,
                        const MomentViews& first, const MomentViews& second) {
  Checksum sum;
  for (const auto& [key, value] : metadata) {
    if (key == kChecksumKey) continue;
    sum.add(key);
    sum.add(value);
  }
  for (const std::span<const float> values : weights) {
    sum.add(std::as_bytes(values));
  }
  for (const MomentViews* moments : {&first, &second}) {
    for (const MomentView& values : *moments) sum.add(values.bytes);
  }
  return sum.hex();
}

Result<std::string> required(const SafetensorsFile& file, const char* key,
                             const std::string& place) {
  const std::string* value = file.find_metadata(key);
  if (value == nullptr) {
    return error(place, fmt::format("metadata has no {}", key));
  }
  return *value;
}

// What version 1 does not say is fp32.
Result<DataType> moment_type(const SafetensorsFile& file,
                             const std::string& place) {
  ANEROID_ASSIGN(const std::string version, required(file, kVersionKey, place));
  if (version == fmt::format("{}", kCheckpointVersion)) return DataType::kFp32;
  if (version != fmt::format("{}", kBfloatCheckpointVersion)) {
    return error(place, fmt::format("has format_version {}; this program "
                                    "reads {} and {}",
                                    printable(version), kCheckpointVersion,
                                    kBfloatCheckpointVersion));
  }
  ANEROID_ASSIGN(const std::string type, required(file, kMomentsKey, place));
  if (type != name(DataType::kBf16)) {
    return error(place, fmt::format("metadata moments is {}; with "
                                    "format_version {} it must be bf16",
                                    printable(type), printable(version)));
  }
  return DataType::kBf16;
}

Status check_format(const SafetensorsFile& file, const std::string& place) {
  const std::string* format = file.find_metadata(kFormatKey);
  if (format == nullptr || *format != kCheckpointFormat) {
    return error(
        place,
        fmt::format("is not a training checkpoint: metadata format is {}, not "
                    "{}; weights alone can start a new run, not continue one",
                    format == nullptr ? "absent" : printable(*format),
                    kCheckpointFormat));
  }
  ANEROID_ASSIGN(const std::string layout,
                 required(file, kRopeLayoutKey, place));
  if (layout != kInterleavedLayout) {
    return error(place, fmt::format("has rope_layout {}; checkpoints are {}",
                                    printable(layout), kInterleavedLayout));
  }
  return {};
}

}  // namespace

Status save_checkpoint(const std::filesystem::path& path,
                       const CheckpointView& checkpoint) {
  const std::string place = path.string();
  ANEROID_TRY(check(checkpoint.config));
  if (!checkpoint.state.is_object()) {
    return error(place, fmt::format("state must be a JSON object, is of type "
                                    "{}",
                                    checkpoint.state.type_name()));
  }
  const auto table = parameter_table(checkpoint.config);
  ANEROID_TRY(check_views(table, checkpoint.weights, place));
  ANEROID_TRY(check_moments(table, checkpoint.first_moments, kFirstMomentPrefix,
                            place));
  ANEROID_TRY(check_moments(table, checkpoint.second_moments,
                            kSecondMomentPrefix, place));
  ANEROID_TRY(check_squares(table, checkpoint.second_moments, place));
  const DataType type = checkpoint.first_moments.front().type;
  const bool bfloat = type == DataType::kBf16;

  std::vector<TensorView> tensors;
  append_rows(table, checkpoint.weights, "", tensors);
  append_moments(table, checkpoint.first_moments, kFirstMomentPrefix, tensors);
  append_moments(table, checkpoint.second_moments, kSecondMomentPrefix,
                 tensors);
  Metadata metadata = {
      {kFormatKey, kCheckpointFormat},
      {kVersionKey, fmt::format("{}", bfloat ? kBfloatCheckpointVersion
                                             : kCheckpointVersion)},
      {kConfigKey, json_text(to_json(checkpoint.config))},
      {kStateKey, json_text(checkpoint.state)},
      {kRopeLayoutKey, kInterleavedLayout},
  };
  if (bfloat) metadata[kMomentsKey] = name(type);
  metadata[kChecksumKey] =
      checksum_of(metadata, checkpoint.weights, checkpoint.first_moments,
                  checkpoint.second_moments);
  return write_safetensors(path, tensors, metadata);
}

Result<Checkpoint> load_checkpoint(const std::filesystem::path& path) {
  const std::string place = path.string();
  ANEROID_ASSIGN(const SafetensorsFile file, SafetensorsFile::open(path));
  ANEROID_TRY(check_format(file, place));
  ANEROID_ASSIGN(const DataType type, moment_type(file, place));
  Checkpoint checkpoint;
  ANEROID_ASSIGN(checkpoint.config, config_from_metadata(file, place));
  ANEROID_ASSIGN(const std::string state, required(file, kStateKey, place));
  ANEROID_ASSIGN(checkpoint.state,
                 parse_json_object(state, kLabel,
                                   fmt::format("{}: metadata state", place)));

  const auto table = parameter_table(checkpoint.config);
  ANEROID_ASSIGN(checkpoint.weights, read_rows(file, table, "", place));
  ANEROID_ASSIGN(checkpoint.first_moments,
                 read_moments(file, table, type, kFirstMomentPrefix, place));
  ANEROID_ASSIGN(checkpoint.second_moments,
                 read_moments(file, table, type, kSecondMomentPrefix, place));
  if (file.tensors().size() != 3 * table.size()) {
    return error(place, fmt::format("has {} tensors; the config needs {}",
                                    file.tensors().size(), 3 * table.size()));
  }
  ANEROID_ASSIGN(const std::string stored, required(file, kChecksumKey, place));
  const WeightViews weights = views(checkpoint.weights);
  const MomentViews first = views(checkpoint.first_moments);
  const MomentViews second = views(checkpoint.second_moments);
  const std::string sum = checksum_of(file.metadata(), weights, first, second);
  if (sum != stored) {
    return error(place, fmt::format("is damaged: its contents have the "
                                    "checksum {}, but {} was stored; use an "
                                    "earlier checkpoint",
                                    sum, printable(stored)));
  }
  ANEROID_TRY(check_squares(table, second, place));
  return checkpoint;
}

}  // namespace aneroid::model
