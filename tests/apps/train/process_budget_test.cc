#include "apps/train/process_budget.h"

#include <gtest/gtest.h>

#include <string>

#include "apps/train/exit_code.h"

namespace pocketune {
namespace {

constexpr int64_t kMB = 1000000;

FeedDemand SmallPictures(int threads = 3) {
  return {.dataset_bytes = kMB / 10,
          .pictures = 101,
          .decode_bytes = kMB / 2,
          .image_bytes = 3 * 31 * 37 * 4,
          .batch = 7,
          .threads = threads};
}

int64_t NumberAtTheEnd(const absl::Status& status) {
  const std::string text(status.message());
  return std::stoll(text.substr(text.rfind(' ') + 1));
}

TEST(ProcessBudgetTest, APlanMayTakeWhatTheSmallestPartsBesideItLeave) {
  const ProcessBudget budget(20 * kMB, "--memory", SmallPictures());
  const int64_t plan = budget.PlanBytes(0).value();
  EXPECT_LT(plan, 20 * kMB);
  EXPECT_GT(plan, 18 * kMB);
  ASSERT_TRUE(budget.Divide(plan, 0).has_value());
  EXPECT_EQ(budget.Divide(plan, 0)->loader_threads, 1);
  EXPECT_EQ(budget.Divide(plan, 0)->queue_batches, 2);
  EXPECT_FALSE(budget.Divide(plan + 1, 0).has_value());
}

TEST(ProcessBudgetTest, TheSmallestBudgetThatARefusalNamesIsJustEnough) {
  for (const int64_t checkpoint : {int64_t{0}, 5 * kMB}) {
    const absl::Status refused =
        ProcessBudget(kMB, "--memory", SmallPictures()).TooSmall(9 * kMB, checkpoint);
    EXPECT_EQ(ExitCodeOf(refused), ExitCode::kBudget);
    const int64_t smallest = NumberAtTheEnd(refused);
    const ProcessBudget enough(smallest, "--memory", SmallPictures());
    EXPECT_EQ(enough.PlanBytes(checkpoint), 9 * kMB);
    EXPECT_TRUE(enough.Divide(9 * kMB, checkpoint).has_value());
    const ProcessBudget less(smallest - 1, "--memory", SmallPictures());
    EXPECT_FALSE(less.Divide(9 * kMB, checkpoint).has_value());
  }
}

TEST(ProcessBudgetTest, BudgetsBelowTheFixedPartsLeaveNoPlan) {
  EXPECT_FALSE(ProcessBudget(kMB / 10, "--memory", SmallPictures()).PlanBytes(0).has_value());
}

TEST(ProcessBudgetTest, WhatAPlanLeavesMakesLoadersFasterAndGoesToCachesThen) {
  Division last = {.loader_threads = 1, .queue_batches = 2};
  for (int64_t bytes = 13 * kMB; bytes < 40 * kMB; bytes += kMB / 5) {
    const ProcessBudget budget(bytes, "--memory", SmallPictures());
    const Division now = budget.Divide(10 * kMB, kMB).value();
    EXPECT_GE(now.loader_threads, last.loader_threads) << bytes;
    EXPECT_GE(now.queue_batches, last.queue_batches) << bytes;
    EXPECT_LE(now.cache_bytes, bytes - 10 * kMB);
    EXPECT_GE(now.cache_bytes, 0);
    last = now;
  }
  EXPECT_EQ(last.loader_threads, 3);
  EXPECT_EQ(last.queue_batches, 3);
  EXPECT_GT(last.cache_bytes, 20 * kMB);
}

TEST(ProcessBudgetTest, MoreAndLargerPicturesLeaveLess) {
  const int64_t plan = ProcessBudget(90 * kMB, "", SmallPictures()).PlanBytes(0).value();
  FeedDemand more = SmallPictures();
  more.pictures *= 100;
  FeedDemand larger = SmallPictures();
  larger.decode_bytes += 36 * kMB;
  FeedDemand wider = SmallPictures();
  wider.image_bytes *= 4;
  FeedDemand held = SmallPictures();
  held.dataset_bytes += 11 * kMB;
  for (const FeedDemand& demand : {more, larger, wider, held}) {
    EXPECT_LT(ProcessBudget(90 * kMB, "", demand).PlanBytes(0).value(), plan);
  }
}

}  // namespace
}  // namespace pocketune
