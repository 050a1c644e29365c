// One pool for everything: own kernels and XNNPACK share its threads.
#pragma once

#include <cstdint>

#include "engine/base/back_off.h"

struct pthreadpool;

namespace pocketune {

// Runs loops over work items on a fixed number of threads. The caller's thread takes part.
// Which thread runs an item is not fixed; what an item computes must not depend on it: results are
// the same bits for any number of threads as long as items write disjoint outputs. Where other
// programs keep the cores busy, loops run on the caller's thread alone for a while (BackOff).
// A loop allocates nothing. One loop at a time; not re-entrant.
class ThreadPool {
 public:
  // `threads` >= 1; with 1 no thread is started and loops run inline.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  // For XNNPACK, asked for each run; nullptr where it is to run on the caller's thread alone.
  pthreadpool* raw() { return pool_ == nullptr || back_off_.Rests() ? nullptr : pool_; }

  // Calls fn(item, slot) for each item in [0, items). `slot` < slots() tells concurrent calls
  // apart: scratch is indexed by it. Items are handed out in order, one at a time.
  template <typename Fn>
  void ParallelFor(int64_t items, const Fn& fn) {
    Run(
        items, [](const void* f, int64_t i, int slot) { (*static_cast<const Fn*>(f))(i, slot); },
        &fn);
  }

  // Highest number of items in flight at once. A plan's scratch is sized for a number of slots;
  // the session caps the pool with set_slots.
  int slots() const { return slots_; }
  void set_slots(int slots) { slots_ = slots < threads_ ? slots : threads_; }

 private:
  using ItemFn = void (*)(const void* fn, int64_t item, int slot);
  void Run(int64_t items, ItemFn item_fn, const void* fn);

  pthreadpool* pool_ = nullptr;
  BackOff back_off_;
  int threads_ = 1;
  int slots_ = 1;
};

}  // namespace pocketune
