#include "aneroid/pipeline/surface_io.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "aneroid/cpu/convert.h"

namespace aneroid::pipeline {

size_t element_bytes(cpu::Storage storage) {
  return storage == cpu::Storage::kHalf ? sizeof(Half) : sizeof(float);
}

std::byte* SurfaceMatrix::at(int64_t row, int64_t column) const {
  return data + static_cast<size_t>(row * row_stride + column) *
                    element_bytes(storage);
}

namespace {

void write_run(std::byte* dst, cpu::Storage storage, const float* src,
               int64_t count) {
  const auto n = static_cast<size_t>(count);
  if (storage == cpu::Storage::kHalf) {
    cpu::to_half(src, reinterpret_cast<Half*>(dst), n);
  } else {
    std::memcpy(dst, src, n * sizeof(float));
  }
}

}  // namespace

void write_rows(const SurfaceMatrix& dst, const float* src, int64_t src_stride,
                int64_t rows, int64_t columns) {
  for (int64_t r = 0; r < rows; ++r) {
    write_run(dst.at(r, 0), dst.storage, src + r * src_stride, columns);
  }
}

void write_transposed(const SurfaceMatrix& dst, const float* src,
                      int64_t src_stride, int64_t rows, int64_t columns) {
  // Squares of 32 keep both sides in the first-level cache.
  constexpr int64_t kSquare = 32;
  std::array<float, kSquare * kSquare> square{};
  for (int64_t r = 0; r < rows; r += kSquare) {
    const int64_t height = std::min(kSquare, rows - r);
    for (int64_t c = 0; c < columns; c += kSquare) {
      const int64_t width = std::min(kSquare, columns - c);
      for (int64_t j = 0; j < width; ++j) {
        const float* line = src + (c + j) * src_stride + r;
        for (int64_t i = 0; i < height; ++i) {
          square[static_cast<size_t>(i * kSquare + j)] = line[i];
        }
      }
      for (int64_t i = 0; i < height; ++i) {
        write_run(dst.at(r + i, c), dst.storage, &square[i * kSquare], width);
      }
    }
  }
}

void read_rows(const cpu::ConstMatrix& src, float* dst, int64_t dst_stride,
               int64_t rows, int64_t columns, int64_t first_row) {
  assert(src.col_stride == 1);
  const auto n = static_cast<size_t>(columns);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t from = (first_row + r) * src.row_stride;
    float* const to = dst + r * dst_stride;
    if (src.storage == cpu::Storage::kHalf) {
      cpu::to_float(static_cast<const Half*>(src.data) + from, to, n);
    } else {
      std::memcpy(to, static_cast<const float*>(src.data) + from,
                  n * sizeof(float));
    }
  }
}

void copy_rows(const SurfaceMatrix& dst, const SurfaceMatrix& src, int64_t rows,
               int64_t columns) {
  assert(dst.storage == src.storage);
  const size_t size = static_cast<size_t>(columns) * element_bytes(dst.storage);
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(dst.at(r, 0), src.at(r, 0), size);
  }
}

}  // namespace aneroid::pipeline
