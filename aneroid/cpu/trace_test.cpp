#include "aneroid/cpu/trace.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "aneroid/cpu/thread_pool.h"

namespace aneroid::cpu {
namespace {

// Long enough for both threads to take part.
void linger() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

int64_t events_named(const Trace& trace, std::string_view name,
                     bool background) {
  int64_t count = 0;
  for (int t = 0; t < trace.threads(); ++t) {
    int64_t before = 0;
    for (const Trace::Event& event : trace.events(t)) {
      EXPECT_LE(before, event.start_ns) << "in order, without overlap";
      EXPECT_LE(event.start_ns, event.end_ns);
      before = event.end_ns;
      if (event.label >= 0 && trace.name(event.label) == name &&
          event.background == background) {
        ++count;
      }
    }
  }
  return count;
}

TEST(Trace, RecordsRunsAndBackgroundWorkUnderTheirLabels) {
  Trace trace(2);
  ThreadPool pool(2);
  pool.set_trace(&trace);
  {
    const ThreadPool::Label outer(pool, "outer");
    pool.run(8, [](int64_t, int) { linger(); });
    {
      const ThreadPool::Label inner(pool, "inner");
      pool.run(1, [](int64_t, int) { linger(); });
      pool.wait(pool.submit(4, [](int64_t, int) { linger(); }));
    }
    pool.run(1, [](int64_t, int) { linger(); });
  }
  pool.set_trace(nullptr);
  pool.run(4, [](int64_t, int) { linger(); });  // not recorded
  // Stretches of one run are one event per thread, unless a thread was held up.
  EXPECT_GE(events_named(trace, "outer", false), 2);
  EXPECT_LE(events_named(trace, "outer", false), 9);
  EXPECT_EQ(events_named(trace, "inner", false), 1);
  EXPECT_GE(events_named(trace, "inner", true), 1);
  EXPECT_EQ(events_named(trace, "outer", true), 0);
  EXPECT_EQ(trace.dropped(), 0);
  trace.clear();
  EXPECT_TRUE(trace.events(0).empty());
  EXPECT_EQ(trace.label("inner"), 1) << "names stay";
}

TEST(Trace, KeepsAtMostWhatItWasToldTo) {
  Trace trace(1, 3);
  ThreadPool pool(1);
  pool.set_trace(&trace);
  for (int i = 0; i < 5; ++i) {
    const ThreadPool::Label label(pool, i % 2 == 0 ? "even" : "odd");
    pool.run(1, [](int64_t, int) {});
  }
  EXPECT_EQ(trace.events(0).size(), 3U);
  EXPECT_EQ(trace.dropped(), 2);
}

}  // namespace
}  // namespace aneroid::cpu
