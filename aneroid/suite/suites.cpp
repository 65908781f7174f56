#include "aneroid/suite/suites.h"

#include <algorithm>

#include <fmt/format.h>

#include "aneroid/suite/rows.h"

namespace aneroid::suite {
namespace {

// ---- peak ------------------------------------------------------------------

Sweep peak_sweep(std::span<const ConvChain> chains) {
  Sweep sweep;
  for (const ConvChain& chain : chains) {
    sweep.cases.push_back(chain_case(
        chain,
        fmt::format("{} channels, {}x{}{}", chain.channels, chain.height,
                    chain.width, chain.shared ? ", shared" : ""),
        gflop(chain)));
  }
  return sweep;
}

Suite peak() {
  // The published tool for 1x64 gave all layers the same weights (C011), so
  // its programs are shared; one of them is repeated with weights of its own.
  std::vector<ConvChain> chains;
  const auto add = [&](int64_t channels, int64_t height, int64_t width,
                       std::initializer_list<int64_t> depths, bool shared) {
    for (const int64_t depth : depths) {
      chains.push_back({channels, height, width, depth, shared});
    }
  };
  add(256, 1, 64, {64, 128, 256}, true);
  add(384, 1, 64, {64, 128}, true);
  add(512, 1, 64, {32, 48, 64, 96, 128, 256}, true);
  add(640, 1, 64, {128}, true);
  add(512, 1, 64, {32, 64, 128}, false);
  add(384, 1, 128, {128, 256}, true);
  add(512, 1, 128, {16, 32, 64, 96, 128, 160, 256}, true);
  add(512, 1, 2048, {128}, true);
  add(64, 128, 128, {8, 64}, false);
  add(256, 64, 64, {16, 64, 128, 256}, false);
  add(512, 64, 64, {1, 2, 4, 8, 16, 32, 64, 128}, false);
  add(1024, 64, 64, {16, 48}, false);
  add(512, 128, 128, {16, 64}, false);
  constexpr ConvChain kQuick[] = {
      {32, 1, 64, 2}, {32, 1, 64, 8}, {64, 8, 8, 4, true}, {64, 16, 16, 4}};
  return {"peak",
          "The highest rate: deep chains of 1x1 convolutions",
          "Sweeps channels, depth and spatial size. 'shared' gives every layer "
          "the same weights, as the published tool for 1x64 did, so that they "
          "are never streamed from memory.",
          "GFLOP of the program",
          Measure::kTeraflops,
          peak_sweep(chains),
          peak_sweep(kQuick)};
}

// ---- conv-vs-matmul --------------------------------------------------------

Sweep conv_matmul_sweep(std::span<const int64_t> sizes) {
  Sweep sweep;
  for (const int64_t n : sizes) {
    const auto x = static_cast<double>(n);
    const ConvChain conv{n, 1, n, 1};
    const Product constant{n, n, n, false};
    const Product runtime{n, n, n, true};
    sweep.cases.push_back(chain_case(conv, "conv", x));
    sweep.cases.push_back(product_case(constant, "matmul, constant", x));
    sweep.cases.push_back(product_case(runtime, "matmul, both inputs", x));
    sweep.derived.push_back({fmt::format("ratio-{}", n),
                             fmt::format("matmul of inputs / conv, {0}x{0}", n),
                             Derived::Kind::kRatio, product_key(runtime),
                             chain_key(conv)});
  }
  return sweep;
}

Suite conv_vs_matmul() {
  constexpr int64_t kSizes[] = {256, 512, 1024, 2048, 4096, 6144, 8192};
  constexpr int64_t kQuickSizes[] = {32, 64};
  Suite suite{"conv-vs-matmul",
              "The same product as a convolution and as a matmul",
              "[n, n] x [n, n] three ways: a 1x1 convolution with constant "
              "weights over n pixels, a matmul with a constant, and a matmul "
              "of two inputs.",
              "n of [n, n] x [n, n]",
              Measure::kTeraflops,
              conv_matmul_sweep(kSizes),
              conv_matmul_sweep(kQuickSizes)};
  // Published shapes that are no squares.
  for (const Product& product :
       {Product{16, 256, 256}, Product{64, 512, 512}, Product{128, 512, 2048},
        Product{256, 1024, 1024}, Product{512, 1024, 4096}}) {
    suite.full.cases.push_back(product_case(product, "", 0));
  }
  return suite;
}

// ---- dispatch --------------------------------------------------------------

Suite dispatch() {
  const auto chain = [](int64_t channels, int64_t width, int64_t depth) {
    return chain_case({channels, 1, width, depth, true},
                      fmt::format("conv {}, 1x{}", channels, width),
                      static_cast<double>(depth));
  };
  Suite suite{"dispatch",
              "What a call costs before it does any work",
              "Tiny programs, and chains of tiny layers: the time at depth 1 "
              "is the fixed cost of a call, the slope that of a layer.",
              "layers",
              Measure::kMicroseconds,
              {},
              {}};
  for (const int64_t depth : {1, 8, 32, 128, 384}) {
    suite.full.cases.push_back(chain(32, 32, depth));
  }
  suite.full.cases.push_back(chain(128, 64, 1));
  suite.full.cases.push_back(chain(64, 1024, 384));
  suite.full.cases.push_back(product_case({1, 64, 64}, "", 0));
  suite.full.cases.push_back(stream_case({64, 1, 256}, ""));
  suite.full.cases.push_back(stream_case({256, 1, 1024}, ""));
  suite.full.derived.push_back({"layer", "a layer of 32 channels, 1x32",
                                Derived::Kind::kSlope, "32-1x32-d384-shared",
                                "32-1x32-d128-shared", 256});
  suite.quick.cases = {chain(32, 32, 1), chain(32, 32, 8),
                       stream_case({64, 1, 64}, "")};
  suite.quick.derived.push_back({"layer-quick", "a layer of 32 channels, 1x32",
                                 Derived::Kind::kSlope, "32-1x32-d8-shared",
                                 "32-1x32-d1-shared", 7});
  return suite;
}

// ---- sram ------------------------------------------------------------------

Suite sram() {
  const auto conv = [](int64_t channels, int64_t width) {
    const ConvChain chain{channels, 1, width, 1};
    return chain_case(chain, fmt::format("one conv over 1x{}", width),
                      weight_mb(chain));
  };
  Suite suite{"sram",
              "Growing working sets: is there an edge?",
              "One convolution with more and more weights, and relu over "
              "larger and larger tensors. A memory on the chip would show as a "
              "fall of the rate where it is full.",
              "MB of weights",
              Measure::kWeightRate,
              {},
              {}};
  for (const int64_t channels :
       {256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192}) {
    suite.full.cases.push_back(conv(channels, 64));
  }
  suite.full.cases.push_back(conv(2048, 128));
  for (const auto& [channels, side] : {std::pair<int64_t, int64_t>{64, 64},
                                       {256, 64},
                                       {512, 128},
                                       {1024, 128}}) {
    suite.full.cases.push_back(stream_case({channels, side, side}, ""));
  }
  suite.quick.cases = {conv(64, 64), conv(128, 64),
                       stream_case({64, 8, 8}, "")};
  return suite;
}

// ---- int8 ------------------------------------------------------------------

Sweep int8_sweep(std::span<const ConvChain> chains) {
  Sweep sweep;
  for (ConvChain chain : chains) {
    const std::string key = chain_key(chain);
    for (const Stored stored : {Stored::kFp16, Stored::kW8A8}) {
      chain.stored = stored;
      sweep.cases.push_back(chain_case(
          chain, fmt::format("{} channels, {}", chain.channels, words(stored)),
          gflop(chain)));
    }
    sweep.derived.push_back({"gain-" + key, fmt::format("fp16 / W8A8, {}", key),
                             Derived::Kind::kRatio, key, chain_key(chain)});
  }
  return sweep;
}

Suite int8() {
  constexpr ConvChain kChains[] = {{512, 64, 64, 8},   {512, 64, 64, 64},
                                   {512, 64, 64, 128}, {256, 64, 64, 128},
                                   {256, 64, 64, 256}, {384, 64, 64, 128},
                                   {1024, 64, 64, 48}};
  constexpr ConvChain kQuick[] = {{32, 8, 8, 2}, {64, 16, 16, 2}};
  Suite suite{
      "int8",
      "8-bit weights and activations (W8A8) against fp16",
      "Chains of 1x1 convolutions in fp16, and with a quantize and a "
      "dequantize before each, so that weights and activations are int8.",
      "GFLOP of the program",
      Measure::kTeraflops,
      int8_sweep(kChains),
      int8_sweep(kQuick)};
  suite.rate_unit = "TOPS";
  suite.on_cpu =
      "a CPU rounds to int8 and multiplies floats, which is more work than "
      "fp16: its gain is below 1 and says nothing about a chip";
  return suite;
}

// ---- weights ---------------------------------------------------------------

// Chains of one kind at two depths or more, and the time of a layer from the
// last two.
void add_depths(Sweep& sweep, ConvChain chain,
                std::initializer_list<int64_t> depths) {
  const int64_t hidden = chain.hidden > 0 ? chain.hidden : chain.channels;
  const std::string series =
      fmt::format("{}->{}, {}{}", chain.channels, hidden, words(chain.stored),
                  chain.shared ? ", the same" : "");
  for (const int64_t depth : depths) {
    chain.depth = depth;
    sweep.cases.push_back(
        chain_case(chain, series, static_cast<double>(depth)));
  }
  if (depths.size() < 2) return;
  const auto layers = static_cast<double>(depths.end()[-1] - depths.end()[-2]);
  const auto& last = sweep.cases.end()[-1];
  const auto& before = sweep.cases.end()[-2];
  sweep.derived.push_back(
      {fmt::format("layer-{}-{}x{}{}{}", chain.channels, chain.height,
                   chain.width, suffix(chain.stored),
                   chain.shared ? "-shared" : ""),
       fmt::format("a layer of {}", series), Derived::Kind::kSlope, last.key,
       before.key, layers});
}

Suite weights() {
  Suite suite{"weights",
              "Weights from memory against weights that stay",
              "The same convolution over and over with one set of weights, "
              "with weights of its own for each layer, and with compressed "
              "ones.",
              "layers",
              Measure::kMicroseconds,
              {},
              {}};
  Sweep& full = suite.full;
  for (const bool shared : {true, false}) {
    add_depths(full, {512, 1, 16, 0, shared}, {16, 64, 96, 128});
  }
  for (const Stored stored :
       {Stored::kFp16, Stored::kInt8, Stored::kPalette4}) {
    add_depths(full, {2048, 1, 32, 0, false, stored}, {16, 32});
  }
  add_depths(full, {2048, 1, 32, 0, true}, {16, 32});
  ConvChain mlp{2560, 1, 1, 2};
  mlp.hidden = 9216;
  for (const int64_t pairs : {1, 2, 4}) {
    mlp.depth = 2 * pairs;
    full.cases.push_back(chain_case(mlp, "2560->9216->2560, one token",
                                    static_cast<double>(mlp.depth)));
  }
  for (const Stored stored :
       {Stored::kFp16, Stored::kInt8, Stored::kPalette4}) {
    full.cases.push_back(product_case({1, 4096, 4096, false, stored}, "", 0));
  }
  for (const bool shared : {true, false}) {
    add_depths(suite.quick, {64, 1, 32, 0, shared}, {2, 4});
  }
  add_depths(suite.quick, {64, 1, 32, 0, false, Stored::kPalette4}, {2});
  suite.on_cpu =
      "a CPU has compressed weights expanded before the first call: they take "
      "as long as others";
  return suite;
}

// ---- layer -----------------------------------------------------------------

Suite layer() {
  const auto row = [](const Layer& sizes) {
    return Case{
        fmt::format("{}-{}-s{}", sizes.model, sizes.hidden, sizes.sequence),
        fmt::format("{} wide, {} hidden, {} heads, sequence {}", sizes.model,
                    sizes.hidden, sizes.heads, sizes.sequence),
        fmt::format("{} wide", sizes.model),
        static_cast<double>(sizes.sequence), sizes};
  };
  Suite suite{"layer",
              "One transformer layer, forward and backward",
              "The engine's part of a training step as it was first announced: "
              "six programs with baked weights, random data.",
              "sequence",
              Measure::kMicroseconds,
              {},
              {}};
  for (const int64_t sequence : {128, 256, 512, 1024}) {
    suite.full.cases.push_back(row({768, 2048, 12, sequence}));
  }
  suite.quick.cases = {row({64, 96, 2, 32}), row({64, 96, 2, 64})};
  return suite;
}

}  // namespace

const Case* Suite::find(std::string_view key) const {
  for (const Sweep* sweep : {&full, &quick}) {
    const auto found = std::ranges::find(sweep->cases, key, &Case::key);
    if (found != sweep->cases.end()) return &*found;
  }
  return nullptr;
}

const Derived* Suite::find_derived(std::string_view key) const {
  for (const Sweep* sweep : {&full, &quick}) {
    const auto found = std::ranges::find(sweep->derived, key, &Derived::key);
    if (found != sweep->derived.end()) return &*found;
  }
  return nullptr;
}

std::span<const Suite> suites() {
  static const std::vector<Suite> kSuites = [] {
    std::vector<Suite> all;
    for (Suite (*make)() :
         {peak, conv_vs_matmul, dispatch, sram, int8, weights, layer}) {
      all.push_back(make());
    }
    return all;
  }();
  return kSuites;
}

const Suite* find_suite(std::string_view name) {
  const auto all = suites();
  const auto found = std::ranges::find(all, name, &Suite::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace aneroid::suite
