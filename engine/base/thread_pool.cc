#include "engine/base/thread_pool.h"

#include <pthread.h>
#include <pthreadpool.h>
#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <new>

#include "engine/base/clock.h"
#include "engine/base/log.h"
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
constexpr int kMaxThreads = 1024;
constexpr int kLowestNice = -20, kHighestNice = 19;

// Of the calling thread; 0 or an errno.
int SetOwnNice(int nice) {
#ifdef __linux__
  const auto id = static_cast<id_t>(syscall(SYS_gettid));
  return setpriority(PRIO_PROCESS, id, nice) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

// What each thread of a pool does once.
struct NiceCall {
  int nice;
  size_t threads;
  pthread_t caller;
  std::mutex mutex;
  std::condition_variable change;
  size_t here = 0;
  int error = 0;
};

// Nobody goes before all have come: no thread takes the call of another.
void SetNiceOnEach(void* context, size_t) {
  NiceCall& call = *static_cast<NiceCall*>(context);
  PT_TSAN_ACQUIRE(&call);
  const bool is_caller = pthread_equal(pthread_self(), call.caller) != 0;
  const int error = is_caller ? 0 : SetOwnNice(call.nice);
  std::unique_lock<std::mutex> lock(call.mutex);
  if (error != 0) call.error = error;
  if (++call.here == call.threads) call.change.notify_all();
  call.change.wait(lock, [&] { return call.here == call.threads; });
  lock.unlock();
  PT_TSAN_RELEASE(&call);
}

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
  const int wanted = threads_;
  if (threads_ > 1) threads_ = 1 + StartableThreads(threads_ - 1);
  if (threads_ > 1) {
    shares_.reset(new (std::nothrow) Share[static_cast<size_t>(threads_)]);
    if (shares_ != nullptr) pool_ = pthreadpool_create(static_cast<size_t>(threads_));
    if (pool_ == nullptr) threads_ = 1;
  }
  slots_ = threads_;
  if (threads_ < wanted) {
    Log(LogLevel::kWarning, "threads: the system starts no more (got %d, want %d)", threads_,
        wanted);
  }
}

ThreadPool::~ThreadPool() { pthreadpool_destroy(pool_); }

Status ThreadPool::SetNice(int nice) {
  if (pool_ == nullptr) return OkStatus();
  NiceCall call{.nice = nice, .threads = static_cast<size_t>(threads_), .caller = pthread_self()};
  PT_TSAN_RELEASE(&call);
  pthreadpool_parallelize_1d(pool_, SetNiceOnEach, &call, call.threads, 0);
  PT_TSAN_ACQUIRE(&call);
  if (call.error == 0) return OkStatus();
  const bool denied = call.error == EACCES || call.error == EPERM;
  return Status(denied ? StatusCode::kPermissionDenied : StatusCode::kUnimplemented,
                "threads: the nice value cannot be set", call.error);
}

ThreadPool::Turn::Turn(ThreadPool& pool, int slots) : pool_(pool) {
  std::unique_lock<std::mutex> lock(pool_.turns_);
  const uint64_t mine = pool_.asked_++;
  pool_.turn_ended_.wait(lock, [&] { return pool_.served_ == mine; });
  pool_.set_slots(slots);
}

ThreadPool::Turn::~Turn() {
  {
    const std::lock_guard<std::mutex> lock(pool_.turns_);
    ++pool_.served_;
  }
  pool_.turn_ended_.notify_all();
}

Result<std::shared_ptr<ThreadPool>> MakeThreadPool(const ThreadPoolOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return Status(StatusCode::kInvalidArgument, "threads: their number is out of range");
  }
  if (options.nice < kLowestNice || options.nice > kHighestNice) {
    return Status(StatusCode::kInvalidArgument, "threads: the nice value is out of range");
  }
  auto pool = std::make_shared<ThreadPool>(options.threads);
  if (options.nice != 0) PT_RETURN_IF_ERROR(pool->SetNice(options.nice));
  return pool;
}

int ThreadsOf(const ThreadPool& pool) { return pool.threads(); }

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
