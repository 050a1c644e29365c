#include "engine/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
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

}  // namespace
}  // namespace pocketune
