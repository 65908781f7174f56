// One pool of threads for the engine, the weight gradients and the optimizer.
//
// Two kinds of work share the threads: run() blocks its caller, who helps;
// submit() queues background work that idle threads take up, so that weight
// gradients fill the cores while small kernels run. Foreground work comes
// first, checked between tasks: keep background tasks below a millisecond.
// Work is cut into tasks handed out one by one, so a slowed core simply does
// fewer. Results must not depend on which thread does a task.
//
// Threads: run(), wait() and wait_all() belong to the thread that made the
// pool; run() may also be called from inside a task, where it runs inline on
// that task's worker. submit() may be called from anywhere. Tasks must not
// throw and must not call wait().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace aneroid::cpu {

class Trace;

class ThreadPool {
 public:
  // `task` is called for every index once; `worker` is in [0, threads()) and
  // unique among the calls running at the same moment (for scratch memory).
  using Task = std::function<void(int64_t index, int worker)>;

  // Background work; wait() is required before the data it uses goes away.
  struct Job;
  using JobHandle = std::shared_ptr<Job>;

  // `threads` counts the caller of run(); 0 means one per available core.
  // When the system refuses threads the pool has as many as it got.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();  // finishes queued work
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // Records all work from here on; null ends it. The trace must be for at
  // least as many threads. Only while no work runs.
  void set_trace(Trace* trace) { trace_ = trace; }
  bool traced() const { return trace_ != nullptr; }
  // Names the work that its block hands out, for the trace. Costs next to
  // nothing without one. On the thread that made the pool.
  class Label {
   public:
    Label(ThreadPool& pool, std::string_view name);
    Label(const Label&) = delete;
    Label& operator=(const Label&) = delete;
    ~Label() { pool_.label_ = before_; }

   private:
    ThreadPool& pool_;
    int before_;
  };

  // Runs task(0..count) and returns when all are done.
  void run(int64_t count, const Task& task);

  // Queues task(0..count) behind foreground work and earlier jobs: jobs start
  // in the order submitted, overlapping only at their ends. A job with `after`
  // starts when that job is done (null: at once); later jobs may overtake it
  // meanwhile. With one thread it runs when waited for. A job without tasks
  // is `after` itself.
  JobHandle submit(int64_t count, Task task, JobHandle after = nullptr);
  // Helps until the job is done. Null handles are done.
  void wait(const JobHandle& job);
  void wait_all();

  // Seconds spent inside background tasks, summed over threads, since the
  // last call: how much was overlapped.
  double take_background_seconds();

 private:
  void start_worker();
  void worker_loop(int worker);
  bool work_foreground(int worker);
  // Calls the task, and records that.
  void perform(const Task& task, int64_t index, int worker, int label,
               uint64_t run, bool background);
  bool work_background(int worker);
  void run_slice(int64_t begin, int64_t count, const Task& task);

  int threads_;
  Trace* trace_ = nullptr;
  int label_ = -1;  // -1: none
  uint64_t inline_runs_ = 0;
  struct State;
  std::unique_ptr<State> state_;
  std::vector<std::thread> workers_;
};

}  // namespace aneroid::cpu
