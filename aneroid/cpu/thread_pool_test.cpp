#include "aneroid/cpu/thread_pool.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace aneroid::cpu {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, RunsEveryIndexOnce) {
  ThreadPool pool(GetParam());
  for (const int64_t count : {0, 1, 2, 7, 1000}) {
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::vector<std::atomic<int>> calls(static_cast<size_t>(count));
      pool.run(count, [&](int64_t i, int) { ++calls[static_cast<size_t>(i)]; });
      for (const auto& each : calls) ASSERT_EQ(each.load(), 1);
    }
  }
}

TEST_P(ThreadPoolTest, WorkersAreUniqueAmongRunningTasks) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> inside(static_cast<size_t>(pool.threads()));
  std::atomic<bool> shared = false;
  const ThreadPool::Task task = [&](int64_t, int worker) {
    ASSERT_GE(worker, 0);
    ASSERT_LT(worker, pool.threads());
    if (++inside[static_cast<size_t>(worker)] != 1) shared = true;
    std::this_thread::yield();
    --inside[static_cast<size_t>(worker)];
  };
  for (int repeat = 0; repeat < 20; ++repeat) {
    const auto job = pool.submit(50, task);
    pool.run(50, task);
    pool.wait(job);
  }
  EXPECT_FALSE(shared);
}

TEST_P(ThreadPoolTest, ResultsAreVisibleAfterRun) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> plain(64);  // not atomic: run() must order the writes
  for (int64_t round = 1; round < 300; ++round) {
    pool.run(64, [&](int64_t i, int) { plain[static_cast<size_t>(i)] += i; });
    for (int64_t i = 0; i < 64; ++i) {
      ASSERT_EQ(plain[static_cast<size_t>(i)], round * i);
    }
  }
}

TEST_P(ThreadPoolTest, NestedRunIsInlineOnTheSameWorker) {
  ThreadPool pool(GetParam());
  std::atomic<int> calls = 0;
  std::atomic<bool> moved = false;
  pool.run(20, [&](int64_t, int outer) {
    const auto thread = std::this_thread::get_id();
    pool.run(10, [&](int64_t, int inner) {
      ++calls;
      if (inner != outer || std::this_thread::get_id() != thread) moved = true;
    });
  });
  EXPECT_EQ(calls, 200);
  EXPECT_FALSE(moved);
}

TEST_P(ThreadPoolTest, WakesSleepingWorkers) {
  ThreadPool pool(GetParam());
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> calls = 0;
    pool.run(100, [&](int64_t, int) { ++calls; });
    ASSERT_EQ(calls, 100);
  }
}

TEST_P(ThreadPoolTest, BackgroundJobsRunInOrder) {
  ThreadPool pool(GetParam());
  std::atomic<int> order = 0;
  std::vector<int> started(4, -1);
  ThreadPool::JobHandle last;
  for (size_t job = 0; job < started.size(); ++job) {
    last = pool.submit(
        1, [&, job](int64_t, int) { started[job] = order++; }, last);
  }
  pool.wait(last);
  EXPECT_EQ(started, (std::vector<int>{0, 1, 2, 3}));
}

TEST_P(ThreadPoolTest, AfterWaitsForEveryTask) {
  ThreadPool pool(GetParam());
  for (int repeat = 0; repeat < 50; ++repeat) {
    std::vector<int> first(16);
    std::atomic<int> seen = 0;
    auto job = pool.submit(
        16, [&](int64_t i, int) { first[static_cast<size_t>(i)] = 1; });
    job = pool.submit(
        16, [&](int64_t i, int) { seen += first[static_cast<size_t>(15 - i)]; },
        job);
    pool.run(8, [](int64_t, int) {});
    pool.wait(job);
    ASSERT_EQ(seen, 16);
  }
}

TEST_P(ThreadPoolTest, EmptyJobIsItsPredecessor) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.submit(0, [](int64_t, int) {}), nullptr);
  const auto job = pool.submit(1, [](int64_t, int) {});
  EXPECT_EQ(pool.submit(
                0, [](int64_t, int) {}, job),
            job);
  pool.wait(job);
  pool.wait(job);  // again: done
  pool.wait(nullptr);
}

TEST_P(ThreadPoolTest, WaitAllAndDestructorFinishQueuedWork) {
  std::atomic<int> calls = 0;
  {
    ThreadPool pool(GetParam());
    for (int job = 0; job < 10; ++job) {
      pool.submit(5, [&](int64_t, int) { ++calls; });
    }
    pool.wait_all();
    EXPECT_EQ(calls, 50);
    pool.submit(5, [&](int64_t, int) { ++calls; });
  }
  EXPECT_EQ(calls, 55);
}

TEST_P(ThreadPoolTest, CountsBackgroundSeconds) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.take_background_seconds(), 0.0);
  pool.wait(pool.submit(2, [](int64_t, int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }));
  const double seconds = pool.take_background_seconds();
  EXPECT_GE(seconds, 0.010);
  EXPECT_LT(seconds, 5.0);
  EXPECT_EQ(pool.take_background_seconds(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 4));

TEST(ThreadPoolSize, DefaultsToTheCores) {
  EXPECT_GE(ThreadPool().threads(), 1);
  EXPECT_GE(ThreadPool(-3).threads(), 1);
  EXPECT_EQ(ThreadPool(2).threads(), 2);
}

// Two workers: while the caller is held in one foreground task, the other
// thread must run the foreground's remaining tasks before queued jobs.
TEST(ThreadPoolPriority, ForegroundComesFirst) {
  ThreadPool pool(2);
  std::atomic<bool> release = false;
  std::atomic<int> foreground_done = 0;
  std::atomic<int> seen_by_background = -1;
  // Keeps the worker away until the foreground run has begun.
  const auto gate = pool.submit(1, [&](int64_t, int) {
    while (!release) std::this_thread::yield();
  });
  const auto job = pool.submit(
      1, [&](int64_t, int) { seen_by_background = foreground_done.load(); });
  pool.run(8, [&](int64_t i, int) {
    if (i == 0) release = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ++foreground_done;
  });
  pool.wait(gate);
  pool.wait(job);
  EXPECT_GE(seen_by_background, 6);
}

}  // namespace
}  // namespace aneroid::cpu
