#include "engine/base/thread_pool.h"

#include <pthreadpool.h>

#include <algorithm>
#include <atomic>

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

struct Loop {
  void (*item_fn)(const void*, int64_t, int);
  const void* fn;
  int64_t items;
  std::atomic<int64_t> next{0};
};

void RunSlot(void* context, size_t slot) {
  Loop* loop = static_cast<Loop*>(context);
  PT_TSAN_ACQUIRE(loop);
  for (int64_t i; (i = loop->next.fetch_add(1, std::memory_order_relaxed)) < loop->items;) {
    loop->item_fn(loop->fn, i, static_cast<int>(slot));
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
  if (pool_ == nullptr || slots <= 1) {
    for (int64_t i = 0; i < items; ++i) item_fn(fn, i, 0);
    return;
  }
  Loop loop{item_fn, fn, items};
  PT_TSAN_RELEASE(&loop);
  pthreadpool_parallelize_1d(pool_, RunSlot, &loop, static_cast<size_t>(slots), 0);
  PT_TSAN_ACQUIRE(&loop);
}

}  // namespace pocketune
