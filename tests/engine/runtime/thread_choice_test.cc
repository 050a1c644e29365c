#include "engine/runtime/thread_choice.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

constexpr int64_t kMs = 1'000'000;

// What a run takes with all threads and with one.
struct Speed {
  int64_t together_ns, alone_ns;
};

// Runs so many and counts those that were alone.
int CountAlone(ThreadChoice* choice, int runs, Speed speed, int kind = 0) {
  int count = 0;
  for (int i = 0; i < runs; ++i) {
    const bool alone = choice->Alone(kind);
    count += alone ? 1 : 0;
    choice->Record(alone ? speed.alone_ns : speed.together_ns);
  }
  return count;
}

constexpr Speed kGains = {2 * kMs, 4 * kMs}, kLoses = {4 * kMs, 2 * kMs};
constexpr int kTrialEnd = ThreadChoice::kWarmUp + ThreadChoice::kTrial;

TEST(ThreadChoiceTest, TriesAfterWarmingUpAndKeepsTheFasterWay) {
  for (const bool loses : {false, true}) {
    ThreadChoice choice(2);
    const Speed speed = loses ? kLoses : kGains;
    EXPECT_EQ(CountAlone(&choice, ThreadChoice::kWarmUp, speed), 0);
    EXPECT_EQ(CountAlone(&choice, ThreadChoice::kTrial, speed), ThreadChoice::kTrial / 2);
    const int kept = ThreadChoice::kFewest;
    EXPECT_EQ(CountAlone(&choice, kept, speed), loses ? kept : 0);
  }
}

TEST(ThreadChoiceTest, AllThreadsServeWhereOneIsHardlyFaster) {
  ThreadChoice choice(2);
  const Speed equal = {100, 95};
  CountAlone(&choice, kTrialEnd, equal);
  EXPECT_EQ(CountAlone(&choice, ThreadChoice::kFewest, equal), 0);
}

TEST(ThreadChoiceTest, TrialsGrowRareWhileTheyAgree) {
  ThreadChoice choice(2);
  const int runs = 40'000;
  const int tried = CountAlone(&choice, runs, kGains);  // alone in trials only
  EXPECT_GT(tried, 3);
  EXPECT_LT(tried, (runs / ThreadChoice::kMost + 8) * ThreadChoice::kTrial / 2);
}

TEST(ThreadChoiceTest, RunsThatBecomeSlowAreTriedAgainSoon) {
  ThreadChoice choice(2);
  CountAlone(&choice, 5'000, kGains);
  const int runs = 200;
  EXPECT_GT(CountAlone(&choice, runs, kLoses), runs / 2);
  EXPECT_LT(CountAlone(&choice, 5'000, kGains), 2'000);
}

TEST(ThreadChoiceTest, LongRunsKeepAllThreads) {
  ThreadChoice choice(2);
  const Speed slow = {ThreadChoice::kLongNs + 1, kMs};
  EXPECT_EQ(CountAlone(&choice, 5'000, slow), 0);
}

TEST(ThreadChoiceTest, RunsOfAnotherKindStartAnew) {
  ThreadChoice choice(2);
  CountAlone(&choice, kTrialEnd + 1, kLoses);
  EXPECT_TRUE(choice.Alone(0));
  EXPECT_FALSE(choice.Alone(1));
  choice.Record(kMs);
  EXPECT_EQ(CountAlone(&choice, ThreadChoice::kWarmUp - 1, kLoses, 1), 0);
  EXPECT_GT(CountAlone(&choice, ThreadChoice::kTrial, kLoses, 1), 0);
}

TEST(ThreadChoiceTest, OneThreadIsNeverToldToRunAlone) {
  ThreadChoice choice(1);
  EXPECT_EQ(CountAlone(&choice, 5'000, kLoses), 0);
}

}  // namespace
}  // namespace pocketune
