#include "aneroid/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <system_error>
#include <utility>

#include <hwy/cache_control.h>

#include "aneroid/cpu/trace.h"

namespace aneroid::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxThreads = 512;
// How long an idle thread looks for work before it sleeps: longer than the
// pause between two kernels of a program, shorter than anyone notices.
constexpr auto kSpin = std::chrono::microseconds(50);
constexpr int kPausesPerLook = 16;

// Which pool's task the current thread is inside, and as which worker.
struct Place {
  const ThreadPool* pool = nullptr;
  int worker = 0;
};
thread_local Place current_place;

class InTask {
 public:
  InTask(const ThreadPool* pool, int worker)
      : outer_(std::exchange(current_place, Place{pool, worker})) {}
  ~InTask() { current_place = outer_; }
  InTask(const InTask&) = delete;
  InTask& operator=(const InTask&) = delete;

 private:
  Place outer_;
};

// Spins until `ready()`, at most kSpin. Returns the last answer.
template <typename Ready>
bool spin_until(Ready ready) {
  const auto give_up = Clock::now() + kSpin;
  do {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (ready()) return true;
      hwy::Pause();
    }
  } while (Clock::now() < give_up);
  return ready();
}

}  // namespace

// Guarded by State::mutex, except the task itself while it runs.
struct ThreadPool::Job {
  Task task;
  int64_t count = 0;
  int64_t handed_out = 0;
  int64_t done = 0;
  int label = -1;
  uint64_t number = 0;
  JobHandle after;  // null once that job is done
  bool finished = false;
};

struct ThreadPool::State {
  // Foreground. The ticket is a run number (high half) and the count of tasks
  // not yet handed out (low half). A thread that takes a task by lowering the
  // ticket knows that its run() is still waiting for it, so the fields below,
  // written before the ticket, are valid until it reports done.
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<int64_t> unfinished{0};
  const Task* task = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  int label = -1;

  // Tasks of background jobs that may start now.
  alignas(64) std::atomic<int64_t> startable{0};
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  std::atomic<int64_t> background_ns{0};

  std::mutex mutex;
  std::condition_variable work;      // workers: there is something to do
  std::condition_variable progress;  // callers of run() and wait()
  std::deque<JobHandle> jobs;
  uint64_t submitted = 0;
  bool stop = false;

  bool has_foreground() const {
    return static_cast<uint32_t>(ticket.load()) != 0;
  }
  bool has_work() const { return has_foreground() || startable.load() > 0; }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  if (threads <= 0) {
    threads = static_cast<int>(std::thread::hardware_concurrency());
  }
  threads_ = std::clamp(threads, 1, kMaxThreads);
  workers_.reserve(static_cast<size_t>(threads_ - 1));
  try {
    while (static_cast<int>(workers_.size()) < threads_ - 1) start_worker();
  } catch (const std::system_error&) {
    threads_ = static_cast<int>(workers_.size()) + 1;
  }
}

void ThreadPool::start_worker() {
  const int worker = static_cast<int>(workers_.size()) + 1;
  workers_.emplace_back([this, worker] { worker_loop(worker); });
}

ThreadPool::~ThreadPool() {
  wait_all();
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int64_t count, const Task& task) {
  const bool nested = current_place.pool == this;
  if (nested || workers_.empty() || count <= 1) {
    // Part of the task it stands in, or a run of its own.
    const int worker = nested ? current_place.worker : 0;
    const int64_t start = trace_ != nullptr && !nested ? Trace::now() : 0;
    {
      const InTask here(this, worker);
      for (int64_t i = 0; i < count; ++i) task(i, worker);
    }
    if (start != 0) {
      trace_->add(worker, {label_, ++inline_runs_, false, start, Trace::now()});
    }
    return;
  }
  constexpr int64_t kSlice = std::numeric_limits<int32_t>::max();
  for (int64_t begin = 0; begin < count; begin += kSlice) {
    run_slice(begin, std::min(kSlice, count - begin), task);
  }
}

void ThreadPool::run_slice(int64_t begin, int64_t count, const Task& task) {
  State& s = *state_;
  s.task = &task;
  s.begin = begin;
  s.count = count;
  s.label = label_;
  s.unfinished.store(count);
  const uint64_t run_number = (s.ticket.load() >> 32) + 1;
  s.ticket.store((run_number << 32) | static_cast<uint64_t>(count));
  if (s.sleepers.load() > 0) {
    { const std::lock_guard lock(s.mutex); }
    s.work.notify_all();
  }

  while (work_foreground(0)) {
  }
  const auto all_done = [&s] { return s.unfinished.load() == 0; };
  if (spin_until(all_done)) return;
  std::unique_lock lock(s.mutex);
  s.caller_sleeps.store(true);
  s.progress.wait(lock, all_done);
  s.caller_sleeps.store(false);
}

void ThreadPool::perform(const Task& task, int64_t index, int worker, int label,
                         uint64_t run, bool background) {
  const InTask here(this, worker);
  if (trace_ == nullptr) {
    task(index, worker);
    return;
  }
  const int64_t start = Trace::now();
  task(index, worker);
  trace_->add(worker, {label, run, background, start, Trace::now()});
}

ThreadPool::Label::Label(ThreadPool& pool, std::string_view name)
    : pool_(pool), before_(pool.label_) {
  if (pool.trace_ != nullptr) pool.label_ = pool.trace_->label(name);
}

bool ThreadPool::work_foreground(int worker) {
  State& s = *state_;
  uint64_t ticket = s.ticket.load();
  do {
    if (static_cast<uint32_t>(ticket) == 0) return false;
  } while (!s.ticket.compare_exchange_weak(ticket, ticket - 1));
  const int64_t index =
      s.begin + s.count - static_cast<int64_t>(static_cast<uint32_t>(ticket));
  perform(*s.task, index, worker, s.label, ticket >> 32, false);
  if (s.unfinished.fetch_sub(1) == 1 && s.caller_sleeps.load()) {
    { const std::lock_guard lock(s.mutex); }
    s.progress.notify_all();
  }
  return true;
}

ThreadPool::JobHandle ThreadPool::submit(int64_t count, Task task,
                                         JobHandle after) {
  if (count <= 0) return after;
  auto job = std::make_shared<Job>();
  job->task = std::move(task);
  job->count = count;
  job->label = label_;
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    job->number = ++s.submitted;
    if (after != nullptr && !after->finished) {
      job->after = std::move(after);
    } else {
      s.startable.fetch_add(count);
    }
    s.jobs.push_back(job);
  }
  s.work.notify_all();
  return job;
}

bool ThreadPool::work_background(int worker) {
  State& s = *state_;
  if (s.startable.load() <= 0) return false;
  JobHandle job;
  int64_t index = 0;
  {
    const std::lock_guard lock(s.mutex);
    const auto found =
        std::find_if(s.jobs.begin(), s.jobs.end(), [](const JobHandle& each) {
          return each->after == nullptr && each->handed_out < each->count;
        });
    if (found == s.jobs.end()) return false;
    job = *found;
    index = job->handed_out++;
    s.startable.fetch_sub(1);
  }

  const auto start = Clock::now();
  perform(job->task, index, worker, job->label, job->number, true);
  s.background_ns.fetch_add(
      std::chrono::nanoseconds(Clock::now() - start).count());

  {
    const std::lock_guard lock(s.mutex);
    if (++job->done < job->count) return true;
    job->finished = true;
    job->task = nullptr;  // what it holds is released now, not with the handle
    s.jobs.erase(std::find(s.jobs.begin(), s.jobs.end(), job));
    for (const JobHandle& each : s.jobs) {
      if (each->after != job) continue;
      each->after = nullptr;
      s.startable.fetch_add(each->count);
    }
  }
  s.work.notify_all();
  s.progress.notify_all();
  return true;
}

void ThreadPool::wait(const JobHandle& job) {
  if (job == nullptr) return;
  State& s = *state_;
  for (;;) {
    {
      std::unique_lock lock(s.mutex);
      s.progress.wait(lock,
                      [&] { return job->finished || s.startable.load() > 0; });
      if (job->finished) return;
    }
    work_background(0);
  }
}

void ThreadPool::wait_all() {
  for (;;) {
    JobHandle last;
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->jobs.empty()) return;
      last = state_->jobs.back();
    }
    wait(last);
  }
}

double ThreadPool::take_background_seconds() {
  return static_cast<double>(state_->background_ns.exchange(0)) * 1e-9;
}

void ThreadPool::worker_loop(int worker) {
  State& s = *state_;
  for (;;) {
    if (work_foreground(worker) || work_background(worker)) continue;
    if (spin_until([&s] { return s.has_work(); })) continue;
    std::unique_lock lock(s.mutex);
    s.sleepers.fetch_add(1);
    s.work.wait(lock, [&s] { return s.stop || s.has_work(); });
    s.sleepers.fetch_sub(1);
    if (s.stop && !s.has_work()) return;
  }
}

}  // namespace aneroid::cpu
