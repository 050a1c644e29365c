#include "engine/base/thread_pool.h"

#include <pthread.h>
#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "engine/base/check.h"

// pthreadpool synchronizes in uninstrumented code; tell ThreadSanitizer about both edges of a call.
#if defined(__SANITIZE_THREAD__)
#define PT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PT_TSAN 1
#endif
#endif
#ifdef PT_TSAN
extern "C" void __tsan_acquire(void* addr);
extern "C" void __tsan_release(void* addr);
#define PT_TSAN_ACQUIRE(p) __tsan_acquire(p)
#define PT_TSAN_RELEASE(p) __tsan_release(p)
#else
#define PT_TSAN_ACQUIRE(p) (void)(p)
#define PT_TSAN_RELEASE(p) (void)(p)
#endif

namespace pocketune {
namespace {

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Loop {
  void (*item_fn)(const void*, int64_t, int);
  const void* fn;
  int64_t items;
  pthread_t caller;
  std::atomic<int64_t> next{0};
  // Of the caller's thread: when it found nothing left to do, and what it has done.
  int64_t caller_done = 0, caller_items = 0;
};

void RunSlot(void* context, size_t slot) {
  Loop* loop = static_cast<Loop*>(context);
  PT_TSAN_ACQUIRE(loop);
  int64_t done = 0;
  for (int64_t i; (i = loop->next.fetch_add(1, std::memory_order_relaxed)) < loop->items; ++done) {
    loop->item_fn(loop->fn, i, static_cast<int>(slot));
  }
  if (pthread_equal(pthread_self(), loop->caller) != 0) {
    loop->caller_done = Now();
    loop->caller_items += done;
  }
  PT_TSAN_RELEASE(loop);
}

}  // namespace

ThreadPool::ThreadPool(int threads) : threads_(std::max(threads, 1)), slots_(threads_) {
  if (threads_ > 1) {
    pool_ = pthreadpool_create(static_cast<size_t>(threads_));
    PT_CHECK(pool_ != nullptr);
  }
}

ThreadPool::~ThreadPool() { pthreadpool_destroy(pool_); }

void ThreadPool::Run(int64_t items, ItemFn item_fn, const void* fn) {
  const int64_t slots = std::min<int64_t>(slots_, items);
  if (pool_ == nullptr || slots <= 1 || back_off_.Rests()) {
    for (int64_t i = 0; i < items; ++i) item_fn(fn, i, 0);
    return;
  }
  Loop loop{item_fn, fn, items, pthread_self()};
  PT_TSAN_RELEASE(&loop);
  const int64_t begin = Now();
  pthreadpool_parallelize_1d(pool_, RunSlot, &loop, static_cast<size_t>(slots), 0);
  PT_TSAN_ACQUIRE(&loop);
  const int64_t busy = loop.caller_done - begin;
  back_off_.Record(Now() - loop.caller_done, busy / std::max<int64_t>(loop.caller_items, 1));
}

}  // namespace pocketune
