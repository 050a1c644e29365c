#include "engine/train/batch_change.h"

#include <gtest/gtest.h>

namespace pocketune {
namespace {

TrainState At(int64_t step, int64_t batch, int64_t epoch_steps) {
  TrainState state;
  state.step = step;
  state.batch = batch;
  state.epoch_steps = epoch_steps;
  state.epoch_loss_sum = 0.5 * static_cast<double>(epoch_steps);
  return state;
}

// 47 samples: 11 batches of 4, 5 of 8.
TEST(BatchChangeTest, KeepsThePlaceInTheSamplesOfTheEpoch) {
  TrainState state = At(2 * 11 + 7, 4, 7);  // 28 samples into the third epoch
  CountInBatches(47, 8, &state);
  EXPECT_EQ(state.batch, 8);
  EXPECT_EQ(state.step, 2 * 5 + 3);
  EXPECT_EQ(state.epoch_steps, 3);
  EXPECT_DOUBLE_EQ(state.epoch_loss_sum / 3, 0.5);
  CountInBatches(47, 4, &state);
  EXPECT_EQ(state.step, 2 * 11 + 6)
      << "24 samples: those of the batch that was not full come again";
}

TEST(BatchChangeTest, TheEndOfAnEpochStaysOne) {
  TrainState validated = At(22, 4, 0), waiting = At(22, 4, 11);
  CountInBatches(47, 8, &validated);
  EXPECT_EQ(validated.step, 10);
  EXPECT_EQ(validated.epoch_steps, 0);
  CountInBatches(47, 8, &waiting);
  EXPECT_EQ(waiting.step, 10);
  EXPECT_EQ(waiting.epoch_steps, 5);
}

TEST(BatchChangeTest, LeavesABatchToBeDoneOfAnEpochThatHadNotEnded) {
  TrainState state = At(10, 4, 10);  // of 11
  CountInBatches(47, 20, &state);    // 2 an epoch, of which 40 samples are both
  EXPECT_EQ(state.step, 1);
  EXPECT_EQ(state.epoch_steps, 1);
}

TEST(BatchChangeTest, StartsAnEpochAgainThatHadLessThanABatch) {
  TrainState state = At(12, 4, 1);
  CountInBatches(47, 20, &state);
  EXPECT_EQ(state.step, 2);
  EXPECT_EQ(state.epoch_steps, 0);
  EXPECT_EQ(state.epoch_loss_sum, 0);
}

TEST(BatchChangeTest, TakesABatchAsLargeAsAllSamplesForAnEpoch) {
  TrainState state = At(3, 47, 0);
  CountInBatches(47, 100, &state);
  EXPECT_EQ(state.step, 3);
}

TEST(BatchChangeTest, ChangesNothingWhereTheBatchIsTheSameOrNotKnown) {
  for (const int64_t batch : {0, 4}) {
    TrainState state = At(17, batch, 6);
    CountInBatches(47, 4, &state);
    EXPECT_EQ(state.step, 17);
    EXPECT_EQ(state.epoch_steps, 6);
    EXPECT_EQ(state.batch, 4);
  }
}

}  // namespace
}  // namespace pocketune
