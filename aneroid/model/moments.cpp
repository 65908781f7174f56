#include "aneroid/model/moments.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>
#include <string>

#include <fmt/format.h>

#include "aneroid/model/metadata.h"
#include "aneroid/model/tensor_io.h"

namespace aneroid::model {
namespace {

// Rows begin where a vector does.
constexpr size_t kAlignment = 64;

template <typename T>
std::span<const T> values_of(const MomentView& view) {
  return {reinterpret_cast<const T*>(view.bytes.data()), view.size()};
}

// Calls f(std::span of float or Bfloat).
template <typename F>
auto visit(const MomentView& view, const F& f) {
  return view.type == DataType::kBf16 ? f(values_of<Bfloat>(view))
                                      : f(values_of<float>(view));
}

float as_float(float value) { return value; }
float as_float(Bfloat value) { return to_float(value); }

std::string tensor_place(std::string_view place, std::string_view prefix,
                         std::string_view name) {
  return fmt::format("{}: tensor {}{}", place, prefix, name);
}

}  // namespace

Moments::Moments(const std::vector<ParameterSpec>& table, DataType type)
    : type_(type) {
  assert(type == DataType::kFp32 || type == DataType::kBf16);
  size_t end = 0;
  for (const ParameterSpec& row : table) {
    const size_t size = static_cast<size_t>(row.count()) * aneroid::bytes(type);
    rows_.push_back({end, size});
    end += (size + kAlignment - 1) / kAlignment * kAlignment;
  }
  memory_ = ZeroedMemory(end);
  if (memory_.size() != end) throw std::bad_alloc();
}

Moments::Moments(const Moments& other)
    : type_(other.type_), rows_(other.rows_), memory_(other.memory_.size()) {
  if (memory_.size() != other.memory_.size()) throw std::bad_alloc();
  if (memory_.size() > 0) {
    std::memcpy(memory_.data(), other.memory_.data(), memory_.size());
  }
}

Moments& Moments::operator=(const Moments& other) {
  if (this != &other) *this = Moments(other);
  return *this;
}

MomentViews views(const Moments& moments) {
  MomentViews result;
  for (size_t row = 0; row < moments.size(); ++row) {
    result.push_back(moments.view(row));
  }
  return result;
}

std::vector<float> to_floats(const MomentView& moments) {
  return visit(moments, [](auto values) {
    std::vector<float> result(values.size());
    std::ranges::transform(values, result.begin(),
                           [](auto value) { return as_float(value); });
    return result;
  });
}

Moments converted(Moments moments, const std::vector<ParameterSpec>& table,
                  DataType type) {
  if (moments.type() == type) return moments;
  Moments result(table, type);
  for (size_t row = 0; row < moments.size(); ++row) {
    visit(moments.view(row), [&](auto values) {
      if (type == DataType::kBf16) {
        std::ranges::transform(
            values, result.values<Bfloat>(row),
            [](auto value) { return round_to_bfloat(as_float(value)); });
      } else {
        std::ranges::transform(values, result.values<float>(row),
                               [](auto value) { return as_float(value); });
      }
    });
  }
  return result;
}

Status check_moments(const std::vector<ParameterSpec>& table,
                     const MomentViews& moments, std::string_view prefix,
                     std::string_view place) {
  if (moments.size() != table.size()) {
    return input_error("weights", fmt::format("{}: {}*", place, prefix),
                       fmt::format("has {} tensors; the config needs {}",
                                   moments.size(), table.size()));
  }
  for (size_t i = 0; i < table.size(); ++i) {
    const std::string here = tensor_place(place, prefix, table[i].name);
    if (static_cast<int64_t>(moments[i].size()) != table[i].count()) {
      return input_error("weights", here,
                         fmt::format("has {} values; the config needs {}",
                                     moments[i].size(), table[i].count()));
    }
    ANEROID_TRY(visit(moments[i],
                      [&](auto values) { return check_finite(values, here); }));
  }
  return {};
}

Status check_squares(const std::vector<ParameterSpec>& table,
                     const MomentViews& moments, std::string_view place) {
  for (size_t i = 0; i < moments.size(); ++i) {
    ANEROID_TRY(visit(moments[i], [&](auto values) -> Status {
      const auto bad = std::ranges::find_if(
          values, [](auto value) { return as_float(value) < 0; });
      if (bad == values.end()) return {};
      return input_error(
          "checkpoint", tensor_place(place, kSecondMomentPrefix, table[i].name),
          fmt::format("is {} at index {}; second moments are sums of squares "
                      "and never negative",
                      as_float(*bad), bad - values.begin()));
    }));
  }
  return {};
}

Result<Moments> read_moments(const SafetensorsFile& file,
                             const std::vector<ParameterSpec>& table,
                             DataType type, std::string_view prefix,
                             std::string_view place) {
  Moments moments(table, type);
  for (size_t i = 0; i < table.size(); ++i) {
    ANEROID_ASSIGN(const TensorView* stored,
                   find_row(file, table[i], prefix, place));
    const std::string here = tensor_place(place, prefix, table[i].name);
    if (stored->type != type) {
      return input_error(
          "weights", here,
          fmt::format("is {}; the moments of this checkpoint are {}",
                      safetensors_name(stored->type), safetensors_name(type)));
    }
    std::ranges::copy(stored->bytes, moments.bytes(i).begin());
    ANEROID_TRY(visit(moments.view(i),
                      [&](auto values) { return check_finite(values, here); }));
  }
  return moments;
}

void append_moments(const std::vector<ParameterSpec>& table,
                    const MomentViews& moments, std::string_view prefix,
                    std::vector<TensorView>& tensors) {
  for (size_t i = 0; i < table.size(); ++i) {
    tensors.push_back({fmt::format("{}{}", prefix, table[i].name),
                       moments[i].type, table[i].shape, moments[i].bytes});
  }
}

}  // namespace aneroid::model
