#include "aneroid/cpu/gemv.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/cpu/gemv.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <hwy/cache_control.h>

#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::cpu {
namespace HWY_NAMESPACE {
namespace {

using cpu::HWY_NAMESPACE::load_float;
template <class D>
HWY_INLINE hn::Vec<D> load_float(D d, const int8_t* src) {
  const hn::RebindToSigned<D> di;
  const hn::Rebind<int8_t, D> d8;
  return hn::ConvertTo(d, hn::PromoteTo(di, hn::LoadU(d8, src)));
}

// The last `count` < Lanes(d) elements, then zeros.
template <class D, typename S>
HWY_INLINE hn::Vec<D> load_tail(D d, const S* src, size_t count) {
  HWY_ALIGN S values[hn::MaxLanes(D())] = {};
  std::copy_n(src, count, values);
  return load_float(d, values);
}

// Several sums side by side hide the latency of the fused multiply-add.
constexpr size_t kChains = 4;
// How far ahead memory is asked for. Measured: one row after another, in the
// order of the addresses, reads faster than several rows side by side.
constexpr size_t kAheadBytes = 4096;
constexpr size_t kLineBytes = 64;

template <typename S>
HWY_INLINE float dot_row(const S* HWY_RESTRICT row, const float* HWY_RESTRICT x,
                         size_t columns) {
  constexpr size_t kLine = kLineBytes / sizeof(S);
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const size_t step = kChains * lanes;
  const S* ahead = row + kAheadBytes / sizeof(S);

  hn::Vec<decltype(d)> sums[kChains];
  for (auto& sum : sums) sum = hn::Zero(d);
  size_t i = 0;
  for (size_t asked = 0; i + step <= columns; i += step) {
    for (; asked < i + step; asked += kLine) hwy::Prefetch(ahead + asked);
    for (size_t c = 0; c < kChains; ++c) {
      sums[c] = hn::MulAdd(load_float(d, row + i + c * lanes),
                           hn::LoadU(d, x + i + c * lanes), sums[c]);
    }
  }
  for (; i + lanes <= columns; i += lanes) {
    sums[0] = hn::MulAdd(load_float(d, row + i), hn::LoadU(d, x + i), sums[0]);
  }
  if (i < columns) {
    const size_t rest = columns - i;
    sums[1] = hn::MulAdd(load_tail(d, row + i, rest), load_tail(d, x + i, rest),
                         sums[1]);
  }
  return hn::GetLane(hn::SumOfLanes(
      d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
}

template <typename S>
HWY_INLINE void all_rows(const S* rows, size_t count, size_t columns,
                         const float* x, float* y) {
  for (size_t r = 0; r < count; ++r) {
    y[r] = dot_row(rows + r * columns, x, columns);
  }
}

void rows_float(const float* rows, size_t count, size_t columns, const float* x,
                float* y) {
  all_rows(rows, count, columns, x, y);
}
void rows_half(const Half* rows, size_t count, size_t columns, const float* x,
               float* y) {
  all_rows(rows, count, columns, x, y);
}
void rows_int8(const int8_t* rows, size_t count, size_t columns, const float* x,
               float* y) {
  all_rows(rows, count, columns, x, y);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::cpu {
namespace {

HWY_EXPORT(rows_float);
HWY_EXPORT(rows_half);
HWY_EXPORT(rows_int8);

struct StorageRow {
  GemvStorage storage;
  std::string_view name;
  int64_t bytes;  // of an element
};
constexpr std::array kStorages = {
    StorageRow{GemvStorage::kFloat, "fp32", 4},
    StorageRow{GemvStorage::kHalf, "fp16", 2},
    StorageRow{GemvStorage::kInt8, "int8", 1},
};
constexpr const StorageRow& row_of(GemvStorage storage) {
  return kStorages[static_cast<size_t>(storage)];
}

constexpr float kMostInt8 = 127.0F;

// Returns the scale.
float quantise(std::span<const float> values, int8_t* quantised) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::fabs(v));
  const float scale = largest / kMostInt8;
  // Below the normal numbers 1 / scale is no number: such a row counts as zero.
  const bool zero = scale < std::numeric_limits<float>::min();
  const float inverse = zero ? 0.0F : 1.0F / scale;
  for (size_t i = 0; i < values.size(); ++i) {
    const float steps = values[i] * inverse;
    quantised[i] = static_cast<int8_t>(steps + (steps < 0 ? -0.5F : 0.5F));
  }
  return scale;
}

// Cuts rows into pieces for threads that take one after another: each thread
// one of equal size out of half of what is left, again and again, and at the
// end pieces of `least` rows. Long pieces stream well; short ones let threads
// that were slowed end together with the others.
class Pieces {
 public:
  Pieces(int64_t rows, int64_t least, int64_t threads)
      : rows_(rows), least_(least), threads_(threads) {
    while ((rows >> (halvings_ + 1)) >= least * threads) ++halvings_;
  }
  int64_t count() const {
    const int64_t rest = rows_ >> halvings_;
    return halvings_ * threads_ + (rest + least_ - 1) / least_;
  }
  int64_t begin(int64_t piece) const {
    const int64_t round = std::min(piece / threads_, halvings_);
    const int64_t place = piece - round * threads_;
    const int64_t left = rows_ >> round;
    const int64_t into = round < halvings_
                             ? (left - (left >> 1)) * place / threads_
                             : std::min(left, place * least_);
    return rows_ - left + into;
  }

 private:
  int64_t rows_;
  int64_t least_;
  int64_t threads_;
  int64_t halvings_ = 0;
};

}  // namespace

std::string_view to_string(GemvStorage storage) { return row_of(storage).name; }

std::optional<GemvStorage> gemv_storage(std::string_view name) {
  for (const StorageRow& row : kStorages) {
    if (row.name == name) return row.storage;
  }
  return {};
}

float dot(const float* a, const float* b, int64_t n) {
  float sum = 0;
  HWY_DYNAMIC_DISPATCH(rows_float)(a, 1, static_cast<size_t>(n), b, &sum);
  return sum;
}

GemvMatrix::GemvMatrix(std::span<const float> values, int64_t rows,
                       int64_t columns, GemvStorage storage)
    : rows_(rows), columns_(columns), storage_(storage) {
  const size_t bytes =
      values.size() * static_cast<size_t>(row_of(storage).bytes);
  data_.resize((bytes + sizeof(CacheLine) - 1) / sizeof(CacheLine));
  switch (storage) {
    case GemvStorage::kFloat:
      std::ranges::copy(values, elements<float>());
      break;
    case GemvStorage::kHalf:
      to_half(values.data(), elements<Half>(), values.size());
      break;
    case GemvStorage::kInt8:
      for (int64_t r = 0; r < rows; ++r) {
        const auto at = static_cast<size_t>(r * columns);
        scales_.push_back(
            quantise(values.subspan(at, static_cast<size_t>(columns)),
                     elements<int8_t>() + at));
      }
      break;
  }
}

int64_t GemvMatrix::bytes() const {
  return rows_ * columns_ * row_of(storage_).bytes +
         static_cast<int64_t>(scales_.size() * sizeof(float));
}

void GemvMatrix::multiply_rows(int64_t first, int64_t count, const float* x,
                               float* y) const {
  const int64_t at = first * columns_;
  const auto rows = static_cast<size_t>(count);
  const auto columns = static_cast<size_t>(columns_);
  switch (storage_) {
    case GemvStorage::kFloat:
      HWY_DYNAMIC_DISPATCH(rows_float)
      (elements<float>() + at, rows, columns, x, y);
      break;
    case GemvStorage::kHalf:
      HWY_DYNAMIC_DISPATCH(rows_half)
      (elements<Half>() + at, rows, columns, x, y);
      break;
    case GemvStorage::kInt8:
      HWY_DYNAMIC_DISPATCH(rows_int8)
      (elements<int8_t>() + at, rows, columns, x, y);
      for (int64_t r = 0; r < count; ++r) {
        y[r] *= scales_[static_cast<size_t>(first + r)];
      }
      break;
  }
}

void GemvMatrix::row(int64_t r, float* values) const {
  const int64_t at = r * columns_;
  switch (storage_) {
    case GemvStorage::kFloat:
      std::copy_n(elements<float>() + at, columns_, values);
      break;
    case GemvStorage::kHalf:
      to_float(elements<Half>() + at, values, static_cast<size_t>(columns_));
      break;
    case GemvStorage::kInt8:
      for (int64_t c = 0; c < columns_; ++c) {
        values[c] = scales_[static_cast<size_t>(r)] *
                    static_cast<float>(elements<int8_t>()[at + c]);
      }
      break;
  }
}

void multiply(ThreadPool& pool, std::span<const GemvProduct> products) {
  constexpr int64_t kLeastBytes = 32 << 10;
  int64_t rows = 0;
  int64_t bytes = 0;
  for (const GemvProduct& product : products) {
    rows += product.matrix->rows();
    bytes += product.matrix->bytes();
  }
  struct Work {
    std::span<const GemvProduct> products;
    Pieces pieces;
  };
  const Work work{
      products,
      {rows, std::max<int64_t>(1, kLeastBytes * rows / bytes), pool.threads()}};
  // Captures no more than a std::function holds without allocating.
  pool.run(work.pieces.count(), [&work](int64_t piece, int) {
    int64_t first = work.pieces.begin(piece);
    int64_t end = work.pieces.begin(piece + 1);
    for (const GemvProduct& product : work.products) {
      const int64_t here = product.matrix->rows();
      if (first < std::min(here, end)) {
        product.matrix->multiply_rows(first, std::min(here, end) - first,
                                      product.x, product.y + first);
      }
      first = std::max<int64_t>(0, first - here);
      end = std::max<int64_t>(0, end - here);
    }
  });
}

}  // namespace aneroid::cpu
#endif  // HWY_ONCE
