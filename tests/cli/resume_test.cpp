// A run that is killed again and again ends where an undisturbed one ends:
// the same losses to the last digit, the same checkpoint to the last byte.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <random>
#include <sstream>
#include <sys/wait.h>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kSteps = 40;
constexpr int kKills = 20;

// What must not depend on interruptions.
struct Ending {
  // "step 7 loss 5.25", in the digits of the file.
  std::vector<std::string> losses;
  std::string checkpoint;
};

// The number behind "loss": as it is written.
std::string loss_text(const std::string& line) {
  constexpr std::string_view kKey = "\"loss\":";
  const size_t begin = line.find(kKey) + kKey.size();
  return line.substr(begin, line.find_first_of(",}", begin) - begin);
}

class Resume : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    const auto begin = Clock::now();
    expect_good(fresh("calm"));
    wall_ms_ = Milliseconds(Clock::now() - begin).count();
    calm_ = ending("calm");
    ASSERT_EQ(calm_.losses.size(), kSteps + kSteps / 10);
  }

  std::vector<std::string> fresh(const std::string& run) const {
    return {"train",     "--model", "stories260k",
            "--steps",   "40",      "--accum",
            "2",         "--seq",   "32",
            "--threads", "2",       "--checkpoint-every",
            "3",         "--json",  "--validate-every",
            "10",        "--out",   path(run)};
  }
  std::vector<std::string> resumed(const std::string& run) const {
    return {"train", "--threads", "2", "--resume", "--out", path(run)};
  }

  bool has_config(const std::string& run) const {
    return fs::exists(path(run) + "/config.json");
  }
  std::string events(const std::string& run) const {
    return read(path(run) + "/events.jsonl");
  }
  // Checkpoints being written: until they are whole their names go on behind
  // the checkpoint's and end in the number of the process.
  int torn_checkpoints(const std::string& run, const std::string& end) const {
    constexpr std::string_view kName = "checkpoint.safetensors";
    int count = 0;
    std::error_code gone;  // files may vanish while we look
    for (fs::directory_iterator at(path(run), gone), last; !gone && at != last;
         at.increment(gone)) {
      const std::string name = at->path().filename().string();
      const bool torn = name.size() > kName.size() && name.starts_with(kName);
      count += torn && name.ends_with(end) ? 1 : 0;
    }
    return count;
  }
  bool writes_checkpoint(const std::string& run, const Running& running) const {
    return torn_checkpoints(run, std::to_string(running.pid)) > 0;
  }

  Ending ending(const std::string& run) const {
    Ending result;
    std::istringstream lines(events(run));
    for (std::string line; std::getline(lines, line);) {
      const Json event = Json::parse(line, nullptr, false);
      EXPECT_TRUE(event.is_object()) << line;
      const std::string kind = event.value("event", "");
      if (kind != "step" && kind != "validation") continue;
      result.losses.push_back(kind + " " +
                              std::to_string(event.value("step", 0)) +
                              " loss " + loss_text(line));
    }
    result.checkpoint = read(path(run) + "/checkpoint.safetensors");
    return result;
  }

  void expect_calm_ending(const std::string& run) const {
    const Ending found = ending(run);
    EXPECT_EQ(found.losses, calm_.losses);
    EXPECT_FALSE(calm_.checkpoint.empty());
    EXPECT_TRUE(found.checkpoint == calm_.checkpoint)
        << "the checkpoints differ";
  }

  // Waits until `come` holds, or the command has ended.
  static void wait_until(const Running& running,
                         const std::function<bool()>& come) {
    siginfo_t ended{};
    while (!come()) {
      ended.si_pid = 0;
      // WNOWAIT: wait_for() still gets the exit code.
      ::waitid(P_PID, static_cast<id_t>(running.pid), &ended,
               WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid == running.pid) return;
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

  double wall_ms_ = 0;  // of the undisturbed run
  Ending calm_;
};

TEST_F(Resume, SurvivesTwentyKills) {
  std::mt19937 random(20);  // NOLINT: the same moments every time
  const auto below = [&](double most) {
    return std::uniform_real_distribution<double>(0, most)(random);
  };
  int kills = 0;
  int finished = 0;
  int before_config = 0;
  int torn = 0;
  for (int attempt = 0; kills < kKills; ++attempt) {
    ASSERT_LT(attempt, 4 * kKills) << "the runs end before they are killed";
    std::vector<std::string> words = resumed("run");
    if (!has_config("run")) {
      expect_refusal(words, 3, "there is no run to resume here");
      words = fresh("run");
    }
    const size_t known = events("run").size();
    const Running running = start(words);
    const auto begin = Clock::now();
    const auto passed = [&](double ms) {
      return Milliseconds(Clock::now() - begin).count() >= ms;
    };
    switch (attempt % 3) {
      case 0: {  // at any moment, mostly of the start; once at once
        const double delay = attempt == 0 ? 1 : below(wall_ms_ / 2);
        wait_until(running, [&] { return passed(delay); });
        break;
      }
      case 1: {  // some steps later: about 600 bytes each
        const auto more = static_cast<size_t>(below(6000));
        wait_until(running,
                   [&] { return events("run").size() > known + more; });
        break;
      }
      default: {  // while a checkpoint is written
        const size_t from = known + static_cast<size_t>(below(3000));
        wait_until(running, [&] {
          return events("run").size() > from &&
                 writes_checkpoint("run", running);
        });
        break;
      }
    }
    ::kill(running.pid, SIGKILL);
    const Outcome outcome = wait_for(running);
    if (outcome.exit_code == 0) {
      ++finished;
      expect_calm_ending("run");
      fs::remove_all(path("run"));
      continue;
    }
    ASSERT_EQ(outcome.exit_code, 128 + SIGKILL) << outcome.err;
    ++kills;
    before_config += has_config("run") ? 0 : 1;
    torn += writes_checkpoint("run", running) ? 1 : 0;
  }
  if (has_config("run")) {
    expect_good(resumed("run"));
  } else {
    expect_good(fresh("run"));
  }
  expect_calm_ending("run");
  EXPECT_GT(before_config, 0);
  EXPECT_GT(torn, 0);
  RecordProperty("finished", finished);
  RecordProperty("before_config", before_config);
  RecordProperty("torn_checkpoints", torn);
}

TEST_F(Resume, LeavesNoTornCheckpointBehind) {
  const Running running = start(fresh("run"));
  wait_until(running, [&] { return writes_checkpoint("run", running); });
  ::kill(running.pid, SIGKILL);
  ASSERT_EQ(wait_for(running).exit_code, 128 + SIGKILL);
  expect_good(resumed("run"));
  EXPECT_EQ(torn_checkpoints("run", ""), 0);
  expect_calm_ending("run");
}

TEST_F(Resume, CtrlCEndsInOrder) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = signal == SIGINT ? "interrupted" : "terminated";
    std::vector<std::string> words = fresh(run);
    std::erase(words, "--json");
    const Running running = start(words);
    wait_until(running, [&] {
      return events(run).find("\"step\":5,") != std::string::npos;
    });
    ::kill(running.pid, signal);
    const Outcome outcome = wait_for(running);
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_NE(outcome.out.find("Interrupted. Continue with: aneroid train "
                               "--out " +
                               path(run) + " --resume\n"),
              std::string::npos)
        << outcome.out;
    // Step, its checkpoint, and the end: nothing after the last checkpoint.
    const std::vector<std::string> made = ending(run).losses;
    ASSERT_GE(made.size(), 5U);
    EXPECT_LT(made.size(), calm_.losses.size());
    EXPECT_TRUE(std::equal(made.begin(), made.end(), calm_.losses.begin()));
    EXPECT_NE(events(run).find("\"reason\":\"interrupted\""),
              std::string::npos);
    const std::string said = expect_good(resumed(run));
    EXPECT_NE(said.find("\nresumed     after step "), std::string::npos)
        << said;
    expect_calm_ending(run);
  }
}

TEST_F(Resume, GoesOnWithMoreSteps) {
  std::vector<std::string> more = resumed("calm");
  more.insert(more.end(), {"--steps", "42"});
  expect_good(more);
  const Ending found = ending("calm");
  // Two steps and the validation at the end; what was before stays.
  ASSERT_EQ(found.losses.size(), calm_.losses.size() + 3);
  EXPECT_TRUE(std::equal(calm_.losses.begin(), calm_.losses.end(),
                         found.losses.begin()));
  EXPECT_EQ(found.losses.back().rfind("validation 42 ", 0), 0U);
}

}  // namespace
}  // namespace aneroid::cli_test
