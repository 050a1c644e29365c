#include "engine/base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

namespace pocketune {
namespace {

// Every item once, whatever the system does with the workers.
void ExpectEachOnce(ThreadPool* pool, int64_t items) {
  std::vector<std::atomic<int>> runs(static_cast<size_t>(items));
  std::atomic<int> highest{0};
  pool->ParallelFor(items, [&](int64_t i, int slot) {
    ++runs[static_cast<size_t>(i)];
    int seen = highest;
    while (slot > seen && !highest.compare_exchange_weak(seen, slot)) {
    }
  });
  for (const std::atomic<int>& run : runs) ASSERT_EQ(run, 1);
  EXPECT_LT(highest, pool->slots());
}

TEST(ThreadPoolTest, RunsEachItemOnceForAnyNumberOfThreads) {
  for (int threads = 1; threads <= 4; ++threads) {
    ThreadPool pool(threads);
    for (int64_t items : {0, 1, 2, 7, 1000}) ExpectEachOnce(&pool, items);
  }
}

TEST(ThreadPoolTest, StaysWithinItsSlots) {
  ThreadPool pool(4);
  pool.set_slots(2);
  EXPECT_EQ(pool.slots(), 2);
  ExpectEachOnce(&pool, 100);
  pool.set_slots(9);
  EXPECT_EQ(pool.slots(), 4);
}

// Item 0 and the first item of the second half each wait until the other has begun, so that neither
// thread can take both.
TEST(ThreadPoolTest, EachThreadBeginsWithARangeOfItsOwn) {
  ThreadPool pool(2);
  std::atomic<int> begun{0};
  std::atomic<int> slots[4];
  pool.ParallelFor(4, [&](int64_t i, int slot) {
    slots[i] = slot;
    if (i % 2 != 0) return;
    ++begun;
    while (begun < 2) std::this_thread::yield();
  });
  EXPECT_EQ(slots[0], 0);
  EXPECT_EQ(slots[2], 1);
}

TEST(ThreadPoolTest, RunsOnTheCallersThreadWhereToldSo) {
  ThreadPool pool(2);
  pool.Begin(true);
  const std::thread::id caller = std::this_thread::get_id();
  pool.ParallelFor(100, [&](int64_t, int slot) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    EXPECT_EQ(slot, 0);
  });
  EXPECT_EQ(pool.raw(), nullptr);
  pool.Begin(false);
  EXPECT_NE(pool.raw(), nullptr);
}

TEST(ThreadPoolTest, RunsEachItemOnceOnACrowdedMachine) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> crowd;
  for (unsigned i = 0; i < 2 * std::thread::hardware_concurrency(); ++i) {
    crowd.emplace_back([&] {
      while (!stop) {
      }
    });
  }
  ThreadPool pool(3);
  for (int loop = 0; loop < 300; ++loop) ExpectEachOnce(&pool, 5);
  stop = true;
  for (std::thread& thread : crowd) thread.join();
}

// A lock that is not fair lets it through hundreds of times.
TEST(ThreadPoolTest, WhoTakesTurnAfterTurnStarvesNobody) {
  ThreadPool pool(1);
  std::atomic<bool> stop{false};
  std::atomic<int> turns{0};
  std::thread other([&] {
    while (!stop) {
      const ThreadPool::Turn turn(pool, 1);
      ++turns;
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  });
  while (turns < 3) std::this_thread::yield();
  for (int i = 0; i < 20; ++i) {
    const int before = turns;
    const ThreadPool::Turn turn(pool, 1);
    EXPECT_LE(turns - before, 2);  // one that was under way, one that was asked for before ours
  }
  stop = true;
  other.join();
}

TEST(ThreadPoolTest, ATurnHasTheSlotsThatItAsksFor) {
  ThreadPool pool(4);
  for (const int slots : {3, 1, 9}) {
    const ThreadPool::Turn turn(pool, slots);
    EXPECT_EQ(pool.slots(), std::min(slots, 4));
    ExpectEachOnce(&pool, 50);
  }
}

int NiceOfThisThread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid))); }

TEST(ThreadPoolTest, GivesItsOwnThreadsTheNiceValueAndLeavesTheCallersAlone) {
  const int own = NiceOfThisThread();
  if (own > 5) GTEST_SKIP() << "this process is too nice";
  const Result<std::shared_ptr<ThreadPool>> made = MakeThreadPool({.threads = 3, .nice = 7});
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(ThreadsOf(*made.value()), 3);
  std::atomic<int> begun{0};
  std::atomic<int> nice[3];
  made.value()->ParallelFor(3, [&](int64_t, int slot) {
    nice[slot] = NiceOfThisThread();
    ++begun;
    while (begun < 3) std::this_thread::yield();
  });
  EXPECT_EQ(nice[0], own);
  EXPECT_EQ(nice[1], 7);
  EXPECT_EQ(nice[2], 7);
}

TEST(ThreadPoolTest, RefusesOptionsOutOfRange) {
  for (const ThreadPoolOptions& options :
       {ThreadPoolOptions{.threads = 0}, ThreadPoolOptions{.threads = 1025},
        ThreadPoolOptions{.threads = 2, .nice = 20},
        ThreadPoolOptions{.threads = 2, .nice = -21}}) {
    EXPECT_EQ(MakeThreadPool(options).status().code(), StatusCode::kInvalidArgument);
  }
}

// Exits with 0 where it is told so, as a user without rights.
[[noreturn]] void AskForLessNiceThanAllowed() {
  const rlimit none = {0, 0};
  if (setrlimit(RLIMIT_NICE, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) _exit(1);
  const Status status = MakeThreadPool({.threads = 2, .nice = -5}).status();
  const bool told = status.code() == StatusCode::kPermissionDenied &&
                    (status.detail() == EACCES || status.detail() == EPERM);
  _exit(told ? 0 : 2);
}

TEST(ThreadPoolDeathTest, SaysThatAProcessMayNotPutItselfBeforeOthers) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(AskForLessNiceThanAllowed(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pocketune
