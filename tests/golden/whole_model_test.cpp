// A whole tiny model: gradients against finite differences, decoding against
// the engine, and one test for each of the forerunners' known bugs that shows
// only when everything runs together.
#include <array>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/infer/generator.h"
#include "aneroid/model/parameters.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/trainer.h"
#include "tests/golden/test_model.h"

namespace aneroid {
namespace {

// A sequence that is no multiple of 32 goes with it.
model::ModelConfig tiny_config(bool tied = true) {
  return aneroid::tiny_config(24, 40, tied);
}

using Sample = data::Batch;
Sample sample(int64_t length, int64_t vocab) {
  return batch_of(1, length, vocab);
}

std::unique_ptr<train::Trainer> make_trainer(device::Device& device,
                                             cpu::ThreadPool& pool,
                                             const model::ModelConfig& config,
                                             const model::Weights& weights,
                                             train::TrainerOptions options) {
  auto trainer = train::Trainer::create(device, pool, config, weights, options);
  EXPECT_TRUE(trainer) << to_string(trainer.error());
  return std::move(*trainer);
}

class FiniteDifferences : public testing::TestWithParam<bool> {};

TEST_P(FiniteDifferences, AgreeWithTheGradientOfEveryTensor) {
  const auto config = tiny_config(GetParam());
  const auto weights = lively_weights(config);
  const Sample s = sample(20, config.vocab_size);
  cpu::ThreadPool pool(2);
  auto device =
      runtime::open_device("emulator", {.numerics = "reference"}, pool).value();
  train::TrainerOptions options;
  options.sequence = 20;
  options.loss_scale = 1;
  auto trainer = make_trainer(*device, pool, config, weights, options);
  telemetry::TimeTable time;
  ASSERT_TRUE(trainer->micro_step(s.inputs, s.targets, true, time));
  const auto gradients = [&] {
    std::vector<std::vector<float>> copy;
    for (size_t p = 0; p < weights.size(); ++p) {
      copy.push_back(trainer->gradients()[p]);
    }
    return copy;
  }();
  data::Batch batch{1, 20, s.inputs, s.targets};
  const auto loss_with = [&](size_t p, double amount) {
    model::Weights moved = weights;
    double norm = 0;
    for (const float g : gradients[p]) norm += double{g} * g;
    norm = std::sqrt(norm);
    for (size_t i = 0; i < moved[p].data.size(); ++i) {
      moved[p].data[i] += static_cast<float>(amount * gradients[p][i] / norm);
    }
    trainer->restore(std::move(moved), trainer->first_moments(),
                     trainer->second_moments(), {0, 0, 1, 0});
    return trainer->evaluate(batch, time).value();
  };
  double worst = 0;
  for (size_t p = 0; p < weights.size(); ++p) {
    // Along the gradient the slope is its norm; Richardson's extrapolation
    // removes the cubic term.
    double norm = 0;
    for (const float g : gradients[p]) norm += double{g} * g;
    norm = std::sqrt(norm);
    constexpr double kStep = 0.003;
    const auto slope = [&](double h) {
      return (loss_with(p, h) - loss_with(p, -h)) / (2 * h);
    };
    const double found = (4 * slope(kStep) - slope(2 * kStep)) / 3;
    const double relative = std::fabs(found - norm) / norm;
    worst = std::max(worst, relative);
    EXPECT_LE(relative, 1e-3) << weights[p].name << ": gradient " << norm
                              << ", differences " << found;
  }
  std::printf("worst relative difference %.2e\n", worst);
}
INSTANTIATE_TEST_SUITE_P(TiedAndNot, FiniteDifferences,
                         testing::Values(true, false));

TEST(WholeModel, DecodingAgreesWithTheEngine) {
  // The decoder is written apart from the kernels: grouped heads (h div R),
  // rotation and norms must agree, or the cache would not fit.
  const auto config = tiny_config();
  const auto weights = lively_weights(config);
  cpu::ThreadPool pool(2);
  auto device =
      runtime::open_device("emulator",
                           {.numerics = "reference", .compile_budget = 0}, pool)
          .value();
  const Sample s = sample(40, config.vocab_size);
  auto stepped =
      infer::Generator::create(*device, pool, config, weights, 64).value();
  auto whole =
      infer::Generator::create(*device, pool, config, weights, 64).value();
  ASSERT_TRUE(stepped->prefill(std::span(s.inputs).first(7)));
  for (size_t i = 7; i < s.inputs.size(); ++i) {
    const auto one = stepped->decode(s.inputs[i]);
    ASSERT_TRUE(one);
    const auto all = whole->prefill(std::span(s.inputs).first(i + 1));
    ASSERT_TRUE(all);
    for (size_t v = 0; v < one->size(); ++v) {
      ASSERT_NEAR((*one)[v], (*all)[v], 2e-4) << "position " << i;
    }
  }
}

TEST(WholeModel, ThreadsDoNotChangeTheLosses) {
  const auto config = tiny_config();
  const Sample s = sample(33, config.vocab_size);
  data::Batch batch{1, 33, s.inputs, s.targets};
  std::vector<std::vector<double>> losses;
  for (const int threads : {1, 2, 4}) {
    cpu::ThreadPool pool(threads);
    auto device = runtime::open_device("emulator", {}, pool).value();
    train::TrainerOptions options;
    options.sequence = 33;
    options.schedule.peak = 1e-2;
    auto trainer =
        make_trainer(*device, pool, config, lively_weights(config), options);
    telemetry::TimeTable time;
    losses.emplace_back();
    for (int i = 0; i < 5; ++i) {
      losses.back().push_back(trainer->step(batch, time)->loss);
    }
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_LT(losses[0].back(), losses[0].front());
}

// tied embeddings, clipping
class FusedOptimizer : public testing::TestWithParam<std::tuple<bool, bool>> {};

TEST_P(FusedOptimizer, MakesTheUpdatesOfStoredGradients) {
  const auto [tied, clip] = GetParam();
  const auto config = tiny_config(tied);
  const auto weights = lively_weights(config);
  const Sample s = sample(33, config.vocab_size);
  const data::Batch batch{1, 33, s.inputs, s.targets};
  cpu::ThreadPool pool(3);
  auto device = runtime::open_device("emulator", {}, pool).value();
  train::TrainerOptions options;
  options.sequence = 33;
  options.schedule.peak = 1e-2;
  options.clip_norm = clip ? 0.3 : 0.0;
  auto stored = make_trainer(*device, pool, config, weights, options);
  options.fuse_optimizer = true;
  auto fused = make_trainer(*device, pool, config, weights, options);
  telemetry::TimeTable time;
  for (int i = 0; i < 4; ++i) {
    const auto want = stored->step(batch, time);
    const auto got = fused->step(batch, time);
    ASSERT_TRUE(want && got);
    EXPECT_NEAR(got->loss, want->loss, 1e-5 * want->loss) << "step " << i;
    EXPECT_NEAR(got->grad_norm, want->grad_norm, 1e-4 * want->grad_norm);
    EXPECT_GT(want->grad_norm, 0.3) << "clipping must matter here";
    EXPECT_FALSE(got->skipped);
  }
  double worst = 0;
  for (size_t p = 0; p < weights.size(); ++p) {
    for (size_t i = 0; i < weights[p].data.size(); ++i) {
      worst = std::max(worst, std::fabs(double{stored->weights()[p].data[i]} -
                                        fused->weights()[p].data[i]));
    }
    EXPECT_NE(fused->weights()[p].data, weights[p].data) << weights[p].name;
  }
  // Adam divides tiny gradients by tiny roots: a step of 1e-2 may differ by
  // some of its parts in ten thousand.
  EXPECT_LT(worst, 2e-4);
}

TEST_P(FusedOptimizer, SkipsAnUpdateAfterAnOverflow) {
  const auto [tied, clip] = GetParam();
  const auto config = tiny_config(tied);
  const auto weights = lively_weights(config);
  const Sample s = sample(33, config.vocab_size);
  cpu::ThreadPool pool(2);
  auto device = runtime::open_device("emulator", {}, pool).value();
  train::TrainerOptions options;
  options.sequence = 33;
  options.clip_norm = clip ? 1.0 : 0.0;
  options.loss_scale = 1e9;
  for (const bool fuse : {true, false}) {
    options.fuse_optimizer = fuse;
    auto trainer = make_trainer(*device, pool, config, weights, options);
    telemetry::TimeTable time;
    const auto report = trainer->step({1, 33, s.inputs, s.targets}, time);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->skipped);
    EXPECT_LT(trainer->loss_scale(), 1e9);
    for (size_t p = 0; p < weights.size(); ++p) {
      EXPECT_EQ(trainer->weights()[p].data, weights[p].data) << weights[p].name;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, FusedOptimizer,
                         testing::Combine(testing::Bool(), testing::Bool()));

TEST(WholeModel, AccumulationIsTheMeanOfItsParts) {
  const auto config = tiny_config();
  const auto weights = lively_weights(config);
  const Sample a = sample(32, config.vocab_size);
  Sample b = sample(32, config.vocab_size);
  std::swap(b.inputs, b.targets);
  cpu::ThreadPool pool(2);
  auto device =
      runtime::open_device("emulator", {.numerics = "reference"}, pool).value();
  train::TrainerOptions options;
  options.sequence = 32;
  auto trainer = make_trainer(*device, pool, config, weights, options);
  telemetry::TimeTable time;
  std::vector<double> expected;
  for (const Sample* s : std::array<const Sample*, 2>{&a, &b}) {
    ASSERT_TRUE(trainer->micro_step(s->inputs, s->targets, true, time));
    for (size_t p = 0; p < weights.size(); ++p) {
      expected.resize(weights.size());
      expected[p] += std::accumulate(trainer->gradients()[p].begin(),
                                     trainer->gradients()[p].end(), 0.0);
    }
  }
  ASSERT_TRUE(trainer->micro_step(a.inputs, a.targets, true, time));
  ASSERT_TRUE(trainer->micro_step(b.inputs, b.targets, false, time));
  for (size_t p = 0; p < weights.size(); ++p) {
    const double sum = std::accumulate(trainer->gradients()[p].begin(),
                                       trainer->gradients()[p].end(), 0.0);
    EXPECT_NEAR(sum, expected[p], 1e-4 * (1 + std::fabs(expected[p])));
  }
}

TEST(ForerunnerBugs, WithoutLossScalingGradientsDrownInRounding) {
  // A small model as it starts: the loss is a mean over positions and classes,
  // so its gradients are tiny: unscaled they fall among fp16's subnormals. (On
  // the engine itself, which also drops small products, they vanish.)
  auto config = tiny_config();
  config.hidden_size = 64;
  config.intermediate_size = 172;
  config.num_hidden_layers = 4;
  config.vocab_size = 32000;
  config.max_position_embeddings = 256;
  const auto weights = model::initialise(config, 3);
  const Sample s = sample(256, config.vocab_size);
  cpu::ThreadPool pool(2);
  auto fast = runtime::open_device("emulator", {}, pool).value();
  auto exact =
      runtime::open_device("emulator", {.numerics = "reference"}, pool).value();
  const auto table = model::parameter_table(config);
  const auto q = static_cast<size_t>(model::find_parameter(table, "q_proj", 0));
  const auto error = [&](double scale) {
    train::TrainerOptions options;
    options.sequence = 256;
    options.loss_scale = scale;
    telemetry::TimeTable time;
    auto a = make_trainer(*fast, pool, config, weights, options);
    auto b = make_trainer(*exact, pool, config, weights, options);
    EXPECT_TRUE(a->micro_step(s.inputs, s.targets, true, time));
    EXPECT_TRUE(b->micro_step(s.inputs, s.targets, true, time));
    double difference = 0;
    double norm = 0;
    for (size_t i = 0; i < a->gradients()[q].size(); ++i) {
      const double d = a->gradients()[q][i] - b->gradients()[q][i];
      difference += d * d;
      norm += double{b->gradients()[q][i]} * b->gradients()[q][i];
    }
    return std::sqrt(difference / norm);
  };
  const double scaled = error(1024 * 64);
  const double unscaled = error(1);
  std::printf("gradient error of layer 0's q_proj: scaled %.3f, not %.3f\n",
              scaled, unscaled);
  EXPECT_LT(scaled, 0.005);
  EXPECT_GT(unscaled, 10 * scaled);
}

TEST(ForerunnerBugs, OverflowSkipsTheStepAndHalvesTheScale) {
  const auto config = tiny_config();
  const auto weights = lively_weights(config);
  const Sample s = sample(32, config.vocab_size);
  data::Batch batch{1, 32, s.inputs, s.targets};
  cpu::ThreadPool pool(1);
  auto device = runtime::open_device("emulator", {}, pool).value();
  train::TrainerOptions options;
  options.sequence = 32;
  options.loss_scale = 0x1p24;
  auto trainer = make_trainer(*device, pool, config, weights, options);
  telemetry::TimeTable time;
  const auto first = trainer->step(batch, time);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->skipped);
  EXPECT_EQ(trainer->loss_scale(), 0x1p23);
  EXPECT_EQ(trainer->weights()[1].data, weights[1].data);
  int skipped = 1;
  while (skipped < 30 && trainer->step(batch, time)->skipped) ++skipped;
  EXPECT_LT(skipped, 30);
  EXPECT_NE(trainer->weights()[1].data, weights[1].data);
}

// A device whose programs fail after a while, as engines do.
class FailingDevice final : public ForwardingDevice {
 public:
  FailingDevice(device::Device& real, int good_runs)
      : ForwardingDevice(real), left_(good_runs) {}
  Result<std::unique_ptr<device::Executable>> compile(
      const device::ModelSource& source) override {
    ANEROID_ASSIGN(auto executable, ForwardingDevice::compile(source));
    return std::make_unique<Failing>(std::move(executable), left_);
  }

 private:
  class Failing final : public device::Executable {
   public:
    Failing(std::unique_ptr<device::Executable> real, int& left)
        : real_(std::move(real)), left_(left) {}
    const std::string& name() const override { return real_->name(); }
    const device::Signature& signature() const override {
      return real_->signature();
    }
    Status run(std::span<device::Surface* const> inputs,
               std::span<device::Surface* const> outputs) override {
      if (left_-- <= 0) {
        return device_error("C099", name(), "status 0x1d: inference error");
      }
      return real_->run(inputs, outputs);
    }

   private:
    std::unique_ptr<device::Executable> real_;
    int& left_;
  };
  int left_;
};

TEST(ForerunnerBugs, EveryFailedEvaluateStopsTheStep) {
  const auto config = tiny_config();
  const Sample s = sample(32, config.vocab_size);
  cpu::ThreadPool pool(2);
  auto real =
      runtime::open_device("emulator", {.compile_budget = 0}, pool).value();
  telemetry::TimeTable time;
  train::TrainerOptions options;
  options.sequence = 32;
  // Programs of one micro-step: two layers, norm and classifier, both ways.
  constexpr int kRuns = 2 * 2 + 2 + 2 + 2 * 2;
  for (int good = 0; good < kRuns; ++good) {
    FailingDevice device(*real, good);
    auto trainer =
        make_trainer(device, pool, config, lively_weights(config), options);
    const auto loss = trainer->micro_step(s.inputs, s.targets, true, time);
    ASSERT_FALSE(loss) << "evaluate " << good << " failed unnoticed";
    EXPECT_EQ(loss.error().label, "C099");
  }
  FailingDevice device(*real, kRuns);
  auto trainer =
      make_trainer(device, pool, config, lively_weights(config), options);
  EXPECT_TRUE(trainer->micro_step(s.inputs, s.targets, true, time));
}

}  // namespace
}  // namespace aneroid
