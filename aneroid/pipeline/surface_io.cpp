#include "aneroid/pipeline/surface_io.h"

#include <cassert>
#include <cstring>

#include "aneroid/cpu/convert.h"

namespace aneroid::pipeline {

size_t element_bytes(cpu::Storage storage) {
  return storage == cpu::Storage::kHalf ? sizeof(Half) : sizeof(float);
}

SurfaceMatrix matrix_of(device::Surface& surface, int64_t row_stride) {
  return {surface.bytes().data(),
          surface.storage() == DataType::kFp16 ? cpu::Storage::kHalf
                                               : cpu::Storage::kFloat,
          row_stride};
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
  if (dst.storage == cpu::Storage::kHalf) {
    cpu::to_half_transposed(
        src, static_cast<size_t>(src_stride), reinterpret_cast<Half*>(dst.data),
        static_cast<size_t>(dst.row_stride), static_cast<size_t>(columns),
        static_cast<size_t>(rows));
    return;
  }
  auto* const to = reinterpret_cast<float*>(dst.data);
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) {
      to[r * dst.row_stride + c] = src[c * src_stride + r];
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
