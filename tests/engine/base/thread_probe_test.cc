#include "engine/base/thread_probe.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/base/log.h"
#include "engine/base/thread_pool.h"
#include "tests/support/few_threads.h"

namespace pocketune {
namespace {

using test::FewThreads;

TEST(ThreadProbeTest, FindsAsManyThreadsAsAreWantedWhereNothingLimitsThem) {
  EXPECT_EQ(StartableThreads(-1), 0);
  EXPECT_EQ(StartableThreads(0), 0);
  EXPECT_EQ(StartableThreads(1), 1);
  EXPECT_EQ(StartableThreads(100), 100);
}

TEST(ThreadProbeTest, FindsTheLimitAndGivesAllThreadsBack) {
  for (int limit = 0; limit <= 8; ++limit) {
    const FewThreads few(limit);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(StartableThreads(20), limit);
    EXPECT_EQ(StartableThreads(3), limit < 3 ? limit : 3);
  }
}

// pthreadpool would wait for ever.
TEST(ThreadProbeTest, APoolHasTheThreadsThatTheSystemStartsAndRunsEachItemOnce) {
  for (int limit = 0; limit <= 4; ++limit) {
    SCOPED_TRACE(limit);
    const FewThreads few(limit);
    ThreadPool pool(4);
    EXPECT_EQ(pool.threads(), limit < 3 ? 1 + limit : 4);
    EXPECT_EQ(pool.slots(), pool.threads());
    std::vector<int> runs(100);
    pool.ParallelFor(100, [&](int64_t i, int) { ++runs[static_cast<size_t>(i)]; });
    EXPECT_EQ(runs, std::vector<int>(100, 1));
  }
}

TEST(ThreadProbeTest, APoolWithFewerThreadsThanWantedGivesANotice) {
  std::vector<std::string> lines;
  SetLog(
      [](void* user, LogLevel level, const char* line) {
        EXPECT_EQ(level, LogLevel::kWarning);
        static_cast<std::vector<std::string>*>(user)->push_back(line);
      },
      &lines);
  const ThreadPool whole(2);
  EXPECT_TRUE(lines.empty());
  const FewThreads few(1);
  const ThreadPool small(4);
  SetLog(nullptr, nullptr);
  const ThreadPool unheard(4);
  EXPECT_EQ(lines, std::vector<std::string>{"threads: the system starts no more (got 2, want 4)"});
}

}  // namespace
}  // namespace pocketune
