#include "engine/base/thread_pool.h"

#include <pthread.h>
#include <pthreadpool.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "engine/base/clock.h"
#include "engine/base/thread_probe.h"

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

constexpr size_t kCacheLine = 64;

}  // namespace

// Lines of two shares must not be one: their threads write them all the time.
struct alignas(kCacheLine) ThreadPool::Share {
  std::atomic<int64_t> left{0};  // may fall below 0
  int64_t begin = 0;             // of the slot's own thread alone
  std::atomic<int64_t> end{0};   // where others take

  void Set(int64_t first, int64_t last) {
    begin = first;
    end.store(last, std::memory_order_relaxed);
    left.store(last - first, std::memory_order_relaxed);
  }
  bool Claim() { return left.fetch_sub(1, std::memory_order_relaxed) > 0; }
  int64_t TakeFirst() { return begin++; }
  int64_t TakeLast() { return end.fetch_sub(1, std::memory_order_relaxed) - 1; }
};

struct ThreadPool::Loop {
  ItemFn item_fn;
  const void* fn;
  Share* shares;
  int slots;
  pthread_t caller;
  // Of the caller's thread: when it found nothing left to do, and what it has done.
  int64_t caller_done = 0, caller_items = 0;
};

void ThreadPool::RunSlot(void* context, size_t slot_index) {
  Loop* loop = static_cast<Loop*>(context);
  PT_TSAN_ACQUIRE(loop);
  const int slot = static_cast<int>(slot_index);
  Share& own = loop->shares[slot];
  int64_t done = 0;
  for (; own.Claim(); ++done) loop->item_fn(loop->fn, own.TakeFirst(), slot);
  for (int i = 1; i < loop->slots; ++i) {
    Share& other = loop->shares[(slot + i) % loop->slots];
    for (; other.Claim(); ++done) loop->item_fn(loop->fn, other.TakeLast(), slot);
  }
  if (pthread_equal(pthread_self(), loop->caller) != 0) {
    loop->caller_done = NowNs();
    loop->caller_items += done;
  }
  PT_TSAN_RELEASE(loop);
}

ThreadPool::ThreadPool(int threads) : threads_(std::max(threads, 1)) {
  if (threads_ > 1) threads_ = 1 + StartableThreads(threads_ - 1);
  if (threads_ > 1) {
    shares_.reset(new (std::nothrow) Share[static_cast<size_t>(threads_)]);
    if (shares_ != nullptr) pool_ = pthreadpool_create(static_cast<size_t>(threads_));
    if (pool_ == nullptr) threads_ = 1;
  }
  slots_ = threads_;
}

ThreadPool::~ThreadPool() { pthreadpool_destroy(pool_); }

void ThreadPool::Run(int64_t items, ItemFn item_fn, const void* fn) {
  const int64_t slots = std::min<int64_t>(slots_, items);
  if (slots <= 1 || RunsAlone()) {
    for (int64_t i = 0; i < items; ++i) item_fn(fn, i, 0);
    return;
  }
  for (int64_t i = 0; i < slots; ++i) {
    shares_[static_cast<size_t>(i)].Set(i * items / slots, (i + 1) * items / slots);
  }
  Loop loop{item_fn, fn, shares_.get(), static_cast<int>(slots), pthread_self()};
  PT_TSAN_RELEASE(&loop);
  const int64_t begin = NowNs();
  pthreadpool_parallelize_1d(pool_, RunSlot, &loop, static_cast<size_t>(slots), 0);
  PT_TSAN_ACQUIRE(&loop);
  const int64_t busy = loop.caller_done - begin, idle = NowNs() - loop.caller_done;
  // A caller that has done nothing says nothing about what the workers' items take.
  const int64_t own = loop.caller_items;
  back_off_.Record(idle, own == 0 ? idle : busy * (items - own) / own);
}

}  // namespace pocketune
