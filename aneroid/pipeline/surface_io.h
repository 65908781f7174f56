// Moving matrices between host memory and surfaces.
#pragma once

#include <cstddef>
#include <cstdint>

#include "aneroid/cpu/gemm.h"
#include "aneroid/device/device.h"

namespace aneroid::pipeline {

// Elements of a surface, row-major.
struct SurfaceMatrix {
  std::byte* data = nullptr;
  cpu::Storage storage = cpu::Storage::kHalf;
  int64_t row_stride = 0;

  std::byte* at(int64_t row, int64_t column) const;
  // The same elements, to be read.
  operator cpu::ConstMatrix() const {  // NOLINT(google-explicit-constructor)
    return {data, storage, row_stride, 1};
  }
};

size_t element_bytes(cpu::Storage storage);
// A surface from its first element on.
SurfaceMatrix matrix_of(device::Surface& surface, int64_t row_stride);

// dst[r, c] = src[r * src_stride + c], rounded as the storage demands.
void write_rows(const SurfaceMatrix& dst, const float* src, int64_t src_stride,
                int64_t rows, int64_t columns);
// dst[r, c] = src[c * src_stride + r].
void write_transposed(const SurfaceMatrix& dst, const float* src,
                      int64_t src_stride, int64_t rows, int64_t columns);
// dst[r * dst_stride + c] = src[first_row + r, c]; src has col_stride 1.
void read_rows(const cpu::ConstMatrix& src, float* dst, int64_t dst_stride,
               int64_t rows, int64_t columns, int64_t first_row = 0);
// Surface to surface; the storages must be equal.
void copy_rows(const SurfaceMatrix& dst, const SurfaceMatrix& src, int64_t rows,
               int64_t columns);

}  // namespace aneroid::pipeline
