// Matrix times vector, for decoding one token: bound by how fast the weights
// can be read, so they are kept small and each is read exactly once.
//
// Sums are in fp32. Each result is summed in an order that depends on the
// matrix and the CPU's vector width alone, never on the number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {

// How a matrix is kept.
enum class GemvStorage : uint8_t {
  kFloat,
  kHalf,  // rounded half away from zero
  kInt8,  // round(w / s) with s = max|row| / 127, one fp32 s per row
};

// "fp32", "fp16", "int8".
std::string_view to_string(GemvStorage storage);
std::optional<GemvStorage> gemv_storage(std::string_view name);

// sum_i a[i] * b[i].
float dot(const float* a, const float* b, int64_t n);

// A weight matrix [rows, columns], row-major. Immutable.
class GemvMatrix {
 public:
  GemvMatrix() = default;
  // Copies. `values` holds rows * columns finite numbers.
  GemvMatrix(std::span<const float> values, int64_t rows, int64_t columns,
             GemvStorage storage);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  // What multiply() reads, scales included.
  int64_t bytes() const;

  // y[i] = sum_c W[first + i, c] x[c] for i < count, on the calling thread.
  // x and y must not overlap.
  void multiply_rows(int64_t first, int64_t count, const float* x,
                     float* y) const;
  // Row r as fp32.
  void row(int64_t r, float* values) const;

 private:
  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };
  template <typename T>
  T* elements() {
    return reinterpret_cast<T*>(data_.data());
  }
  template <typename T>
  const T* elements() const {
    return reinterpret_cast<const T*>(data_.data());
  }

  int64_t rows_ = 0;
  int64_t columns_ = 0;
  GemvStorage storage_ = GemvStorage::kFloat;
  std::vector<CacheLine> data_;
  std::vector<float> scales_;  // kInt8: one per row
};

// y = W x. y has a place for every row of the matrix.
struct GemvProduct {
  const GemvMatrix* matrix = nullptr;
  const float* x = nullptr;
  float* y = nullptr;
};
// All products at once, shared out to the threads: one pause to gather them
// instead of one per matrix. No y may overlap an x or another y.
void multiply(ThreadPool& pool, std::span<const GemvProduct> products);

}  // namespace aneroid::cpu
