// Matrix products of a 110M Llama's training step, against the FMA ceiling of
// the same moment.
//
//   gemm_bench --benchmark_filter=dW
//
// GFLOP/s is the median of the run; best_% and median_% are percent of the
// ceiling, which is the best of the probes during the run. See own_seconds()
// for the clock: on a busy machine trust the medians of one thread and the best
// of several.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "aneroid/base/half.h"
#include "aneroid/cpu/fma_ceiling.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/numerics/matrix.h"

namespace aneroid::bench {
namespace {

// How the operands lie in memory.
enum class Kind {
  kForward,  // A fp16 [K, M], rows 10000 apart; B fp16 [K, N]; C fp16
  kWeight,   // A fp16 [M, K]; B fp16 [N, K]; C fp32 +=
  kScores,   // A fp16 [M, K]; B fp16 [N, K]; C fp16
  kValues,   // A fp16 [M, K]; B fp16 [K, N]; C fp16
};

struct Product {
  const char* name;
  Kind kind;
  cpu::GemmShape shape;
  int64_t count;
};

constexpr Product kProducts[] = {
    {"forward", Kind::kForward, {768, 256, 768}, 1},
    {"forward", Kind::kForward, {2048, 256, 768}, 1},
    {"forward", Kind::kForward, {768, 256, 2048}, 1},
    {"classifier", Kind::kForward, {8000, 256, 768}, 1},
    {"dX_classifier", Kind::kForward, {768, 256, 8000}, 1},
    {"dW", Kind::kWeight, {768, 768, 256}, 1},
    {"dW", Kind::kWeight, {2048, 768, 256}, 1},
    {"dW", Kind::kWeight, {768, 2048, 256}, 1},
    {"dW_classifier", Kind::kWeight, {8000, 768, 256}, 1},
    {"scores", Kind::kScores, {256, 256, 64}, 12},
    {"values", Kind::kValues, {256, 64, 256}, 12},
    {"tiny", Kind::kScores, {32, 32, 8}, 8},
    {"one_token", Kind::kForward, {768, 1, 768}, 1},
};

constexpr int64_t kRowsApart = 10000;

std::vector<Half> filled(int64_t size) {
  std::vector<Half> values(static_cast<size_t>(size));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i].bits = static_cast<uint16_t>(0x2C00 + i % 2048 + i % 2 * 0x8000);
  }
  return values;
}

double median(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// fp32 sums, or the engine's own arithmetic.
enum class Arithmetic { kFast, kExact };

void run(benchmark::State& state, const Product& product, int threads,
         Arithmetic arithmetic) {
  using cpu::Storage;
  const auto& [m, n, k] = product.shape;
  const bool forward = product.kind == Kind::kForward;
  const bool transposed =
      product.kind == Kind::kWeight || product.kind == Kind::kScores;
  const int64_t apart = std::max(kRowsApart, m);
  const std::vector<Half> a =
      filled(forward ? k * apart : product.count * m * k);
  const std::vector<Half> b = filled(product.count * k * n);
  std::vector<Half> halves(static_cast<size_t>(product.count * m * n));
  std::vector<float> floats(halves.size());

  const cpu::ConstMatrix ma = {a.data(), Storage::kHalf, forward ? 1 : k,
                               forward ? apart : 1};
  const cpu::ConstMatrix mb = {b.data(), Storage::kHalf, transposed ? 1 : n,
                               transposed ? k : 1};
  const bool sum = product.kind == Kind::kWeight;
  const cpu::Matrix mc = {
      sum ? static_cast<void*>(floats.data()) : halves.data(),
      sum ? Storage::kFloat : Storage::kHalf, n, 1};
  const cpu::GemmOptions options = {.add_to_c = sum};
  const cpu::GemmBatch batch = {product.count, m * k, k * n, m * n};

  cpu::ThreadPool pool(threads);
  cpu::GemmScratch scratch;
  scratch.reserve(product.shape, options.accumulate, threads);
  numerics::MatrixScratch exact_scratch;
  numerics::MatrixStatistics used;
  const double operations =
      2e-9 * static_cast<double>(product.count * m * n * k);
  std::vector<double> rates;
  double ceiling = 0;
  double since_probe = 1;  // seconds
  for (auto _ : state) {
    if (since_probe > 0.02) {
      state.PauseTiming();
      ceiling = std::max(ceiling, cpu::fma_ceiling(pool));
      since_probe = 0;
      state.ResumeTiming();
    }
    const double start = cpu::own_seconds(threads);
    if (arithmetic == Arithmetic::kExact) {
      used = numerics::matrix_product(pool, exact_scratch, product.shape, ma,
                                      mb, mc, batch);
    } else {
      cpu::gemm(pool, scratch, product.shape, ma, mb, mc, options, batch);
    }
    const double seconds = cpu::own_seconds(threads) - start;
    since_probe += seconds;
    rates.push_back(operations / seconds);
  }
  const double best = *std::max_element(rates.begin(), rates.end());
  const double middle = median(rates);
  if (arithmetic == Arithmetic::kExact) {
    const auto blocks = static_cast<double>(used.narrow + used.wide);
    state.counters["narrow_%"] =
        100 * static_cast<double>(used.narrow) / blocks;
  }
  state.counters["GFLOP/s"] = middle;
  state.counters["ceiling"] = ceiling;
  state.counters["best_%"] = 100 * best / ceiling;
  state.counters["median_%"] = 100 * middle / ceiling;
}

void register_all() {
  for (const Product& product : kProducts) {
    for (const int threads : {1, 2}) {
      const std::string name =
          std::string(product.name) + "/" + std::to_string(product.shape.m) +
          "x" + std::to_string(product.shape.n) + "x" +
          std::to_string(product.shape.k) +
          (product.count > 1 ? "/batch:" + std::to_string(product.count) : "") +
          "/threads:" + std::to_string(threads);
      const auto add = [&](const std::string& full, Arithmetic arithmetic) {
        benchmark::RegisterBenchmark(
            full.c_str(),
            [&product, threads, arithmetic](benchmark::State& state) {
              run(state, product, threads, arithmetic);
            })
            ->UseRealTime();
      };
      add(name, Arithmetic::kFast);
      // Weight gradients are never the engine's.
      if (product.kind != Kind::kWeight) {
        add("exact/" + name, Arithmetic::kExact);
      }
    }
  }
}

}  // namespace
}  // namespace aneroid::bench

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  aneroid::bench::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
