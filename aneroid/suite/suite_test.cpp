#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "aneroid/blob/blob.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/emulator/emulator.h"
#include "aneroid/mil/text.h"
#include "aneroid/mil/verifier.h"
#include "aneroid/suite/forecast.h"
#include "aneroid/suite/measure.h"
#include "aneroid/suite/suites.h"

namespace aneroid::suite {
namespace {

std::vector<const Case*> all_cases() {
  std::vector<const Case*> all;
  for (const Suite& suite : suites()) {
    for (const Case& one : suite.full.cases) all.push_back(&one);
    for (const Case& one : suite.quick.cases) all.push_back(&one);
  }
  return all;
}

double flops_of(const Recipe& recipe) {
  double sum = 0;
  const auto list = programs(recipe);
  EXPECT_TRUE(list) << to_string(list.error());
  if (!list) return sum;
  for (const TestProgram& program : *list) sum += flops(program);
  return sum;
}

double predicted_us(const Recipe& recipe, std::string_view chip = "m4",
                    const Figure& conditions = {}) {
  const auto list = programs(recipe);
  EXPECT_TRUE(list) << to_string(list.error());
  const auto predicted = forecast(*list, *target::find_chip(chip), conditions);
  EXPECT_TRUE(predicted) << to_string(predicted.error());
  return predicted ? predicted->microseconds : 0;
}

std::unique_ptr<device::Device> emulator(cpu::ThreadPool& pool) {
  emulator::EmulatorOptions options;
  options.pool = &pool;
  options.compile_budget = 0;
  auto device = emulator::make_emulator(options);
  EXPECT_TRUE(device) << to_string(device.error());
  return *std::move(device);
}

TEST(Suites, HaveTheSuitesThatWereAskedFor) {
  for (const char* name : {"peak", "conv-vs-matmul", "dispatch", "sram", "int8",
                           "weights", "layer"}) {
    const Suite* suite = find_suite(name);
    ASSERT_NE(suite, nullptr) << name;
    EXPECT_FALSE(suite->full.cases.empty()) << name;
    EXPECT_FALSE(suite->quick.cases.empty()) << name;
  }
  EXPECT_EQ(find_suite("speed"), nullptr);
  EXPECT_EQ(find_suite("peak")->find("1-1x1-d1"), nullptr);
}

TEST(Suites, KeysAreUniqueAndDerivedRowsFindTheirs) {
  for (const Suite& suite : suites()) {
    for (const Sweep* sweep : {&suite.full, &suite.quick}) {
      std::set<std::string> keys;
      for (const Case& one : sweep->cases) {
        EXPECT_TRUE(keys.insert(one.key).second)
            << suite.name << " " << one.key;
      }
      for (const Derived& one : sweep->derived) {
        EXPECT_TRUE(keys.contains(one.first)) << suite.name << " " << one.first;
        EXPECT_TRUE(keys.contains(one.second)) << suite.name << " " << one.key;
        EXPECT_TRUE(keys.insert(one.key).second) << suite.name << one.key;
        EXPECT_GT(one.layers, 0);
      }
    }
  }
}

TEST(Suites, ProgramsVerifyAndPrintToTheSameProgram) {
  for (const Case* one : all_cases()) {
    const auto list = programs(one->recipe);
    ASSERT_TRUE(list) << one->key << to_string(list.error());
    for (const TestProgram& program : *list) {
      const auto found = mil::verify(program.program);
      EXPECT_TRUE(found.empty()) << one->key << ": " << to_string(found[0]);
      const auto again = mil::parse(mil::print(program.program));
      ASSERT_TRUE(again) << to_string(again.error());
      EXPECT_EQ(*again, program.program) << one->key;
    }
  }
}

// The published programs ran on an M4; ours must be acceptable too.
TEST(Suites, AnM4AcceptsThePrograms) {
  const target::Chip m4 = *target::find_chip("m4");
  for (const Case* one : all_cases()) {
    const auto* chain = std::get_if<ConvChain>(&one->recipe);
    // 768 ops in a row end the compiler (C091).
    if (chain != nullptr && chain->stored == Stored::kW8A8 &&
        chain->depth == 256) {
      continue;
    }
    const Status status =
        accepts(*programs(one->recipe), m4, target::Path::kRaw);
    EXPECT_TRUE(status) << one->key << ": " << to_string(status.error());
  }
}

TEST(Suites, TooDeepChainsAreRefusedWithTheRule) {
  const auto list = programs(ConvChain{256, 64, 64, 256, false, Stored::kW8A8});
  const Status status =
      accepts(*list, *target::find_chip("m4"), target::Path::kRaw);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().label, "C091");
}

TEST(Flops, AreThoseCountedByHand) {
  // 2 x 512 x 512 x 4096 pixels x 128 layers.
  EXPECT_DOUBLE_EQ(flops_of(ConvChain{512, 64, 64, 128}), 274877906944.0);
  EXPECT_DOUBLE_EQ(flops_of(ConvChain{512, 64, 64, 128, false, Stored::kW8A8}),
                   274877906944.0);
  // 2 x 2560 x 9216 x 1 pixel, there and back.
  ConvChain mlp{2560, 1, 1, 2};
  mlp.hidden = 9216;
  EXPECT_DOUBLE_EQ(flops_of(mlp), 94371840.0);
  EXPECT_DOUBLE_EQ(flops_of(Product{16, 256, 512, true}), 4194304.0);
  EXPECT_DOUBLE_EQ(flops_of(Product{16, 256, 512, false}), 4194304.0);
  EXPECT_DOUBLE_EQ(flops_of(Stream{64, 8, 8}), 0.0);
}

TEST(Flops, OfALayerAreThePublishedOnesAndTwoProductsMore) {
  const Layer layer;
  // 2 x 512 x (4 x 768^2 + 3 x 768 x 2048) = 7,247,757,312, twice, and five
  // products of 12 heads, 2 x 512^2 x 64 each: 2,013,265,920.
  EXPECT_DOUBLE_EQ(published_flops(layer), 16508780544.0);
  EXPECT_DOUBLE_EQ(flops_of(layer), 16508780544.0 + 2 * 2.0 * 512 * 512 * 768);
  // 9.3 ms are the published 1.78 TFLOPS and 11.2 % of 15.8.
  EXPECT_NEAR(published_flops(layer) / 9.3e-3 / 1e12, 1.78, 0.01);
  EXPECT_NEAR(published_flops(layer) / 9.3e-3 / 15.8e12, 0.112, 0.001);
}

TEST(Programs, WeightsAreStoredAsSaid) {
  const auto bytes_of = [](const ConvChain& chain) {
    return weight_bytes((*programs(chain))[0]);
  };
  EXPECT_DOUBLE_EQ(bytes_of({512, 1, 16, 8}), 8.0 * 512 * 512 * 2);
  EXPECT_DOUBLE_EQ(bytes_of({512, 1, 16, 8, true}), 512.0 * 512 * 2);
  EXPECT_DOUBLE_EQ(bytes_of({512, 1, 16, 8, false, Stored::kInt8}),
                   8.0 * 512 * 512);
  EXPECT_DOUBLE_EQ(bytes_of({512, 1, 16, 8, false, Stored::kPalette4}),
                   4.0 * 512 * 512);
}

TEST(Programs, WeightFilesHoldTheElements) {
  for (const Stored stored :
       {Stored::kFp16, Stored::kInt8, Stored::kPalette4, Stored::kW8A8}) {
    const TestProgram program =
        (*programs(ConvChain{96, 1, 32, 2, false, stored}))[0];
    const auto files = weight_files(program);
    ASSERT_EQ(files.size(), 2U);
    for (const WeightFile& file : program.weights) {
      const auto record = blob::Reader(files.at(file.path))
                              .read(blob::kFirstRecord, file.dtype, 96 * 96);
      EXPECT_TRUE(record) << to_string(record.error());
    }
    EXPECT_NE(files.begin()->second, std::next(files.begin())->second);
  }
}

TEST(Programs, RefuseSizesThatMakeNoProgram) {
  for (const Recipe& recipe :
       {Recipe(ConvChain{0, 1, 32, 1}), Recipe(ConvChain{64, 1, 32, 0}),
        Recipe(ConvChain{64, -1, 32, 1}),
        Recipe(ConvChain{int64_t{1} << 40, 1, 32, 1}),
        Recipe(Product{16, 0, 16}),
        Recipe(Product{int64_t{1} << 40, 1, int64_t{1} << 40}),
        Recipe(Stream{0, 1, 1}), Recipe(Layer{64, 96, 0, 32}),
        Recipe(Layer{64, 96, 2, 0})}) {
    EXPECT_FALSE(programs(recipe));
  }
}

TEST(Forecast, KnowsWeightsThatStay) {
  const auto works = [](bool shared) {
    const auto list = programs(ConvChain{512, 1, 64, 3, shared});
    return target::program_work((*list)[0].program).works;
  };
  const auto same = works(true);
  ASSERT_EQ(same.size(), 3U);
  EXPECT_EQ(same[0].weights, target::Weights::kStreamed);
  EXPECT_EQ(same[1].weights, target::Weights::kShared);
  EXPECT_EQ(same[2].weights, target::Weights::kShared);
  for (const target::Work& work : works(false)) {
    EXPECT_EQ(work.weights, target::Weights::kStreamed);
  }
  const auto product = programs(Product{64, 64, 64, true});
  EXPECT_EQ(target::program_work((*product)[0].program).works[0].weights,
            target::Weights::kRuntime);
}

TEST(Forecast, IsFiniteEverywhere) {
  for (const Case* one : all_cases()) {
    const auto list = programs(one->recipe);
    for (const char* chip : {"m1", "m3-pro", "m4", "m5-pro", "m6"}) {
      const auto predicted = forecast(*list, *target::find_chip(chip));
      ASSERT_TRUE(predicted) << to_string(predicted.error());
      const double us = predicted->microseconds;
      EXPECT_TRUE(std::isfinite(us) && us > 0) << chip << " " << one->key;
      EXPECT_LT(predicted->task_microseconds, us) << chip << " " << one->key;
    }
  }
}

TEST(Forecast, GrowsWithTheWork) {
  double before = 0;
  for (const int64_t depth : {1, 8, 64, 128}) {
    const double us = predicted_us(ConvChain{512, 64, 64, depth});
    EXPECT_GT(us, before);
    before = us;
  }
  before = 0;
  for (const int64_t channels : {256, 1024, 4096, 8192}) {
    const double us = predicted_us(ConvChain{channels, 1, 64, 1});
    EXPECT_GT(us, before);
    before = us;
  }
  before = 0;
  for (const int64_t sequence : {128, 256, 512}) {
    const double us = predicted_us(Layer{768, 2048, 12, sequence});
    EXPECT_GT(us, before);
    before = us;
  }
}

TEST(Forecast, OrdersWhatIsKnownToDiffer) {
  const ConvChain chain{512, 64, 64, 16};
  ConvChain int8 = chain;
  int8.stored = Stored::kW8A8;
  EXPECT_LT(predicted_us(int8), predicted_us(chain));
  EXPECT_LT(predicted_us(ConvChain{512, 1, 64, 64, true}),
            predicted_us(ConvChain{512, 1, 64, 64, false}));
  EXPECT_LT(predicted_us(ConvChain{2048, 1, 2048, 1}),
            predicted_us(Product{2048, 2048, 2048, true}));
  Figure typical;
  typical.statistic = Statistic::kTypical;
  EXPECT_LT(predicted_us(chain), predicted_us(chain, "m4", typical));
  Figure copies;
  copies.copies = true;
  EXPECT_LT(predicted_us(chain), predicted_us(chain, "m4", copies));
}

TEST(Forecast, OfAClosedEngineIsAnAnswerNo) {
  const auto list = programs(ConvChain{64, 1, 32, 1});
  const auto predicted = forecast(*list, *target::find_chip("a11"));
  ASSERT_FALSE(predicted);
  EXPECT_EQ(predicted.error().kind, ErrorKind::kAnswerNo);
}

TEST(Measure, RunsTheQuickSweeps) {
  cpu::ThreadPool pool(1);
  const auto device = emulator(pool);
  for (const Suite& suite : suites()) {
    for (const Case& one : suite.quick.cases) {
      const auto list = programs(one.recipe);
      MeasureOptions options;
      options.iterations = 2;
      options.seconds = 1e9;
      const auto measured = measure(*device, *list, options);
      ASSERT_TRUE(measured) << one.key << ": " << to_string(measured.error());
      EXPECT_EQ(measured->samples, 2);
      EXPECT_GT(measured->best_us, 0);
      EXPECT_LE(measured->best_us, measured->median_us);
    }
  }
}

TEST(Measure, StopsWhenToldAndTellsRefusals) {
  cpu::ThreadPool pool(1);
  const auto device = emulator(pool);
  const std::atomic<bool> stop = true;
  MeasureOptions options;
  options.interrupt = &stop;
  const auto stopped =
      measure(*device, *programs(ConvChain{32, 1, 32, 1}), options);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().label, "bench.interrupted");
  const auto deep = programs(ConvChain{32, 1, 32, 600});
  const auto refused = measure(*device, *deep, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kDevice);
}

TEST(Measure, EndsAfterTheRoundThatPassesTheTime) {
  cpu::ThreadPool pool(1);
  const auto device = emulator(pool);
  MeasureOptions options;
  options.iterations = 1000000;
  options.seconds = 0;
  const auto measured =
      measure(*device, *programs(ConvChain{32, 1, 32, 1}), options);
  ASSERT_TRUE(measured);
  EXPECT_EQ(measured->samples, 1);
}

}  // namespace
}  // namespace aneroid::suite
