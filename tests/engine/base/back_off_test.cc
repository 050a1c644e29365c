#include "engine/base/back_off.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

constexpr int64_t kLoopNs = 10'000, kMs = 1'000'000;

// Loops that rest from now on.
int RestsInARow(BackOff* back_off) {
  int count = 0;
  while (back_off->Rests()) ++count;
  return count;
}

void WakeWorkers(BackOff* back_off) { back_off->Record(kMs, 0); }

// Loops that end at once, for `ns` of saved time.
void RunWell(BackOff* back_off, int64_t ns) {
  for (; ns > 0; ns -= kLoopNs) back_off->Record(kLoopNs / 10, kLoopNs);
}

TEST(BackOffTest, RestsAfterALongWait) {
  BackOff back_off;
  EXPECT_FALSE(back_off.Rests());
  RunWell(&back_off, 3 * kMs);
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(5 * kMs, kLoopNs);
  EXPECT_EQ(RestsInARow(&back_off), 64);
}

TEST(BackOffTest, AWaitIsWorthWhatTheWorkersDid) {
  BackOff back_off;
  back_off.Record(4 * kMs, 5 * kMs);
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(5 * kMs, 4 * kMs);
  EXPECT_EQ(RestsInARow(&back_off), 64);
}

TEST(BackOffTest, ShortWaitsAddUp) {
  BackOff back_off;
  int loops = 0;
  for (; !back_off.Rests(); ++loops) back_off.Record(2 * kLoopNs, kLoopNs);
  EXPECT_GT(loops, 1);
  EXPECT_LT(loops, 100);
}

TEST(BackOffTest, TheLoopThatWakesTheWorkersIsNotJudged) {
  BackOff back_off;
  back_off.Record(4 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), 64);
  WakeWorkers(&back_off);  // behind a rest
  EXPECT_FALSE(back_off.Rests());
  back_off.Wakes();  // behind a pause
  WakeWorkers(&back_off);
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(4 * kMs, 0);
  EXPECT_TRUE(back_off.Rests());
}

TEST(BackOffTest, RestsLongerEachTimeATrialFailsAndShortAgainAfterManySuccesses) {
  BackOff back_off;
  back_off.Record(4 * kMs, 0);
  const int shortest = RestsInARow(&back_off);
  int longest = shortest;
  for (int i = 0; i < 20; ++i) {
    WakeWorkers(&back_off);
    back_off.Record(4 * kMs, 0);
    const int rests = RestsInARow(&back_off);
    EXPECT_GE(rests, longest);
    longest = rests;
  }
  EXPECT_EQ(shortest, 64);
  EXPECT_EQ(longest, 4096);
  WakeWorkers(&back_off);
  RunWell(&back_off, 3 * kMs);  // too few to prove anything
  back_off.Record(4 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), longest);
  WakeWorkers(&back_off);
  RunWell(&back_off, 30 * kMs);
  back_off.Record(4 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), shortest);
}

}  // namespace
}  // namespace pocketune
