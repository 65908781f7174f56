#include "aneroid/numerics/activation_tables.h"

#include <array>
#include <cmath>
#include <numbers>

namespace aneroid::numerics {
namespace {

constexpr size_t kMostKnots = 33;

// Exact samples of a function, rounded to fp16.
class Samples {
 public:
  template <typename Exact>
  Samples(double first, double step, size_t count, Exact exact) {
    for (size_t k = 0; k < count; ++k) {
      knots_[k] = to_half_even(exact(first + static_cast<double>(k) * step));
    }
    table_ = {first, step, std::span(knots_).first(count)};
  }
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;

  const KnotTable& table() const { return table_; }

 private:
  std::array<Half, kMostKnots> knots_{};
  KnotTable table_;
};

// The sources print one knot of each of these and tell another; docs/
// arithmetic.md says how the others were found.
constexpr std::array<Half, kMostKnots> kGeluKnots = {
    {{0x0000}, {0x8E81}, {0x922D}, {0x9757}, {0x9BF0}, {0xA011}, {0xA3BF},
     {0xA6EC}, {0xA9BF}, {0xAC75}, {0xAE67}, {0xB03D}, {0xB11E}, {0xB184},
     {0xB104}, {0xAED0}, {0x922D}, {0x3098}, {0x357E}, {0x389F}, {0x3AB8},
     {0x3C78}, {0x3D9A}, {0x3EB9}, {0x3FD2}, {0x4072}, {0x40F8}, {0x417C},
     {0x41FE}, {0x427F}, {0x4301}, {0x4380}, {0x4400}}};
constexpr std::array<Half, kMostKnots> kSiluKnots = {
    {{0x98D7}, {0x9C5B}, {0x9E65}, {0xA0EF}, {0xA37B}, {0xA5A9}, {0xA83B},
     {0xAA45}, {0xAC8E}, {0xAE85}, {0xB088}, {0xB212}, {0xB3A9}, {0xB471},
     {0xB460}, {0xB284}, {0x96FB}, {0x34BE}, {0x39D0}, {0x3CE4}, {0x3F0B},
     {0x409F}, {0x41B8}, {0x42CC}, {0x43DC}, {0x4473}, {0x44F8}, {0x457A},
     {0x45FC}, {0x467E}, {0x46FE}, {0x477F}, {0x47FF}}};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

const KnotTable& knot_table(Function function) {
  static const Samples kSigmoid(-8, 0.5, 33, sigmoid);
  static const Samples kTanh(0, 0.125, 33,
                             [](double x) { return std::tanh(x); });
  static const Samples kErf(0, 1.0 / 16, 33,
                            [](double x) { return std::erf(x); });
  static const Samples kExp2(0, 1.0 / 32, 33,
                             [](double x) { return std::exp2(x); });
  static const Samples kLog2(0.5, 1.0 / 64, 33,
                             [](double x) { return std::log2(x); });
  static const Samples kSqrt(0.5, 1.0 / 16, 25,
                             [](double x) { return std::sqrt(x); });
  static const Samples kRsqrt(0.5, 1.0 / 16, 25,
                              [](double x) { return 1 / std::sqrt(x); });
  static const Samples kReciprocal(0.5, 1.0 / 64, 33,
                                   [](double x) { return 1 / x; });
  static const Samples kSin(0, 1.0 / 32, 33, [](double quarter) {
    return std::sin(quarter * std::numbers::pi / 2);
  });
  static const KnotTable kGelu{-4, 0.25, kGeluKnots};
  static const KnotTable kSilu{-8, 0.5, kSiluKnots};
  switch (function) {
    case Function::kSigmoid:
      return kSigmoid.table();
    case Function::kTanh:
      return kTanh.table();
    case Function::kErf:
      return kErf.table();
    case Function::kGelu:
      return kGelu;
    case Function::kSilu:
      return kSilu;
    case Function::kExp:
    case Function::kExp2:
      return kExp2.table();
    case Function::kLog:
      return kLog2.table();
    case Function::kSqrt:
      return kSqrt.table();
    case Function::kRsqrt:
      return kRsqrt.table();
    case Function::kInverse:
    case Function::kReciprocal:
      return kReciprocal.table();
    case Function::kSin:
    case Function::kCos:
      break;
  }
  return kSin.table();
}

}  // namespace aneroid::numerics
