// Runs that ask to be continued by another process: bit for bit what one
// process would have computed, and no endless loop when compiling cannot
// succeed. A process is played by a device and a trainer of its own.
#include <filesystem>
#include <sstream>
#include <unistd.h>

#include <gtest/gtest.h>

#include "aneroid/base/random.h"
#include "aneroid/cpu/thread_pool.h"
#include "aneroid/data/loader.h"
#include "aneroid/device/device.h"
#include "aneroid/model/checkpoint.h"
#include "aneroid/runtime/runtime.h"
#include "aneroid/telemetry/event_reader.h"
#include "aneroid/telemetry/event_writer.h"
#include "aneroid/train/run.h"
#include "tests/golden/test_model.h"

namespace aneroid {
namespace {

// 2 programs, and 10 for each update.
model::ModelConfig tiny_config() { return aneroid::tiny_config(32, 64); }

// Compiles so many programs and no more, as a service that has run out of
// something does.
class WearyDevice final : public ForwardingDevice {
 public:
  WearyDevice(device::Device& real, int programs)
      : ForwardingDevice(real), left_(programs) {}
  Result<std::unique_ptr<device::Executable>> compile(
      const device::ModelSource& source) override {
    if (left_-- <= 0) {
      return device_error("C098", source.name, "ANECCompile() FAILED");
    }
    return ForwardingDevice::compile(source);
  }

 private:
  int left_;
};

class Restart : public testing::Test {
 protected:
  static constexpr int64_t kUnlimited = 1 << 30;

  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("aneroid_restart_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    Random random(3);
    std::vector<int32_t> ids(4000);
    for (int32_t& id : ids) id = static_cast<int32_t>(random.below(50));
    tokens_ = std::make_shared<const data::TokenShard>(
        data::TokenShard::from_tokens(ids, 50, "test").value());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // What one process does in the folder, until it ends or wants another.
  Result<train::RunSummary> process(int64_t programs, int budget = 119) const {
    cpu::ThreadPool pool(2);
    auto real =
        runtime::open_device("emulator", {.compile_budget = budget}, pool)
            .value();
    WearyDevice device(*real, static_cast<int>(programs));
    const auto config = tiny_config();
    train::TrainerOptions options;
    options.pipeline.kind = pipeline::Kind::kStatic;
    options.sequence = 32;
    options.schedule.peak = 3e-3;
    ANEROID_ASSIGN(
        const auto trainer,
        train::Trainer::create(device, pool, config,
                               model::initialise(config, 1), options));
    const auto loader = [&](data::Order order, data::TokenRange range) {
      return data::DataLoader::create(
                 tokens_, range,
                 {.batch = 2, .sequence = 32, .order = order, .seed = 7})
          .value();
    };
    const auto split = data::split_validation(*tokens_, 0.2, 32).value();
    auto training = loader(data::Order::kRandom, split.train);
    auto validation = loader(data::Order::kSequential, split.validation);
    train::RunTotals totals;
    const auto checkpoint = train::checkpoint_path(folder_);
    if (std::filesystem::exists(checkpoint)) {
      ANEROID_ASSIGN(auto loaded, model::load_checkpoint(checkpoint));
      ANEROID_ASSIGN(totals,
                     train::resume(std::move(loaded), *trainer, training));
    }
    const auto events_path = train::events_path(folder_);
    ANEROID_TRY(
        telemetry::truncate_after_step(events_path, trainer->state().step));
    ANEROID_ASSIGN(auto events,
                   telemetry::EventWriter::open(
                       events_path, telemetry::EventWriter::Mode::kAppend));
    return train::run(*trainer, training, &validation, events,
                      {.folder = folder_,
                       .steps = 20,
                       .checkpoint_every = 0,
                       .validate_every = 5,
                       .validation_sequences = 2},
                      {}, totals);
  }

  // "step 7 5.25" and "validation 5 5.75" in the order of the file.
  std::vector<std::string> losses() const {
    std::vector<std::string> list;
    const auto log = telemetry::read_events(train::events_path(folder_));
    for (const telemetry::Event& event : log.value().events) {
      const auto add = [&](const auto* made) {
        if (made == nullptr) return;
        std::ostringstream text;
        text.precision(17);
        text << telemetry::name(event) << ' ' << made->step << ' '
             << made->loss;
        list.push_back(text.str());
      };
      add(std::get_if<telemetry::StepEvent>(&event));
      add(std::get_if<telemetry::ValidationEvent>(&event));
    }
    return list;
  }

  std::filesystem::path folder_;
  std::shared_ptr<const data::TokenShard> tokens_;
};

TEST_F(Restart, ManyProcessesComputeWhatOneDoes) {
  const auto whole = process(kUnlimited, 0);
  ASSERT_TRUE(whole) << to_string(whole.error());
  EXPECT_FALSE(whole->restart);
  const std::vector<std::string> expected = losses();
  ASSERT_EQ(expected.size(), 24U);
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);

  int processes = 0;
  for (bool more = true; more;) {
    ASSERT_LT(++processes, 10);
    const auto summary = process(kUnlimited);
    ASSERT_TRUE(summary) << to_string(summary.error());
    more = summary->restart;
    EXPECT_EQ(summary->totals.restarts, more ? processes : processes - 1);
    if (!more) {
      EXPECT_EQ(summary->last_step, 20);
    }
  }
  // 9 updates in each, and the last validation needs the weights once more.
  EXPECT_EQ(processes, 3);
  EXPECT_EQ(losses(), expected);
}

// A service that fails after a while: the next process begins with a fresh
// one, so the run goes on.
TEST_F(Restart, AFailedCompilationIsTriedAgainByAnotherProcess) {
  int processes = 0;
  for (bool more = true; more;) {
    ASSERT_LT(++processes, 20);
    const auto summary = process(35);  // three updates, and half a fourth
    ASSERT_TRUE(summary) << to_string(summary.error());
    more = summary->restart;
    EXPECT_EQ(summary->totals.failed_starts, 0);
  }
  EXPECT_EQ(processes, 7);
  EXPECT_EQ(losses().size(), 24U);
  const auto log = telemetry::read_events(train::events_path(folder_)).value();
  const auto* restart = [&]() -> const telemetry::RestartEvent* {
    for (const telemetry::Event& event : log.events) {
      if (const auto* found = std::get_if<telemetry::RestartEvent>(&event)) {
        return found;
      }
    }
    return nullptr;
  }();
  ASSERT_NE(restart, nullptr);
  EXPECT_EQ(restart->reason, "compile failed");
  EXPECT_EQ(restart->step, 3);
  EXPECT_NE(restart->message.find("C098"), std::string::npos);
}

// Nothing compiles at all: one more process, then an error, not a loop.
TEST_F(Restart, TwoProcessesThatCompileNothingAreEnough) {
  const auto first = process(11);  // the weightless, and 9 of 10
  ASSERT_TRUE(first) << to_string(first.error());
  EXPECT_TRUE(first->restart);
  EXPECT_EQ(first->totals.failed_starts, 1);
  const auto second = process(11);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kDevice);  // exit code 4
  EXPECT_EQ(second.error().label, "C098");
  ASSERT_EQ(second.error().notes.size(), 1U);
  EXPECT_NE(second.error().notes[0].find("2 processes"), std::string::npos);
  // Once the cause is gone, the run goes on from where it was.
  const auto third = process(kUnlimited);
  ASSERT_TRUE(third) << to_string(third.error());
  EXPECT_EQ(third->totals.failed_starts, 0);
  EXPECT_EQ(third->last_step, 9);
}

TEST_F(Restart, TotalsThatCannotBeAreRefused) {
  const auto read = [](const char* text) {
    return train::run_totals_from_json(nlohmann::json::parse(text));
  };
  EXPECT_EQ(read(R"({})").value().restarts, 0);
  for (const char* bad :
       {R"({"totals":7})", R"({"totals":{}})",
        R"({"totals":{"wall_s":-1,"compile_s":0,"train_s":0,"restarts":0,)"
        R"("compiles":0,"failed_starts":0}})",
        R"({"totals":{"wall_s":"x","compile_s":0,"train_s":0,"restarts":0,)"
        R"("compiles":0,"failed_starts":0}})"}) {
    const auto refused = read(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().label, "checkpoint");
  }
  train::RunTotals totals;
  totals.restarts = 3;
  totals.wall_s = 1.5;
  const auto back =
      train::run_totals_from_json({{"totals", train::to_json(totals)}});
  EXPECT_EQ(back.value().restarts, 3);
  EXPECT_EQ(back.value().wall_s, 1.5);
}

}  // namespace
}  // namespace aneroid
