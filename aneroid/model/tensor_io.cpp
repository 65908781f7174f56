#include "aneroid/model/tensor_io.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "aneroid/base/half.h"
#include "aneroid/base/zeroed_memory.h"

namespace aneroid::model {
namespace {

constexpr std::string_view kLabel = "weights";

tl::unexpected<Diagnostic> error(std::string place, std::string message) {
  return input_error(std::string(kLabel), std::move(place), std::move(message));
}

std::string tensor_place(std::string_view place, std::string_view prefix,
                         std::string_view name) {
  return fmt::format("{}: tensor {}{}", place, prefix, name);
}

// Exponent bits all set: infinity or NaN. On bits, which vectorises.
bool is_non_finite(float value) {
  return (std::bit_cast<uint32_t>(value) & 0x7F800000U) == 0x7F800000U;
}
bool is_non_finite(Bfloat value) { return is_non_finite(to_float(value)); }
float as_float(float value) { return value; }
float as_float(Bfloat value) { return to_float(value); }

template <typename T>
Status check_each(std::span<const T> values, std::string_view place) {
  const auto is_bad = [](T value) { return is_non_finite(value); };
  const auto bad = std::count_if(values.begin(), values.end(), is_bad);
  if (bad == 0) return {};
  const auto first = std::find_if(values.begin(), values.end(), is_bad);
  return error(std::string(place),
               fmt::format("is {} at index {}; {} of {} values are NaN or "
                           "infinite",
                           as_float(*first), first - values.begin(), bad,
                           values.size()));
}

float from_half(uint16_t bits) { return to_float(Half{bits}); }
float from_bfloat(uint16_t bits) { return to_float(Bfloat{bits}); }

std::vector<float> widen(std::span<const std::byte> bytes,
                         float (*convert)(uint16_t)) {
  std::vector<float> values(bytes.size() / sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes.data() + i * sizeof bits, sizeof bits);
    values[i] = convert(bits);
  }
  return values;
}

}  // namespace

WeightViews views(const Weights& weights) {
  WeightViews arrays;
  arrays.reserve(weights.size());
  for (const Tensor& tensor : weights) arrays.emplace_back(tensor.data);
  return arrays;
}

Status check_finite(std::span<const float> values, std::string_view place) {
  return check_each(values, place);
}
Status check_finite(std::span<const Bfloat> values, std::string_view place) {
  return check_each(values, place);
}

Status check_views(const std::vector<ParameterSpec>& table,
                   const WeightViews& arrays, std::string_view place) {
  if (arrays.size() != table.size()) {
    return error(std::string(place),
                 fmt::format("has {} tensors; the config needs {}",
                             arrays.size(), table.size()));
  }
  for (size_t i = 0; i < table.size(); ++i) {
    const std::string here = tensor_place(place, "", table[i].name);
    if (static_cast<int64_t>(arrays[i].size()) != table[i].count()) {
      return error(here, fmt::format("has {} values; the config needs {}",
                                     arrays[i].size(), table[i].count()));
    }
    ANEROID_TRY(check_finite(arrays[i], here));
  }
  return {};
}

Status check_weights(const ModelConfig& config, const Weights& weights,
                     std::string_view place) {
  ANEROID_TRY(check(config));
  const std::vector<ParameterSpec> table = parameter_table(config);
  for (size_t i = 0; i < std::min(table.size(), weights.size()); ++i) {
    if (weights[i].name != table[i].name ||
        weights[i].shape != table[i].shape) {
      return error(tensor_place(place, "", weights[i].name),
                   fmt::format("is {}; the config has {} {} here",
                               to_string(weights[i].shape), table[i].name,
                               to_string(table[i].shape)));
    }
  }
  return check_views(table, views(weights), place);
}

Result<std::vector<float>> to_floats(const TensorView& tensor,
                                     std::string_view place) {
  switch (tensor.type) {
    case DataType::kFp32: {
      std::vector<float> values;
      const size_t count = tensor.bytes.size() / sizeof(float);
      reserve_in_large_pages(values, count);
      values.resize(count);
      if (!values.empty()) {
        std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
      }
      return values;
    }
    case DataType::kFp16:
      return widen(tensor.bytes, from_half);
    case DataType::kBf16:
      return widen(tensor.bytes, from_bfloat);
    default:
      return error(std::string(place),
                   fmt::format("is {}; weights are F32, F16 or BF16",
                               safetensors_name(tensor.type)));
  }
}

Result<const TensorView*> find_row(const SafetensorsFile& file,
                                   const ParameterSpec& row,
                                   std::string_view prefix,
                                   std::string_view place) {
  const std::string here = tensor_place(place, prefix, row.name);
  const TensorView* stored = file.find(fmt::format("{}{}", prefix, row.name));
  if (stored == nullptr) {
    return error(here, fmt::format("is missing; the config needs it, of "
                                   "shape {}",
                                   to_string(row.shape)));
  }
  if (stored->shape != row.shape) {
    return error(here,
                 fmt::format("is {}; the config needs {}",
                             to_string(stored->shape), to_string(row.shape)));
  }
  return stored;
}

Result<Weights> read_rows(const SafetensorsFile& file,
                          const std::vector<ParameterSpec>& table,
                          std::string_view prefix, std::string_view place) {
  Weights weights;
  weights.reserve(table.size());
  for (const ParameterSpec& row : table) {
    const std::string here = tensor_place(place, prefix, row.name);
    ANEROID_ASSIGN(const TensorView* stored,
                   find_row(file, row, prefix, place));
    ANEROID_ASSIGN(std::vector<float> values, to_floats(*stored, here));
    ANEROID_TRY(check_finite(values, here));
    weights.push_back({row.name, row.shape, std::move(values)});
  }
  return weights;
}

void append_rows(const std::vector<ParameterSpec>& table,
                 const WeightViews& arrays, std::string_view prefix,
                 std::vector<TensorView>& tensors) {
  for (size_t i = 0; i < table.size(); ++i) {
    tensors.push_back({fmt::format("{}{}", prefix, table[i].name),
                       DataType::kFp32, table[i].shape,
                       std::as_bytes(arrays[i])});
  }
}

void write_in_pieces(FileSink& sink, std::span<const std::byte> bytes) {
  constexpr size_t kPiece = size_t{1} << 20;
  while (!bytes.empty() && sink.error_number() == 0) {
    const size_t size = std::min(bytes.size(), kPiece);
    sink.write(bytes.first(size));
    bytes = bytes.subspan(size);
  }
}

}  // namespace aneroid::model
