// Training with AdamW's moments in bf16: it learns what training with fp32
// moments learns, the same bits however the work is divided, and goes on from a
// checkpoint as if nothing had happened.
#include "aneroid/model/moments.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <unistd.h>

#include <gtest/gtest.h>

#include "aneroid/model/checkpoint.h"
#include "aneroid/pipeline/create.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/telemetry/time_table.h"
#include "aneroid/train/run.h"
#include "aneroid/train/trainer.h"
#include "tests/golden/test_model.h"

namespace aneroid {
namespace {

constexpr int64_t kSequence = 32;

// A trainer with the device and the threads it lives on.
struct Bench {
  explicit Bench(int threads) : pool(threads) {}
  cpu::ThreadPool pool;
  std::unique_ptr<device::Device> device;
  std::unique_ptr<train::Trainer> trainer;
  telemetry::TimeTable time;

  std::vector<double> steps(const data::Batch& batch, int count) {
    std::vector<double> losses;
    for (int i = 0; i < count; ++i) {
      const auto report = trainer->step(batch, time);
      EXPECT_TRUE(report) << to_string(report.error());
      if (!report) break;
      losses.push_back(report->loss);
    }
    return losses;
  }
};

train::TrainerOptions with(DataType moments) {
  train::TrainerOptions options;
  options.sequence = kSequence;
  options.schedule.peak = 3e-3;
  options.beta2 = 0.999;
  options.moments = moments;
  return options;
}

std::unique_ptr<Bench> open(const train::TrainerOptions& options,
                            int threads = 2) {
  auto bench = std::make_unique<Bench>(threads);
  const model::ModelConfig config = tiny_config(32, 64);
  const bool reload = options.pipeline.kind == pipeline::Kind::kDelta;
  bench->device = runtime::open_device(
                      "emulator", {.compile_budget = 0, .allow_reload = reload},
                      bench->pool)
                      .value();
  auto trainer = train::Trainer::create(*bench->device, bench->pool, config,
                                        lively_weights(config), options);
  EXPECT_TRUE(trainer) << to_string(trainer.error());
  bench->trainer = std::move(*trainer);
  return bench;
}

void expect_same(const model::Moments& a, const model::Moments& b) {
  ASSERT_EQ(a.type(), b.type());
  ASSERT_EQ(a.size(), b.size());
  for (size_t row = 0; row < a.size(); ++row) {
    EXPECT_TRUE(std::ranges::equal(a.bytes(row), b.bytes(row))) << row;
  }
}

void expect_same(const train::Trainer& a, const train::Trainer& b) {
  for (size_t p = 0; p < a.weights().size(); ++p) {
    EXPECT_EQ(a.weights()[p].data, b.weights()[p].data) << a.weights()[p].name;
  }
  expect_same(a.first_moments(), b.first_moments());
  expect_same(a.second_moments(), b.second_moments());
}

TEST(BfloatMoments, LossesFollowThoseOfFp32InEveryPipeline) {
  const data::Batch batch = batch_of(2, kSequence, 50);
  for (const pipeline::Kind kind : pipeline::all_kinds()) {
    SCOPED_TRACE(name(kind));
    train::TrainerOptions options = with(DataType::kFp32);
    options.pipeline.kind = kind;
    const int count = kind == pipeline::Kind::kDynamic ? 120 : 20;
    const auto fp32 = open(options)->steps(batch, count);
    options.moments = DataType::kBf16;
    const auto bf16 = open(options)->steps(batch, count);
    ASSERT_EQ(bf16.size(), fp32.size());
    EXPECT_EQ(bf16[0], fp32[0]);
    EXPECT_EQ(bf16[1], fp32[1]);  // zero is exact, and w takes exact steps
    EXPECT_NE(bf16.back(), fp32.back());
    double worst = 0;
    for (size_t i = 0; i < fp32.size(); ++i) {
      worst = std::max(worst, std::fabs(bf16[i] - fp32[i]));
    }
    std::printf("%s: from %.3f to %.3f, with bf16 %.3f, furthest apart %.4f\n",
                std::string(name(kind)).c_str(), fp32.front(), fp32.back(),
                bf16.back(), worst);
    EXPECT_LT(worst, 0.002 * fp32.front());
    EXPECT_LT(fp32.back(), 0.9 * fp32.front()) << "nothing was learnt";
  }
}

TEST(BfloatMoments, ThreadsDoNotChangeABit) {
  for (const bool fuse : {false, true}) {
    train::TrainerOptions options = with(DataType::kBf16);
    options.fuse_optimizer = fuse;
    const data::Batch batch = batch_of(1, kSequence, 50);
    const auto one = open(options, 1);
    const auto losses = one->steps(batch, 6);
    for (const int threads : {2, 4}) {
      const auto more = open(options, threads);
      EXPECT_EQ(more->steps(batch, 6), losses) << threads;
      expect_same(*more->trainer, *one->trainer);
    }
  }
}

TEST(BfloatMoments, FusedUpdatesAreThoseOfStoredGradients) {
  train::TrainerOptions options = with(DataType::kBf16);
  options.clip_norm = 0;
  const data::Batch batch = batch_of(1, kSequence, 50);
  const auto stored = open(options);
  options.fuse_optimizer = true;
  const auto fused = open(options);
  const auto want = stored->steps(batch, 6);
  const auto got = fused->steps(batch, 6);
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], 2e-4 * want[i]);
  }
  // Gradients differ in their last bits, and few of those reach a moment: where
  // the noise were another, about every other one would differ.
  size_t different = 0;
  size_t all = 0;
  const auto& a = stored->trainer->second_moments();
  const auto& b = fused->trainer->second_moments();
  for (size_t row = 0; row < a.size(); ++row) {
    const auto x = model::to_floats(a.view(row));
    const auto y = model::to_floats(b.view(row));
    for (size_t i = 0; i < x.size(); ++i) different += x[i] != y[i] ? 1 : 0;
    all += x.size();
  }
  EXPECT_LT(different, all / 20) << "of " << all;
}

class ResumedMoments : public testing::Test {
 protected:
  ResumedMoments()
      : path_(std::filesystem::temp_directory_path() /
              ("aneroid_moments_" + std::to_string(::getpid()))) {}
  ~ResumedMoments() override { std::filesystem::remove(path_); }

  // As train::run() writes it.
  void save(const train::Trainer& trainer) const {
    const nlohmann::json state = {{"trainer", train::to_json(trainer.state())},
                                  {"data", loader_.state()}};
    const Status saved = model::save_checkpoint(
        path_, {trainer.config(), model::views(trainer.weights()),
                model::views(trainer.first_moments()),
                model::views(trainer.second_moments()), state});
    ASSERT_TRUE(saved) << to_string(saved.error());
  }
  void load(train::Trainer& trainer) {
    auto checkpoint = model::load_checkpoint(path_);
    ASSERT_TRUE(checkpoint) << to_string(checkpoint.error());
    const auto resumed =
        train::resume(std::move(*checkpoint), trainer, loader_);
    ASSERT_TRUE(resumed) << to_string(resumed.error());
  }

  std::filesystem::path path_;
  std::shared_ptr<const data::TokenShard> shard_ =
      std::make_shared<const data::TokenShard>(
          data::TokenShard::from_tokens(std::vector<int32_t>(400, 7), 50, "t")
              .value());
  data::DataLoader loader_ =
      data::DataLoader::create(shard_, shard_->all(), {.sequence = kSequence})
          .value();
  data::Batch batch_ = batch_of(2, kSequence, 50);
};

TEST_F(ResumedMoments, GoOnBitForBit) {
  for (const pipeline::Kind kind : pipeline::all_kinds()) {
    SCOPED_TRACE(name(kind));
    train::TrainerOptions options = with(DataType::kBf16);
    options.pipeline.kind = kind;
    const auto whole = open(options);
    const auto losses = whole->steps(batch_, 7);
    const auto before = open(options);
    before->steps(batch_, 4);
    save(*before->trainer);
    const auto after = open(options);
    load(*after->trainer);
    const auto rest = after->steps(batch_, 3);
    EXPECT_EQ(rest, std::vector<double>(losses.begin() + 4, losses.end()));
    expect_same(*after->trainer, *whole->trainer);
  }
}

TEST_F(ResumedMoments, AreConvertedToTheTypeAskedFor) {
  const auto table = model::parameter_table(tiny_config(32, 64));
  for (const auto& [from, to] : {std::pair(DataType::kFp32, DataType::kBf16),
                                 std::pair(DataType::kBf16, DataType::kFp32)}) {
    const auto before = open(with(from));
    const auto losses = before->steps(batch_, 4);
    save(*before->trainer);
    const auto after = open(with(to));
    load(*after->trainer);
    const train::Trainer& a = *after->trainer;
    const train::Trainer& b = *before->trainer;
    expect_same(a.first_moments(),
                model::converted(b.first_moments(), table, to));
    expect_same(a.second_moments(),
                model::converted(b.second_moments(), table, to));
    const auto rest = after->steps(batch_, 3);
    EXPECT_LT(rest.back(), losses.back());
    EXPECT_EQ(a.second_moments().type(), to);
  }
}

}  // namespace
}  // namespace aneroid
