// The pipelines that compile at every update: one run over many processes,
// killed at any moment, also while one process becomes the next.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <random>
#include <sstream>
#include <sys/file.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_command.h"

namespace aneroid::cli_test {
namespace {

using Json = nlohmann::json;

constexpr int kSteps = 18;
constexpr int kKills = 20;

class Static : public CommandTest {
 protected:
  // Five layers: 5 programs and 25 more at each update, three updates in a
  // process of 100.
  std::vector<std::string> fresh(const std::string& run,
                                 const std::string& pipeline) const {
    return {"train",
            "--model",
            "stories260k",
            "--steps",
            std::to_string(kSteps),
            "--accum",
            "2",
            "--seq",
            "32",
            "--threads",
            "2",
            "--checkpoint-every",
            "4",
            "--validate-every",
            "5",
            "--json",
            "--pipeline",
            pipeline,
            "--out",
            path(run)};
  }
  std::vector<std::string> resumed(const std::string& run) const {
    return {"train",    "--threads", "2",      "--json",
            "--resume", "--out",     path(run)};
  }
  std::string events(const std::string& run) const {
    return read(path(run) + "/events.jsonl");
  }
  bool has_config(const std::string& run) const {
    return std::filesystem::exists(path(run) + "/config.json");
  }

  // Whole lines of the events, parsed.
  std::vector<Json> event_list(const std::string& run) const {
    std::vector<Json> list;
    std::istringstream lines(events(run));
    for (std::string line; std::getline(lines, line);) {
      Json event = Json::parse(line, nullptr, false);
      if (event.is_object()) list.push_back(std::move(event));
    }
    return list;
  }
  int count(const std::string& run, std::string_view kind) const {
    const auto list = event_list(run);
    return static_cast<int>(std::ranges::count_if(
        list, [&](const Json& event) { return event["event"] == kind; }));
  }

  // What must not depend on interruptions: losses in every digit of a double,
  // and weights and moments. The checkpoint's header holds times as well.
  struct Ending {
    std::vector<std::string> losses;
    std::string tensors;
    friend bool operator==(const Ending&, const Ending&) = default;
  };
  Ending ending(const std::string& run) const {
    Ending result;
    for (const Json& event : event_list(run)) {
      const std::string kind = event["event"];
      if (kind != "step" && kind != "validation") continue;
      result.losses.push_back(kind + " " + event["step"].dump() + " " +
                              event["loss"].dump());
    }
    const std::string file = read(path(run) + "/checkpoint.safetensors");
    uint64_t header = 0;
    if (file.size() > sizeof(header)) {
      std::memcpy(&header, file.data(), sizeof(header));
      result.tensors = file.substr(std::min(file.size(), header + 8));
    }
    return result;
  }
  void expect_same(const Ending& found, const Ending& expected) const {
    EXPECT_EQ(found.losses, expected.losses);
    EXPECT_FALSE(expected.tensors.empty());
    EXPECT_TRUE(found.tensors == expected.tensors) << "the weights differ";
  }

  static bool has_ended(const Running& running) {
    siginfo_t ended{};
    // WNOWAIT: wait_for() still gets the exit code.
    ::waitid(P_PID, static_cast<id_t>(running.pid), &ended,
             WEXITED | WNOHANG | WNOWAIT);
    return ended.si_pid == running.pid;
  }
  static void wait_until(const Running& running,
                         const std::function<bool()>& come) {
    while (!come() && !has_ended(running)) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }
};

TEST_F(Static, RestartsItselfAndLearnsWhatTheDynamicPipelineLearns) {
  const Json summary = Json::parse(expect_good(fresh("static", "static")));
  // Three updates in each of six processes, which leave the last validation to
  // a seventh.
  EXPECT_EQ(summary["totals"]["restarts"], 6);
  // 5 in each process; 25 for each update and for the last validation.
  EXPECT_EQ(summary["totals"]["compiles"], 7 * 5 + (kSteps + 1) * 25);
  EXPECT_GE(summary["totals"]["wall_s"].get<double>(),
            summary["totals"]["compile_s"].get<double>() +
                summary["totals"]["train_s"].get<double>());
  EXPECT_EQ(count("static", "restart"), 6);
  EXPECT_EQ(count("static", "run"), 7);
  EXPECT_EQ(count("static", "end"), 1);
  const Ending found = ending("static");
  ASSERT_EQ(found.losses.size(), kSteps + 4U);
  EXPECT_EQ(summary["first_loss"].dump(),
            found.losses.front().substr(std::strlen("step 1 ")));

  expect_good(fresh("dynamic", "dynamic"));
  const auto losses = [&](const std::string& run) {
    std::vector<double> list;
    for (const Json& event : event_list(run)) {
      if (event["event"] == "step") list.push_back(event["loss"]);
    }
    return list;
  };
  const std::vector<double> same = losses("dynamic");
  const std::vector<double> own = losses("static");
  ASSERT_EQ(own.size(), same.size());
  for (size_t i = 0; i < own.size(); ++i) {
    EXPECT_NEAR(own[i] / same[i], 1, 0.005) << "step " << i + 1;
  }
}

TEST_F(Static, ReloadingIsCompilingBitForBit) {
  expect_good(fresh("static", "static"));
  std::vector<std::string> words = fresh("delta", "delta");
  expect_refusal(words, 4, "[C082]");
  words.emplace_back("--allow-reload");
  const Json summary = Json::parse(expect_good(words));
  EXPECT_EQ(summary["totals"]["restarts"], 0);
  EXPECT_EQ(summary["totals"]["compiles"], 30);
  expect_same(ending("delta"), ending("static"));
}

TEST_F(Static, SurvivesTwentyKills) {
  expect_good(fresh("calm", "static"));
  const Ending calm = ending("calm");
  const auto last_event = [&] {
    const std::vector<Json> list = event_list("run");
    return list.empty() ? std::string() : list.back().value("event", "");
  };
  std::mt19937 random(9);  // NOLINT: the same moments every time
  const auto below = [&](double most) {
    return std::uniform_real_distribution<double>(0, most)(random);
  };
  const auto sleep = [&](double most_ms) {
    std::this_thread::sleep_for(
        std::chrono::duration<double, std::milli>(below(most_ms)));
  };
  int kills = 0;
  int between = 0;  // after a process had ended, before the next had begun
  for (int attempt = 0; kills < kKills; ++attempt) {
    ASSERT_LT(attempt, 5 * kKills) << "the runs end before they are killed";
    const Running running =
        start(has_config("run") ? resumed("run") : fresh("run", "static"));
    const size_t known = events("run").size();
    if (attempt % 2 == 0) {  // at any moment
      sleep(300);
    } else {  // around the next exec
      const int restarts = count("run", "restart");
      wait_until(running, [&] {
        return events("run").size() != known &&
               count("run", "restart") > restarts;
      });
      if (attempt % 4 == 1) sleep(20);
    }
    ::kill(running.pid, SIGKILL);
    const Outcome outcome = wait_for(running);
    if (outcome.exit_code == 0) {
      expect_same(ending("run"), calm);
      std::filesystem::remove_all(path("run"));
      continue;
    }
    ASSERT_EQ(outcome.exit_code, 128 + SIGKILL) << outcome.err;
    ++kills;
    between += last_event() == "restart" ? 1 : 0;
  }
  expect_good(has_config("run") ? resumed("run") : fresh("run", "static"));
  expect_same(ending("run"), calm);
  EXPECT_GT(between, 0);
  RecordProperty("between", between);
}

TEST_F(Static, CtrlCWhileRestartingEndsInOrder) {
  expect_good(fresh("calm", "static"));
  for (const int delay_ms : {0, 2, 5, 10}) {
    const std::string run = "run" + std::to_string(delay_ms);
    const Running running = start(fresh(run, "static"));
    wait_until(running, [&] { return count(run, "restart") > 0; });
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    ::kill(running.pid, SIGINT);
    const Outcome outcome = wait_for(running);
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(Json::parse(outcome.out)["interrupted"], true);
    expect_good(resumed(run));
    expect_same(ending(run), ending("calm"));
  }
}

TEST_F(Static, TheFolderIsLockedFromTheFirstProcessToTheLast) {
  const Running running = start(fresh("run", "static"));
  wait_until(running, [&] { return count("run", "step") > 0; });
  const int lock = ::open((path("run") + "/lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  int refused = 0;
  while (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ++refused;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  // The lock is free only once the run has said that it is over.
  EXPECT_EQ(count("run", "end"), 1);
  EXPECT_EQ(count("run", "restart"), 6);
  EXPECT_GT(refused, 0);
  ::close(lock);
  EXPECT_EQ(wait_for(running).exit_code, 0);
}

TEST_F(Static, RefusesWhatCannotBe) {
  expect_refusal(fresh("run", "magic"), 2,
                 "dynamic, static, static-extras, delta");
  std::vector<std::string> words = fresh("run", "static");
  words.insert(words.end(), {"--compile-budget", "29"});
  expect_refusal(words, 4, "5 layers need 30 programs");
  words = fresh("run", "dynamic");
  words.emplace_back("--no-rope");
  expect_refusal(words, 2, "--no-rope");
  words = fresh("run", "static");
  words.emplace_back("--no-ane-extras");
  expect_refusal(words, 2, "static-extras");
}

TEST_F(Static, AsPublishedIsAStartingPoint) {
  expect_good({"train", "--model", "stories260k", "--pipeline", "static",
               "--as-published", "--beta2", "0.9", "--accum", "2", "--seq",
               "32", "--steps", "2", "--json", "--out", path("run")});
  const Json flags = Json::parse(read(path("run") + "/config.json"))["flags"];
  EXPECT_EQ(flags["rope"], false);
  EXPECT_EQ(flags["loss_scale"], 1);
  EXPECT_EQ(flags["loss_scale_growth"], 0);
  EXPECT_EQ(flags["init"], "published");
  EXPECT_EQ(flags["lr"], 3e-4);
  EXPECT_EQ(flags["clip"], 0);
  EXPECT_EQ(flags["weight_decay"], 0);
  EXPECT_EQ(flags["beta2"], 0.9);  // what was given counts
  EXPECT_EQ(flags["accum"], 2);
}

}  // namespace
}  // namespace aneroid::cli_test
