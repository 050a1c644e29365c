#include <gtest/gtest.h>

#include "pocketune/train.h"
#include "tests/support/tiny_session.h"

namespace pocketune::test {
namespace {

using Which = TrainStore::Which;

enum class Kind : uint8_t { kFolder, kMemory };

class TrainStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  TrainStoreTest() {
    if (GetParam() == Kind::kFolder) {
      store_ = std::make_unique<FolderStore>(session_.folder().path());
    } else {
      store_ = std::make_unique<MemoryStore>();
    }
  }

  TinySession session_;
  std::unique_ptr<TrainStore> store_;
  TrainState state_;
};

TEST_P(TrainStoreTest, BringsBackWhatWasSaved) {
  session_.Train(2);
  const std::vector<float> at_two = session_.Params();
  state_.step = 2;
  ASSERT_TRUE(store_->Save(*session_, state_).ok());
  const std::vector<float> losses = session_.Train(2);

  TrainState back;
  ASSERT_TRUE(store_->Restore(Which::kNewest, *session_, &back).ok());
  EXPECT_EQ(session_.Params(), at_two);
  EXPECT_EQ(session_->step(), 2u);
  EXPECT_EQ(back.step, 2);
  EXPECT_TRUE(back.restored);
  EXPECT_EQ(session_.Train(2), losses);  // the optimizer's state too
}

TEST_P(TrainStoreTest, KeepsTheBestBesideTheNewest) {
  session_.Train(1);
  const std::vector<float> best = session_.Params();
  ASSERT_TRUE(store_->SaveBest(*session_).ok());
  session_.Train(1);
  ASSERT_TRUE(store_->Save(*session_, state_).ok());
  TrainState untouched;
  untouched.step = 77;
  ASSERT_TRUE(store_->Restore(Which::kBest, *session_, &untouched).ok());
  EXPECT_EQ(session_.Params(), best);
  EXPECT_EQ(untouched.step, 77);
}

TEST_P(TrainStoreTest, SaysThatNothingWasSaved) {
  for (const Which which : {Which::kNewest, Which::kOlder, Which::kBest}) {
    EXPECT_EQ(store_->Restore(which, *session_, &state_).code(), StatusCode::kNotFound);
  }
}

INSTANTIATE_TEST_SUITE_P(In, TrainStoreTest, ::testing::Values(Kind::kFolder, Kind::kMemory),
                         [](const auto& info) {
                           return info.param == Kind::kFolder ? "AFolder" : "Memory";
                         });

TEST(FolderStoreTest, KeepsTheGenerationBefore) {
  TinySession session;
  FolderStore store(session.folder().path());
  TrainState state;
  for (const int64_t step : {1, 2}) {
    session.Train(1);
    state.step = step;
    ASSERT_TRUE(store.Save(*session, state).ok());
  }
  ASSERT_TRUE(store.Restore(Which::kOlder, *session, &state).ok());
  EXPECT_EQ(state.step, 1);
  EXPECT_EQ(session->step(), 1u);
}

TEST(FolderStoreTest, ACheckpointOfAnotherProgramHasNoStateOfOurs) {
  TinySession session;
  CheckpointStore checkpoints(session.folder().path());
  ASSERT_TRUE(checkpoints.Save(*session, "{}").ok());
  FolderStore store(session.folder().path());
  TrainState state;
  EXPECT_EQ(store.Restore(Which::kNewest, *session, &state).code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace pocketune::test
