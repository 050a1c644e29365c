#include "engine/base/back_off.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

constexpr int64_t kMs = 1'000'000;

int RestsInARow(BackOff* back_off) {
  int rests = 0;
  while (back_off->Rests()) ++rests;
  return rests;
}

TEST(BackOffTest, RestsOnlyAfterALongWait) {
  BackOff back_off;
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(kMs / 10, 0);
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(5 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), 64);
}

TEST(BackOffTest, AWorkersLastItemIsWorthWaitingFor) {
  BackOff back_off;
  back_off.Record(5 * kMs, 4 * kMs);
  EXPECT_FALSE(back_off.Rests());
}

// They have slept: it says nothing of who else wants the cores.
TEST(BackOffTest, TheLoopThatWakesTheWorkersIsNotJudged) {
  BackOff back_off;
  back_off.Record(5 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), 64);
  back_off.Record(5 * kMs, 0);
  EXPECT_FALSE(back_off.Rests());
  back_off.Record(5 * kMs, 0);
  EXPECT_TRUE(back_off.Rests());
}

TEST(BackOffTest, RestsLongerEachTimeATrialFailsAndShortAgainAfterManySuccesses) {
  BackOff back_off;
  int most = 0;
  for (int trial = 0; trial < 10; ++trial) {
    back_off.Record(5 * kMs, 0);
    const int rests = RestsInARow(&back_off);
    EXPECT_GE(rests, most);
    most = rests;
    back_off.Record(5 * kMs, 0);  // wakes the workers
  }
  EXPECT_EQ(most, 4096);
  back_off.Record(0, 0);
  back_off.Record(5 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), 4096);
  back_off.Record(5 * kMs, 0);  // wakes the workers
  for (int loop = 0; loop < 256; ++loop) back_off.Record(0, 0);
  back_off.Record(5 * kMs, 0);
  EXPECT_EQ(RestsInARow(&back_off), 64);
}

}  // namespace
}  // namespace pocketune
