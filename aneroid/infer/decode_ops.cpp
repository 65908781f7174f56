#include "aneroid/infer/decode_ops.h"

#include "aneroid/cpu/simd_targets.h"

// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "aneroid/infer/decode_ops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cassert>
#include <cmath>

#include "aneroid/cpu/gemv.h"
#include "aneroid/cpu/math-inl.h"
#include "aneroid/cpu/simd-inl.h"
#include "aneroid/cpu/vector_math.h"

HWY_BEFORE_NAMESPACE();
namespace aneroid::infer {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
namespace simd = cpu::HWY_NAMESPACE;

void swiglu_rows(const float* up, float* gate, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  const auto activated = [&](auto g, auto u) {
    return hn::Mul(hn::Mul(g, simd::sigmoid(d, g)), u);
  };
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(activated(hn::LoadU(d, gate + i), hn::LoadU(d, up + i)), d,
               gate + i);
  }
  if (i < n) {
    const size_t rest = n - i;
    simd::store_part(activated(simd::load_part(d, gate + i, rest),
                               simd::load_part(d, up + i, rest)),
                     d, gate + i, rest);
  }
}

// With each pair (a, b) exchanged: (a, b) * cos + (b, a) * (-sin, sin).
void rotate_head(const float* cosines, const float* sines, float* head,
                 size_t n) {
  size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  for (; i + lanes <= n; i += lanes) {
    const auto x = hn::LoadU(d, head + i);
    const auto turned = hn::Mul(hn::Reverse2(d, x), hn::LoadU(d, sines + i));
    hn::StoreU(hn::MulAdd(x, hn::LoadU(d, cosines + i), turned), d, head + i);
  }
#endif
  for (; i < n; i += 2) {
    const float even = head[i];
    const float odd = head[i + 1];
    head[i] = even * cosines[i] + odd * sines[i];
    head[i + 1] = odd * cosines[i + 1] + even * sines[i + 1];
  }
}

// result[0..n) = sum_t p[t] * rows[t * stride + 0..n)
void weighted_sum(const float* p, const float* rows, size_t count,
                  size_t stride, float* result, size_t n) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  constexpr size_t kTogether = 4;
  size_t i = 0;
  for (; i + kTogether * lanes <= n; i += kTogether * lanes) {
    hn::Vec<decltype(d)> sums[kTogether];
    for (auto& sum : sums) sum = hn::Zero(d);
    for (size_t t = 0; t < count; ++t) {
      const auto factor = hn::Set(d, p[t]);
      const float* row = rows + t * stride + i;
      for (size_t k = 0; k < kTogether; ++k) {
        sums[k] = hn::MulAdd(factor, hn::LoadU(d, row + k * lanes), sums[k]);
      }
    }
    for (size_t k = 0; k < kTogether; ++k) {
      hn::StoreU(sums[k], d, result + i + k * lanes);
    }
  }
  for (; i + lanes <= n; i += lanes) {
    auto sum = hn::Zero(d);
    for (size_t t = 0; t < count; ++t) {
      sum = hn::MulAdd(hn::Set(d, p[t]), hn::LoadU(d, rows + t * stride + i),
                       sum);
    }
    hn::StoreU(sum, d, result + i);
  }
  for (; i < n; ++i) {
    result[i] = 0;
    for (size_t t = 0; t < count; ++t) result[i] += p[t] * rows[t * stride + i];
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace aneroid::infer
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace aneroid::infer {
namespace {

HWY_EXPORT(swiglu_rows);
HWY_EXPORT(rotate_head);
HWY_EXPORT(weighted_sum);

}  // namespace

void rms_norm(std::span<const float> x, std::span<const float> gain,
              double epsilon, std::span<float> result) {
  // `result` may not be x, so it can hold the squares on the way.
  cpu::apply(cpu::UnaryOp::kSquare, x.data(), result.data(), x.size());
  const double mean =
      cpu::row_sum(result.data(), x.size()) / static_cast<double>(x.size());
  const auto r = static_cast<float>(1.0 / std::sqrt(mean + epsilon));
  for (size_t i = 0; i < x.size(); ++i) result[i] = x[i] * r * gain[i];
}

void add(std::span<const float> y, std::span<float> x) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

void swiglu(std::span<const float> up, std::span<float> gate) {
  HWY_DYNAMIC_DISPATCH(swiglu_rows)(up.data(), gate.data(), gate.size());
}

Rotation::Rotation(int64_t positions, int64_t head_dim, double theta)
    : head_dim_(static_cast<size_t>(head_dim)) {
  std::vector<double> frequencies;
  for (int64_t i = 0; i < head_dim; i += 2) {
    frequencies.push_back(std::pow(
        theta, -static_cast<double>(i) / static_cast<double>(head_dim)));
  }
  for (int64_t t = 0; t < positions; ++t) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(t) * frequency;
      const auto c = static_cast<float>(std::cos(angle));
      const auto s = static_cast<float>(std::sin(angle));
      cosines_.insert(cosines_.end(), {c, c});
      sines_.insert(sines_.end(), {-s, s});
    }
  }
}

void Rotation::apply(int64_t position, std::span<float> heads) const {
  const size_t at = static_cast<size_t>(position) * head_dim_;
  assert(at < cosines_.size());
  for (size_t h = 0; h < heads.size(); h += head_dim_) {
    HWY_DYNAMIC_DISPATCH(rotate_head)
    (cosines_.data() + at, sines_.data() + at, heads.data() + h, head_dim_);
  }
}

void attend(std::span<const float> q, const CachedHead& keys,
            const CachedHead& values, int64_t positions, float* scores,
            std::span<float> result) {
  const auto head_dim = static_cast<int64_t>(q.size());
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)));
  for (int64_t t = 0; t < positions; ++t) {
    scores[t] =
        scale * cpu::dot(keys.data + t * keys.stride, q.data(), head_dim);
  }
  const auto count = static_cast<size_t>(positions);
  cpu::row_softmax(scores, scores, count);
  HWY_DYNAMIC_DISPATCH(weighted_sum)
  (scores, values.data, count, static_cast<size_t>(values.stride),
   result.data(), result.size());
}

}  // namespace aneroid::infer
#endif  // HWY_ONCE
