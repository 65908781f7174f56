// AdamW's moments: an array per row of the parameter table, in fp32 or bf16.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "aneroid/base/bfloat.h"
#include "aneroid/base/diagnostic.h"
#include "aneroid/base/dtype.h"
#include "aneroid/base/zeroed_memory.h"
#include "aneroid/model/parameters.h"
#include "aneroid/model/safetensors.h"

namespace aneroid::model {

// One array, borrowed.
struct MomentView {
  DataType type = DataType::kFp32;  // or kBf16
  std::span<const std::byte> bytes;
  size_t size() const { return bytes.size() / aneroid::bytes(type); }
};
// In the order of the parameter table.
using MomentViews = std::vector<MomentView>;

// Empty, or zero and without memory until written. All rows lie in one block
// of large pages. Copies are deep. Throws std::bad_alloc, as vectors do.
class Moments {
 public:
  Moments() = default;
  // `type`: kFp32 or kBf16.
  Moments(const std::vector<ParameterSpec>& table, DataType type);
  Moments(const Moments& other);
  Moments& operator=(const Moments& other);
  Moments(Moments&&) noexcept = default;
  Moments& operator=(Moments&&) noexcept = default;
  ~Moments() = default;

  DataType type() const { return type_; }
  size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }

  std::span<std::byte> bytes(size_t row) {
    return memory_.as<std::byte>().subspan(rows_[row].begin, rows_[row].size);
  }
  std::span<const std::byte> bytes(size_t row) const {
    return memory_.as<std::byte>().subspan(rows_[row].begin, rows_[row].size);
  }
  // Only T of type(): float or Bfloat.
  template <typename T>
  T* values(size_t row) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, Bfloat>);
    return reinterpret_cast<T*>(bytes(row).data());
  }
  MomentView view(size_t row) const { return {type_, bytes(row)}; }

 private:
  struct Row {
    size_t begin = 0;  // in bytes
    size_t size = 0;
  };
  DataType type_ = DataType::kFp32;
  std::vector<Row> rows_;
  ZeroedMemory memory_;
};

MomentViews views(const Moments& moments);

// As fp32, exact.
std::vector<float> to_floats(const MomentView& moments);
// The same moments in `type`; fp32 is rounded to the nearest bf16.
Moments converted(Moments moments, const std::vector<ParameterSpec>& table,
                  DataType type);

// As many arrays as the table has rows, each of its row's size, all values
// finite. Error ("weights", at "<place>: tensor <prefix><name>").
Status check_moments(const std::vector<ParameterSpec>& table,
                     const MomentViews& moments, std::string_view prefix,
                     std::string_view place);
// Second moments: none negative. Error ("checkpoint").
Status check_squares(const std::vector<ParameterSpec>& table,
                     const MomentViews& moments, std::string_view place);

// Every row of the table, stored as `prefix` + its name in `type`. Error
// ("weights"): missing, another shape or type (both are told), NaN or infinity.
Result<Moments> read_moments(const SafetensorsFile& file,
                             const std::vector<ParameterSpec>& table,
                             DataType type, std::string_view prefix,
                             std::string_view place);

// Borrowed tensors under `prefix` + the table's names.
void append_moments(const std::vector<ParameterSpec>& table,
                    const MomentViews& moments, std::string_view prefix,
                    std::vector<TensorView>& tensors);

}  // namespace aneroid::model
