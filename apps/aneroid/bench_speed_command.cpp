#include "apps/aneroid/bench_speed_command.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "aneroid/base/half.h"
#include "aneroid/base/samples.h"
#include "aneroid/cpu/bandwidth.h"
#include "aneroid/cpu/convert.h"
#include "aneroid/cpu/fma_ceiling.h"
#include "aneroid/cpu/gemm.h"
#include "aneroid/kernels/products.h"
#include "aneroid/telemetry/time_table.h"
#include "apps/aneroid/interrupt.h"
#include "apps/aneroid/model_source.h"
#include "apps/aneroid/options.h"
#include "apps/aneroid/progress.h"
#include "apps/aneroid/text.h"

namespace aneroid::cli {
namespace {

using kernels::TrainingProduct;
using Json = nlohmann::ordered_json;

struct SpeedOptions {
  std::string model = "stories110m";
  std::string config;
  int64_t sequence = 256;
  int64_t rounds = 15;
  int threads = 0;
  bool json = false;
};

// Samples of a rate, one per round.
using Rates = std::vector<double>;

Json to_json(const Rates& rates) {
  return {{"median", median(rates)}, {"best", greatest(rates)}};
}

Result<int> run_ceiling(const SpeedOptions& options) {
  catch_interrupts();
  cpu::ThreadPool all(options.threads);
  cpu::ThreadPool one(1);
  Rates fma_one;
  Rates fma_all;
  Rates read_one;
  Rates read_all;
  cpu::ReadProbe probe_one(one);
  cpu::ReadProbe probe_all(all);
  const auto gigabytes = static_cast<double>(probe_all.bytes()) / 1e9;
  Progress progress(
      {"measuring", "rounds", static_cast<uint64_t>(options.rounds)});
  for (int64_t round = 0; round < options.rounds; ++round) {
    if (interrupted()) return kInterrupted;
    fma_one.push_back(cpu::fma_ceiling(one));
    fma_all.push_back(cpu::fma_ceiling(all));
    read_one.push_back(gigabytes / probe_one.measure());
    read_all.push_back(gigabytes / probe_all.measure());
    progress.update(static_cast<uint64_t>(round) + 1);
  }
  progress.clear();
  if (options.json) {
    print_json(Json{{"threads", all.threads()},
                    {"simd", cpu::simd_target()},
                    {"rounds", options.rounds},
                    {"fma_gflop_per_s_one_thread", to_json(fma_one)},
                    {"fma_gflop_per_s", to_json(fma_all)},
                    {"read_gb_per_s_one_thread", to_json(read_one)},
                    {"read_gb_per_s", to_json(read_all)}});
    return kGood;
  }
  print("what this computer can do: {} instructions, {} rounds\n\n",
        cpu::simd_target(), options.rounds);
  Table table({{""},
               {"threads", Align::kRight},
               {"median", Align::kRight},
               {"best", Align::kRight},
               {""}});
  const auto row = [&](const char* name, int threads, const Rates& rates,
                       const char* unit) {
    table.add({name, std::to_string(threads),
               fmt::format("{:.1f}", median(rates)),
               fmt::format("{:.1f}", greatest(rates)), unit});
  };
  row("fp32 multiply-adds, in registers", 1, fma_one, "GFLOP/s");
  row("fp32 multiply-adds, in registers", all.threads(), fma_all, "GFLOP/s");
  row("memory read", 1, read_one, "GB/s");
  row("memory read", all.threads(), read_all, "GB/s");
  print("{}", table.to_string());
  return kGood;
}

// One product with operands as they lie on surfaces: weights as wide rows of
// fp16, several in turn so that they come from memory as in a step.
class ProductRun {
 public:
  ProductRun(cpu::ThreadPool& pool, const TrainingProduct& product)
      : pool_(pool),
        product_(product),
        heads_(product.kind == TrainingProduct::Kind::kAttention ? kHeads : 1),
        copies_(heads_ > 1 ? 1
                           : std::clamp<int64_t>(
                                 kRotated / std::max<int64_t>(
                                                1, product.m * product.k),
                                 1, 12)),
        a_(static_cast<size_t>(copies_ * heads_ * product.m * product.k)),
        b_(static_cast<size_t>(heads_ * product.n * product.k)) {
    fill(a_);
    fill(b_);
    const auto elements = static_cast<size_t>(heads_ * product.m * product.n);
    if (gradient()) {
      floats_.resize(elements);
    } else {
      halves_.resize(elements);
    }
  }

  // GFLOP/s of one run.
  double measure() {
    using cpu::Storage;
    const auto& [name, kind, m, n, k, count] = product_;
    const Half* const a = a_.data() + (next_++ % copies_) * m * k;
    const bool forward = kind == TrainingProduct::Kind::kForward;
    const cpu::ConstMatrix ma = forward
                                    ? cpu::ConstMatrix{a, Storage::kHalf, 1, m}
                                    : cpu::ConstMatrix{a, Storage::kHalf, k, 1};
    const cpu::ConstMatrix mb =
        gradient() ? cpu::ConstMatrix{b_.data(), Storage::kHalf, 1, k}
                   : cpu::ConstMatrix{b_.data(), Storage::kHalf, n, 1};
    const cpu::Matrix mc = {
        gradient() ? static_cast<void*>(floats_.data()) : halves_.data(),
        gradient() ? Storage::kFloat : Storage::kHalf, n, 1};
    const telemetry::Timer timer;
    cpu::gemm(pool_, scratch_, {m, n, k}, ma, mb, mc, {},
              {heads_, m * k, n * k, m * n});
    return product_.flops() * static_cast<double>(heads_) /
           (timer.milliseconds() * 1e6);
  }
  const TrainingProduct& product() const { return product_; }

 private:
  static constexpr int64_t kHeads = 12;
  static constexpr int64_t kRotated = int64_t{1} << 25;  // elements

  bool gradient() const {
    return product_.kind == TrainingProduct::Kind::kGradient;
  }
  static void fill(std::vector<Half>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i].bits =
          static_cast<uint16_t>(0x2C00 + i % 2048 + i % 2 * 0x8000);
    }
  }

  cpu::ThreadPool& pool_;
  TrainingProduct product_;
  int64_t heads_;
  int64_t copies_;
  int64_t next_ = 0;
  std::vector<Half> a_;
  std::vector<Half> b_;
  std::vector<float> floats_;
  std::vector<Half> halves_;
  cpu::GemmScratch scratch_;
};

Result<int> run_gemm(const SpeedOptions& options) {
  ANEROID_ASSIGN(const auto config,
                 fresh_config({options.model, options.config}));
  catch_interrupts();
  cpu::ThreadPool pool(options.threads);
  std::vector<std::unique_ptr<ProductRun>> runs;
  for (const auto& product :
       kernels::training_products(config, options.sequence)) {
    runs.push_back(std::make_unique<ProductRun>(pool, product));
  }
  std::vector<Rates> rates(runs.size());
  std::vector<Rates> shares(runs.size());  // of the ceiling at the moment
  Rates ceiling;
  Progress progress(
      {"measuring", "rounds", static_cast<uint64_t>(options.rounds)});
  for (const auto& run : runs) run->measure();  // warms up
  for (int64_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      if (interrupted()) return kInterrupted;
      const double before = cpu::fma_ceiling(pool);
      const double rate = runs[i]->measure();
      const double now = std::max(before, cpu::fma_ceiling(pool));
      ceiling.push_back(now);
      rates[i].push_back(rate);
      shares[i].push_back(100 * rate / now);
    }
    progress.update(static_cast<uint64_t>(round) + 1);
  }
  progress.clear();

  double flops = 0;
  double seconds = 0;
  double best_seconds = 0;
  Json rows = Json::array();
  Table table({{"product"},
               {"m", Align::kRight},
               {"n", Align::kRight},
               {"k", Align::kRight},
               {"times", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"best", Align::kRight},
               {"of ceiling", Align::kRight},
               {"ms per step", Align::kRight}});
  for (size_t i = 0; i < runs.size(); ++i) {
    const TrainingProduct& p = runs[i]->product();
    const double work = p.flops() * static_cast<double>(p.count);
    const double ms = work / (median(rates[i]) * 1e6);
    flops += work;
    seconds += ms / 1e3;
    best_seconds += work / (greatest(rates[i]) * 1e9);
    rows.push_back({{"product", p.name},
                    {"m", p.m},
                    {"n", p.n},
                    {"k", p.k},
                    {"count", p.count},
                    {"gflop_per_s", to_json(rates[i])},
                    {"percent_of_ceiling", median(shares[i])},
                    {"ms_per_step", ms}});
    table.add({p.name, std::to_string(p.m), std::to_string(p.n),
               std::to_string(p.k), std::to_string(p.count),
               fmt::format("{:.0f}", median(rates[i])),
               fmt::format("{:.0f}", greatest(rates[i])),
               fmt::format("{:.0f} %", median(shares[i])),
               fmt::format("{:.1f}", ms)});
  }
  const double all = flops / seconds / 1e9;
  if (options.json) {
    print_json(Json{{"model", config.name},
                    {"sequence", options.sequence},
                    {"threads", pool.threads()},
                    {"simd", cpu::simd_target()},
                    {"rounds", options.rounds},
                    {"ceiling_gflop_per_s", to_json(ceiling)},
                    {"products", rows},
                    {"all",
                     {{"gflop", flops / 1e9},
                      {"ms_per_step", seconds * 1e3},
                      {"best_ms_per_step", best_seconds * 1e3},
                      {"gflop_per_s", all}}}});
    return kGood;
  }
  print(
      "matrix products of one micro-step of {}, sequence {}, {} threads, {} "
      "instructions, {} rounds\n"
      "ceiling: multiply-adds in registers at {:.0f} GFLOP/s (median), {:.0f} "
      "(best), measured around every product\n\n{}\n"
      "all of them: {:.1f} GFLOP in {:.0f} ms at the medians, {:.0f} GFLOP/s; "
      "{:.0f} ms at the best\n",
      config.name, options.sequence, pool.threads(), cpu::simd_target(),
      options.rounds, median(ceiling), greatest(ceiling), table.to_string(),
      flops / 1e9, seconds * 1e3, all, best_seconds * 1e3);
  return kGood;
}

void add_rounds(CLI::App& command, SpeedOptions& options) {
  command.add_option("--rounds", options.rounds, "measurements of each")
      ->type_name("N")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command.add_option("--threads", options.threads, "0: one per core")
      ->type_name("N")
      ->check(CLI::Range(0, 512));
  add_json_option(command, options.json);
}

}  // namespace

void setup_bench_ceiling(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_ceiling);
  describe(command,
           "The fastest loop of multiply-adds that stays in registers, and the "
           "speed at which memory is read. Everything else is judged against "
           "these, in the same minute: a shared computer changes speed.",
           "  aneroid bench ceiling\n"
           "  aneroid bench ceiling --threads 1 --json\n");
  add_rounds(command, *options);
}

void setup_bench_gemm(CLI::App& command, Action& chosen) {
  const auto options = bind(command, chosen, run_gemm);
  describe(command,
           "Every matrix product of a training step, with operands as they lie "
           "on the surfaces, in turn with the ceiling.",
           "  aneroid bench gemm --model stories110m\n"
           "  aneroid bench gemm --model stories15m --seq 128 --json\n");
  add_model_option(command, options->model)
      ->description("a preset")
      ->capture_default_str();
  command.add_option("--config", options->config, "a config.json instead")
      ->type_name("FILE");
  add_sequence_option(command, options->sequence)->capture_default_str();
  add_rounds(command, *options);
}

}  // namespace aneroid::cli
