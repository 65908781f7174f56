// All pipelines compute the same training step: the same gradients where
// rounding is fine enough to tell, the same losses in fp16.
#include <cmath>
#include <deque>
#include <numeric>

#include <gtest/gtest.h>

#include "aneroid/base/half.h"
#include "aneroid/base/random.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/device/device.h"
#include "aneroid/model/parameters.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/pipeline/surface_io.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/loss.h"
#include "aneroid/train/trainer.h"
#include "tests/golden/test_model.h"

namespace aneroid {
namespace {

using pipeline::Kind;

// A sequence that is no multiple of 32 goes with it.
model::ModelConfig tiny_config(bool tied = true, int64_t layers = 2) {
  return aneroid::tiny_config(32, 64, tied, layers);
}

// fp16 numbers, so that baking them loses nothing.
model::Weights lively_weights(const model::ModelConfig& config) {
  model::Weights weights = aneroid::lively_weights(config);
  for (model::Tensor& tensor : weights) {
    for (float& value : tensor.data) {
      value = to_float(to_half_even(static_cast<double>(value)));
    }
  }
  return weights;
}

struct Case {
  model::ModelConfig config;
  model::Weights weights;
  runtime::DeviceOptions device;
  train::TrainerOptions training;
};

// A trainer with the device and the threads it lives on.
struct Bench {
  cpu::ThreadPool pool{2};
  std::unique_ptr<device::Device> device;
  std::unique_ptr<train::Trainer> trainer;
  telemetry::TimeTable time;
};

std::unique_ptr<Bench> open(const Case& chosen, Kind kind) {
  auto bench = std::make_unique<Bench>();
  runtime::DeviceOptions options = chosen.device;
  options.allow_reload = kind == Kind::kDelta;
  bench->device =
      runtime::open_device("emulator", options, bench->pool).value();
  train::TrainerOptions training = chosen.training;
  training.pipeline.kind = kind;
  auto trainer = train::Trainer::create(
      *bench->device, bench->pool, chosen.config, chosen.weights, training);
  EXPECT_TRUE(trainer) << to_string(trainer.error());
  if (trainer) bench->trainer = std::move(*trainer);
  return bench;
}

Case tiny_setup(bool tied, int64_t sequence, const char* numerics) {
  Case chosen;
  chosen.config = tiny_config(tied);
  chosen.weights = lively_weights(chosen.config);
  chosen.device.numerics = numerics;
  chosen.device.compile_budget = 0;
  chosen.training.sequence = sequence;
  return chosen;
}

// |a - b| / |b| over a tensor.
double relative_error(const std::vector<float>& a,
                      const std::vector<float>& b) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    const double d = double{a[i]} - b[i];
    difference += d * d;
    norm += double{b[i]} * b[i];
  }
  return std::sqrt(difference / norm);
}

// The dynamic pipeline's gradients agree with finite differences
// (whole_model_test).
TEST(Pipelines, GradientsAgreeInReferenceNumerics) {
  for (const bool tied : {true, false}) {
    for (const double residual_scale : {1.0, 0.5}) {
      Case chosen = tiny_setup(tied, 20, "reference");
      chosen.training.pipeline.residual_scale = residual_scale;
      const data::Batch batch = batch_of(1, 20, chosen.config.vocab_size);
      const auto dynamic = open(chosen, Kind::kDynamic);
      const double expected =
          dynamic->trainer
              ->micro_step(batch.inputs, batch.targets, true, dynamic->time)
              .value();
      for (const Kind kind :
           {Kind::kStatic, Kind::kStaticExtras, Kind::kDelta}) {
        SCOPED_TRACE(testing::Message() << name(kind) << ", tied " << tied
                                        << ", scale " << residual_scale);
        const auto bench = open(chosen, kind);
        const auto loss = bench->trainer->micro_step(
            batch.inputs, batch.targets, true, bench->time);
        ASSERT_TRUE(loss) << to_string(loss.error());
        EXPECT_NEAR(*loss, expected, 1e-5);
        for (size_t p = 0; p < chosen.weights.size(); ++p) {
          EXPECT_LE(relative_error(bench->trainer->gradients()[p],
                                   dynamic->trainer->gradients()[p]),
                    1e-4)
              << chosen.weights[p].name;
        }
      }
    }
  }
}

// Notes every operand as it is told, and looks at it again when it may last be
// used: after kGradientsInFlight more, or at the end.
class PatientReader {
 public:
  explicit PatientReader(bool until_the_end) : until_the_end_(until_the_end) {}

  pipeline::GradientSink sink() {
    return {[this](const pipeline::WeightGradient& g) {
              tell({g.dy, g.x});
            },
            [this](const pipeline::GainGradient& g) {
              tell({g.dxn, g.x});
            }};
  }
  void finish() {
    while (!told_.empty()) look_again();
  }
  int64_t count() const { return count_; }

 private:
  struct Told {
    std::vector<pipeline::BlockView> blocks;
    std::vector<float> values;
  };
  static std::vector<float> read(
      const std::vector<pipeline::BlockView>& blocks) {
    std::vector<float> values;
    for (const pipeline::BlockView& block : blocks) {
      const auto at = values.size();
      values.resize(at + static_cast<size_t>(block.rows * block.columns));
      pipeline::read_rows(block.matrix, values.data() + at, block.columns,
                          block.rows, block.columns);
    }
    return values;
  }
  void tell(std::vector<pipeline::BlockView> blocks) {
    if (!until_the_end_ &&
        static_cast<int64_t>(told_.size()) == pipeline::kGradientsInFlight) {
      look_again();
    }
    std::vector<float> values = read(blocks);
    told_.push_back({std::move(blocks), std::move(values)});
    ++count_;
  }
  void look_again() {
    EXPECT_EQ(read(told_.front().blocks), told_.front().values)
        << "gradient " << count_ - static_cast<int64_t>(told_.size());
    told_.pop_front();
  }

  bool until_the_end_;
  std::deque<Told> told_;
  int64_t count_ = 0;
};

TEST(Pipelines, OperandsOfGradientsStayAsLongAsPromised) {
  const Case chosen = [] {
    Case made = tiny_setup(true, 20, "fast");
    made.config = tiny_config(true, 5);
    made.weights = lively_weights(made.config);
    return made;
  }();
  const data::Batch batch = batch_of(1, 20, chosen.config.vocab_size);
  for (const Kind kind : pipeline::all_kinds()) {
    for (const bool keep : {false, true}) {
      SCOPED_TRACE(testing::Message() << name(kind) << ", keep " << keep);
      cpu::ThreadPool pool(2);
      runtime::DeviceOptions options = chosen.device;
      options.allow_reload = kind == Kind::kDelta;
      const auto device = runtime::open_device("emulator", options, pool);
      const auto pipeline =
          pipeline::create({.kind = kind, .keep_operands = keep}, **device,
                           pool, chosen.config, 20);
      ASSERT_TRUE(pipeline) << to_string(pipeline.error());
      ASSERT_TRUE((*pipeline)->stage(chosen.weights));
      const float* const embedding = chosen.weights[0].data.data();
      for (int pass = 0; pass < 2; ++pass) {
        train::LossEvaluator loss(pool, chosen.config.vocab_size);
        telemetry::TimeTable time;
        ASSERT_TRUE(loss.run(**pipeline, batch.inputs, batch.targets, embedding,
                             64.0, time));
        PatientReader reader(keep);
        std::vector<float> dx;
        ASSERT_TRUE((*pipeline)->backward(reader.sink(), &dx));
        reader.finish();
        EXPECT_EQ(reader.count(), 5 * 9 + 2);
      }
    }
  }
}

TEST(Pipelines, LossesAgreeInFastNumerics) {
  Case chosen = tiny_setup(true, 32, "fast");
  chosen.training.schedule.peak = 3e-3;
  const data::Batch batch = batch_of(3, 32, chosen.config.vocab_size);
  const auto losses = [&](Kind kind) {
    const auto bench = open(chosen, kind);
    std::vector<double> result;
    for (int step = 0; step < 6; ++step) {
      const auto report = bench->trainer->step(batch, bench->time);
      EXPECT_TRUE(report) << to_string(report.error());
      if (!report) break;
      EXPECT_FALSE(report->skipped);
      result.push_back(report->loss);
    }
    return result;
  };
  const std::vector<double> expected = losses(Kind::kDynamic);
  EXPECT_LT(expected.back(), 0.9 * expected.front());
  for (const Kind kind : {Kind::kStatic, Kind::kStaticExtras, Kind::kDelta}) {
    const std::vector<double> found = losses(kind);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i] / expected[i], 1, 0.005)
          << name(kind) << ", step " << i;
    }
  }
}

// The published counts for twelve layers: 12 programs without weights and 60
// with, 13 and 86 with the extras, so one update per process of 119 programs.
TEST(Pipelines, CompileCountsAreThePublishedOnes) {
  struct Row {
    Kind kind;
    int weightless, first, calls;
  };
  for (const Row& row :
       {Row{Kind::kStatic, 12, 72, 72}, Row{Kind::kStaticExtras, 13, 99, 99}}) {
    SCOPED_TRACE(name(row.kind));
    Case chosen = tiny_setup(true, 32, "fast");
    chosen.config.num_hidden_layers = 12;
    chosen.weights = lively_weights(chosen.config);
    chosen.device.compile_budget = 119;
    const auto bench = open(chosen, row.kind);
    EXPECT_EQ(bench->device->compiled(), row.weightless);
    EXPECT_TRUE(bench->trainer->pipeline().can_stage());
    EXPECT_FALSE(bench->trainer->needs_restart());
    const data::Batch batch = batch_of(10, 32, chosen.config.vocab_size);
    ASSERT_TRUE(bench->trainer->step(batch, bench->time));
    EXPECT_EQ(bench->device->compiled(), row.first);
    EXPECT_TRUE(bench->trainer->needs_restart());
    const auto predicted = bench->trainer->pipeline().predicted();
    ASSERT_TRUE(predicted);
    int64_t calls = 0;
    for (const auto& program : predicted->programs) calls += program.calls;
    EXPECT_EQ(calls, row.calls);  // evaluates of a micro-step
    // Twelve layers more than the device lets a process compile.
    EXPECT_FALSE(bench->trainer->step(batch, bench->time));
  }
}

TEST(Pipelines, SmallModelsUseTheBudgetUp) {
  Case chosen = tiny_setup(true, 32, "fast");
  chosen.device.compile_budget = 119;
  const auto bench = open(chosen, Kind::kStatic);
  const data::Batch batch = batch_of(1, 32, chosen.config.vocab_size);
  int updates = 0;
  while (!bench->trainer->needs_restart()) {
    ASSERT_TRUE(bench->trainer->step(batch, bench->time));
    ++updates;
  }
  EXPECT_EQ(updates, 9);  // 2 + 9 x 10 programs, and 102 are over 100
  EXPECT_EQ(bench->device->compiled(), 92);
}

TEST(Pipelines, ABudgetTooSmallForOneUpdateIsRefused) {
  Case chosen = tiny_setup(true, 32, "fast");
  cpu::ThreadPool pool(1);
  auto device =
      runtime::open_device("emulator", {.compile_budget = 11}, pool).value();
  const auto made = pipeline::create({.kind = Kind::kStatic}, *device, pool,
                                     chosen.config, 32);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().label, "C090");
  EXPECT_NE(made.error().message.find("12 programs"), std::string::npos)
      << made.error().message;
}

TEST(Pipelines, OnlyStaticProgramsCanForgetPositions) {
  Case chosen = tiny_setup(true, 32, "reference");
  chosen.training.pipeline.rope = false;
  const data::Batch batch = batch_of(1, 32, chosen.config.vocab_size);
  const auto without = open(chosen, Kind::kStatic);
  chosen.training.pipeline.rope = true;
  const auto with = open(chosen, Kind::kStatic);
  const auto loss = [&](Bench& bench) {
    return bench.trainer
        ->micro_step(batch.inputs, batch.targets, true, bench.time)
        .value();
  };
  EXPECT_GT(std::fabs(loss(*without) - loss(*with)), 1e-3);
  const auto refused =
      pipeline::create({.kind = Kind::kDynamic, .rope = false}, *with->device,
                       with->pool, chosen.config, 32);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
}

// --- as published ------------------------------------------------------------

// A model initialised as the forerunners do it, at its first micro-step.
Case published_case(const char* numerics) {
  Case chosen;
  chosen.config = tiny_config();
  chosen.config.hidden_size = 256;
  chosen.config.num_hidden_layers = 6;
  chosen.config.intermediate_size = 512;
  chosen.config.num_attention_heads = 8;
  chosen.config.num_key_value_heads = 8;
  chosen.config.head_dim = 32;
  chosen.config.vocab_size = 500;
  chosen.config.max_position_embeddings = 256;
  chosen.weights = model::initialise(chosen.config, 1);
  Random random(42);
  for (model::Tensor& tensor : chosen.weights) {
    if (tensor.shape.size() == 1) continue;
    const bool up = tensor.shape[0] == chosen.config.intermediate_size;
    const double width = tensor.name == "model.embed_tokens.weight" ? 0.02
                         : up ? 1 / std::sqrt(512.0)
                              : 1 / std::sqrt(256.0);
    for (float& value : tensor.data) {
      value = static_cast<float>(width * (2 * random.uniform() - 1));
    }
  }
  chosen.device.numerics = numerics;
  chosen.training.sequence = 256;
  chosen.training.loss_scale = 1;
  chosen.training.loss_scale_growth = 0;
  chosen.training.pipeline.rope = false;
  return chosen;
}

// Unscaled, a gradient meets a weight with exponents that sum to less than -16,
// and the engine drops the product (rule N03): nothing comes back through any
// matrix of a layer. What the CPU multiplies from the residual stream alone,
// the gradients of Wo, W2 and the embedding, is left.
TEST(Published, WithoutLossScalingNothingComesBackThroughTheEngine) {
  const Case exact = published_case("exact");
  const data::Batch batch = batch_of(1, 256, exact.config.vocab_size);
  const auto gradients_of = [&](const Case& chosen) {
    const auto bench = open(chosen, Kind::kStatic);
    EXPECT_TRUE(bench->trainer->micro_step(batch.inputs, batch.targets, true,
                                           bench->time));
    std::vector<std::vector<float>> gradients;
    for (size_t p = 0; p < chosen.weights.size(); ++p) {
      gradients.push_back(bench->trainer->gradients()[p]);
    }
    return gradients;
  };
  const auto norm = [](const std::vector<float>& values) {
    double sum = 0;
    for (const float value : values) sum += double{value} * value;
    return std::sqrt(sum);
  };
  const auto unscaled = gradients_of(exact);
  const auto fast = gradients_of(published_case("fast"));
  Case scaled_case = published_case("exact");
  scaled_case.training.loss_scale = 8192;
  const auto scaled = gradients_of(scaled_case);
  const auto table = model::parameter_table(exact.config);
  for (size_t p = 0; p < table.size(); ++p) {
    SCOPED_TRACE(table[p].name);
    if (table[p].layer <= 0) {
      std::printf("%-46s exact %.2e  fast %.2e  exact scaled %.2e\n",
                  table[p].name.c_str(), norm(unscaled[p]), norm(fast[p]),
                  norm(scaled[p]) / 8192);
    }
    const bool past_the_engine = table[p].layer < 0 ||
                                 table[p].role == "o_proj" ||
                                 table[p].role == "down_proj";
    if (past_the_engine) {
      EXPECT_GT(norm(unscaled[p]), 0);
    } else {
      EXPECT_EQ(norm(unscaled[p]), 0);
    }
    // fp32 sums keep small products, and so does a scale.
    EXPECT_GT(norm(fast[p]), 0);
    EXPECT_GT(norm(scaled[p]), 0);
  }
}

// --- delta -------------------------------------------------------------------

TEST(Delta, CompilesOnceAndReloads) {
  Case chosen = tiny_setup(true, 32, "fast");
  chosen.device.compile_budget = 119;
  const auto bench = open(chosen, Kind::kDelta);
  const data::Batch batch = batch_of(1, 32, chosen.config.vocab_size);
  for (int step = 0; step < 12; ++step) {
    const auto report = bench->trainer->step(batch, bench->time);
    ASSERT_TRUE(report) << to_string(report.error());
  }
  EXPECT_EQ(bench->device->compiled(), 12);
  EXPECT_FALSE(bench->trainer->needs_restart());
}

TEST(Delta, IsRefusedWhereWeightsAreFrozen) {
  cpu::ThreadPool pool(1);
  auto device = runtime::open_device("emulator", {}, pool).value();
  const auto made = pipeline::create({.kind = Kind::kDelta}, *device, pool,
                                     tiny_config(), 32);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().label, "C082");
  EXPECT_EQ(made.error().kind, ErrorKind::kDevice);
}

// A device that says it reloads, accepts the files and keeps the old weights,
// as a published experiment observed.
class ForgetfulDevice final : public ForwardingDevice {
 public:
  explicit ForgetfulDevice(device::Device& real)
      : ForwardingDevice(real), info_(real.info()) {
    info_.can_reload_weights = true;
  }
  const device::DeviceInfo& info() const override { return info_; }

 private:
  device::DeviceInfo info_;
};

TEST(Delta, AReloadWithoutEffectIsNoticed) {
  const Case chosen = tiny_setup(true, 32, "fast");
  cpu::ThreadPool pool(1);
  auto frozen =
      runtime::open_device("emulator", {.faithful_silent = true}, pool).value();
  ForgetfulDevice device(*frozen);
  const auto made =
      pipeline::create({.kind = Kind::kDelta}, device, pool, chosen.config, 32);
  ASSERT_TRUE(made) << to_string(made.error());
  model::Weights weights = chosen.weights;
  ASSERT_TRUE((*made)->stage(weights));
  ASSERT_TRUE((*made)->stage(weights));  // the same: nothing to notice
  for (model::Tensor& tensor : weights) {
    for (float& value : tensor.data) value += 0.01F;
  }
  const Status stale = (*made)->stage(weights);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().label, "C082");
  EXPECT_NE(stale.error().message.find("no effect"), std::string::npos);
  // What follows is a compilation, which does put the weights in.
  EXPECT_TRUE((*made)->stage(weights));
}

}  // namespace
}  // namespace aneroid
