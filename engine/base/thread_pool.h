// One pool for everything: own kernels and XNNPACK share its threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "engine/base/back_off.h"
#include "pocketune/thread_pool.h"

struct pthreadpool;

namespace pocketune {

// Runs loops over work items on a fixed number of threads. The caller's thread takes part.
// Each thread begins with a range of its own, the same in each loop of so many items: what it wrote
// in one loop is in its cache for the next. One that has nothing left takes from the others' ends.
// So which thread runs an item is not fixed, and what an item computes must not depend on it:
// results are the same bits for any number of threads as long as items write disjoint outputs.
// Where other programs keep the cores busy, loops run on the caller's thread alone for a while
// (BackOff). A loop allocates nothing. One loop at a time; not re-entrant. Who shares the pool with
// others runs loops in a Turn.
class ThreadPool {
 public:
  // `threads` >= 1; with 1 no thread is started and loops run inline. Fewer where the system starts
  // no more (StartableThreads), or has too little memory: threads() says how many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }

  // As long as it lives the pool is its owner's. Waits for all who have asked before, so that who
  // takes turn after turn starves nobody. Allocates nothing. Not re-entrant.
  class Turn {
   public:
    // Loops of this turn have so many slots at most.
    Turn(ThreadPool& pool, int slots);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    ThreadPool& pool_;
  };

  // Gives the pool's own threads, not the caller's, this nice value. Errors as MakeThreadPool.
  Status SetNice(int nice);
  // For XNNPACK, asked for each run; nullptr where it is to run on the caller's thread alone.
  pthreadpool* raw() { return RunsAlone() ? nullptr : pool_; }
  // Before loops that come after a pause: are they to run on the caller's thread alone?
  void Begin(bool alone) {
    alone_ = alone;
    back_off_.Wakes();
  }

  // Calls fn(item, slot) for each item in [0, items). `slot` < slots() tells concurrent calls
  // apart: scratch is indexed by it.
  template <typename Fn>
  void ParallelFor(int64_t items, const Fn& fn) {
    Run(
        items, [](const void* f, int64_t i, int slot) { (*static_cast<const Fn*>(f))(i, slot); },
        &fn);
  }

  // Highest number of items in flight at once. A plan's scratch is sized for a number of slots;
  // the session caps the pool with set_slots, or with its turn.
  int slots() const { return slots_; }
  void set_slots(int slots) { slots_ = slots < threads_ ? slots : threads_; }

 private:
  using ItemFn = void (*)(const void* fn, int64_t item, int slot);
  struct Share;  // the items of one slot
  struct Loop;
  void Run(int64_t items, ItemFn item_fn, const void* fn);
  static void RunSlot(void* loop, size_t slot);
  bool RunsAlone() { return pool_ == nullptr || alone_ || back_off_.Rests(); }

  pthreadpool* pool_ = nullptr;
  std::unique_ptr<Share[]> shares_;  // [threads_]
  BackOff back_off_;
  bool alone_ = false;
  int threads_ = 1;
  int slots_ = 1;

  std::mutex turns_;
  std::condition_variable turn_ended_;
  uint64_t asked_ = 0, served_ = 0;  // turns
};

}  // namespace pocketune
