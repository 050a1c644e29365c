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
