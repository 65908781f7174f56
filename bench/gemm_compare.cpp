// The matrix products of a training step: ours beside OpenBLAS and oneDNN, in
// turn. Ours read fp16 and, but for weight gradients, write fp16; theirs are
// fp32 throughout, as they offer.
//
//   OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=2 build/bench/gemm_compare
//   build/bench/gemm_compare stories110m 256 15 --json
//
// GFLOP/s, median and best of the rounds; the last column is the median over
// the rounds of ours / the better of theirs in that round. OPENBLAS_CORETYPE
// names the kernels to use where OpenBLAS does not know a new CPU.
#include <algorithm>
#include <cblas.h>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <oneapi/dnnl/dnnl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "aneroid/base/half.h"
#include "aneroid/base/samples.h"
#include "aneroid/cpu/fma_ceiling.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/kernels/products.h"
#include "aneroid/model/config.h"
#include "aneroid/telemetry/time_table.h"

namespace aneroid::bench {
namespace {

using kernels::TrainingProduct;

constexpr int64_t kRotated = int64_t{1} << 25;  // elements of weights in turn

// The same product three times over, each with its own copy of the operands.
class Contest {
 public:
  enum Side { kOurs, kOpenBlas, kOneDnn, kSides };

  Contest(cpu::ThreadPool& pool, const TrainingProduct& product)
      : pool_(pool),
        product_(product),
        copies_(std::clamp<int64_t>(kRotated / (product.m * product.k), 1, 12)),
        half_a_(static_cast<size_t>(copies_ * product.m * product.k)),
        half_b_(static_cast<size_t>(product.n * product.k)),
        half_c_(static_cast<size_t>(product.m * product.n)),
        a_(half_a_.size()),
        b_(half_b_.size()),
        c_(half_c_.size()) {
    for (size_t i = 0; i < half_a_.size(); ++i) {
      half_a_[i].bits = static_cast<uint16_t>(0x2C00 + i % 2048);
      a_[i] = to_float(half_a_[i]);
    }
    for (size_t i = 0; i < half_b_.size(); ++i) {
      half_b_[i].bits = static_cast<uint16_t>(0x2C00 + i % 2048);
      b_[i] = to_float(half_b_[i]);
    }
  }

  // GFLOP/s of one run.
  double measure(Side side) {
    const int64_t copy = next_++ / kSides % copies_;
    const telemetry::Timer timer;
    switch (side) {
      case kOurs:
        ours(copy);
        break;
      case kOpenBlas:
        openblas(copy);
        break;
      default:
        onednn(copy);
    }
    return product_.flops() / (timer.milliseconds() * 1e6);
  }

 private:
  bool gradient() const {
    return product_.kind == TrainingProduct::Kind::kGradient;
  }
  // Forward: weights [k, m] as on a surface, activations [k, n].
  // Gradient: dy [m, k], x [n, k].
  void ours(int64_t copy) {
    using cpu::Storage;
    const auto& [name, kind, m, n, k, count] = product_;
    const Half* const a = half_a_.data() + copy * m * k;
    if (gradient()) {
      cpu::gemm(pool_, scratch_, {m, n, k}, {a, Storage::kHalf, k, 1},
                {half_b_.data(), Storage::kHalf, 1, k},
                {c_.data(), Storage::kFloat, n, 1});
    } else {
      cpu::gemm(pool_, scratch_, {m, n, k}, {a, Storage::kHalf, 1, m},
                {half_b_.data(), Storage::kHalf, n, 1},
                {half_c_.data(), Storage::kHalf, n, 1});
    }
  }
  // As PyTorch does it: Y [n, m] = X [n, k] W^T [m, k]; dW = dY^T X.
  void openblas(int64_t copy) {
    const auto m = static_cast<blasint>(product_.m);
    const auto n = static_cast<blasint>(product_.n);
    const auto k = static_cast<blasint>(product_.k);
    const float* const a = a_.data() + copy * product_.m * product_.k;
    if (gradient()) {
      cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1.0F, a, m,
                  b_.data(), n, 0.0F, c_.data(), n);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, k, 1.0F,
                  b_.data(), k, a, k, 0.0F, c_.data(), m);
    }
  }
  void onednn(int64_t copy) {
    const auto& [name, kind, m, n, k, count] = product_;
    const float* const a = a_.data() + copy * m * k;
    if (gradient()) {
      dnnl_sgemm('T', 'N', m, n, k, 1.0F, a, m, b_.data(), n, 0.0F, c_.data(),
                 n);
    } else {
      dnnl_sgemm('N', 'T', n, m, k, 1.0F, b_.data(), k, a, k, 0.0F, c_.data(),
                 m);
    }
  }

  cpu::ThreadPool& pool_;
  TrainingProduct product_;
  int64_t copies_;
  int64_t next_ = 0;
  std::vector<Half> half_a_;
  std::vector<Half> half_b_;
  std::vector<Half> half_c_;
  std::vector<float> a_;
  std::vector<float> b_;
  std::vector<float> c_;
  cpu::GemmScratch scratch_;
};

int run(const model::ModelConfig& config, int64_t sequence, int rounds,
        bool json) {
  const char* const threads = std::getenv("OMP_NUM_THREADS");
  cpu::ThreadPool pool(threads == nullptr ? 0 : std::atoi(threads));
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (!json) {
    fmt::print(
        "{} threads, {} rounds in turn; OpenBLAS: {}\n\n{:<42}{:>7}{:>7}"
        "{:>7}{:>14}{:>14}{:>14}{:>10}\n",
        pool.threads(), rounds, openblas_get_corename(), "product", "m", "n",
        "k", "ours", "OpenBLAS", "oneDNN", "ratio");
  }
  for (const TrainingProduct& product :
       kernels::training_products(config, sequence)) {
    // Libraries batch heads by a loop: no contest.
    if (product.kind == TrainingProduct::Kind::kAttention) continue;
    Contest contest(pool, product);
    std::vector<double> rates[Contest::kSides];
    std::vector<double> ratios;
    double ceiling = 0;
    for (int round = -1; round < rounds; ++round) {
      double now[Contest::kSides];
      for (int i = 0; i < Contest::kSides; ++i) {
        const int side = (i + round + 1) % Contest::kSides;
        now[side] = contest.measure(static_cast<Contest::Side>(side));
      }
      if (round < 0) continue;  // warms up
      ceiling = std::max(ceiling, cpu::fma_ceiling(pool));
      for (int i = 0; i < Contest::kSides; ++i) rates[i].push_back(now[i]);
      ratios.push_back(now[0] / std::max(now[1], now[2]));
    }
    const auto cell = [&](int side) {
      return fmt::format("{:.0f} ({:.0f})", median(rates[side]),
                         greatest(rates[side]));
    };
    if (json) {
      rows.push_back({{"product", product.name},
                      {"m", product.m},
                      {"n", product.n},
                      {"k", product.k},
                      {"ceiling", ceiling},
                      {"ours", rates[0]},
                      {"openblas", rates[1]},
                      {"onednn", rates[2]},
                      {"ratio_median", median(ratios)}});
    } else {
      fmt::print("{:<42}{:>7}{:>7}{:>7}{:>14}{:>14}{:>14}{:>10.2f}\n",
                 product.name, product.m, product.n, product.k, cell(0),
                 cell(1), cell(2), median(ratios));
      std::fflush(stdout);
    }
  }
  if (json) fmt::print("{}\n", rows.dump(1));
  return 0;
}

}  // namespace
}  // namespace aneroid::bench

int main(int argc, char** argv) try {
  // Idle OpenMP threads must not spin beside ours; OpenMP reads this when the
  // program is loaded.
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execvp(argv[0], argv);
  }
  std::vector<std::string> args(argv + 1, argv + argc);
  const bool json = std::erase(args, "--json") > 0;
  const auto config =
      aneroid::model::preset(args.empty() ? "stories110m" : args[0]);
  const int64_t sequence = args.size() > 1 ? std::atoll(args[1].c_str()) : 256;
  const int rounds = args.size() > 2 ? std::atoi(args[2].c_str()) : 15;
  if (!config || sequence < 1 || rounds < 1 || args.size() > 3) {
    fmt::print(stderr,
               "usage: gemm_compare [PRESET] [SEQUENCE] [ROUNDS] [--json]\n");
    return 2;
  }
  return aneroid::bench::run(*config, sequence, rounds, json);
} catch (const std::exception& error) {
  std::fprintf(stderr, "gemm_compare: %s\n", error.what());
  return 3;
}
