#include "engine/train/good_state.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "apps/train/exit_code.h"
#include "engine/train/evaluator.h"
#include "tests/apps/train/train_test_util.h"

namespace pocketune::test {
namespace {

constexpr float kHuge = 3e38F;  // finite, and what is made of it is not

Result<bool> Yes() { return true; }

class GoodStateTest : public ::testing::Test {
 protected:
  GoodStateTest() : run_(SmallRun()) {}

  void Save(int64_t step) {
    run_.state().step = step;
    run_.session().set_step(static_cast<uint64_t>(step));
    ASSERT_TRUE(run_.folder().Save(run_.session(), ToJsonText(run_.state(), {})).ok());
  }
  // Saves values that are `value` at their first parameter.
  std::vector<float> SaveWith(float value, int64_t step) {
    run_.Spoil(value);
    Save(step);
    return run_.Values();
  }
  Result<bool> Answers() {
    const absl::StatusOr<data::Transform> transform =
        MakeTransform(run_.spec().data, {4, 28, 28, 1}, false);
    data::DatasetSource pictures(&run_.dataset(), *transform, data::Split::kVal);
    return AnswersABatch(run_.session(), pictures, nullptr);
  }
  Result<GoodState> RestoreAnswering() {
    return RestoreGood(
        store_, run_.session(), [this] { return Answers(); }, &run_.state());
  }

  TinyRun run_;
  RunFolderStore store_{&run_.folder(), &run_.dataset().class_names()};
};

TEST_F(GoodStateTest, NamesTheFirstTensorThatIsNotFinite) {
  EXPECT_EQ(FaultOfParams(run_.session()), "");
  run_.Spoil(std::numeric_limits<float>::infinity());
  EXPECT_EQ(FaultOfParams(run_.session()), "stem.conv.weight is not finite");
}

TEST_F(GoodStateTest, FiniteWeightsMayAnswerWithNumbersThatAreNot) {
  EXPECT_TRUE(Answers().value());
  run_.Spoil(kHuge);
  EXPECT_EQ(FaultOfParams(run_.session()), "");
  EXPECT_FALSE(Answers().value());
}

TEST_F(GoodStateTest, TheNewestIsTakenWhereItAnswers) {
  SaveWith(1, 1);
  const std::vector<float> newest = SaveWith(0.5, 2);
  run_.Spoil(kHuge);
  EXPECT_EQ(RestoreAnswering().value(), GoodState::kNewest);
  EXPECT_EQ(run_.Values(), newest);
  EXPECT_EQ(run_.state().step, 2);
}

TEST_F(GoodStateTest, TheOlderIsTakenWhereTheNewestDoesNotAnswer) {
  const std::vector<float> older = SaveWith(1, 1);
  SaveWith(kHuge, 2);
  EXPECT_EQ(RestoreAnswering().value(), GoodState::kOlder);
  EXPECT_EQ(run_.Values(), older);
  EXPECT_EQ(run_.state().step, 1);
}

TEST_F(GoodStateTest, TheBestEpochIsTakenWhereNeitherAnswers) {
  run_.Spoil(1);
  run_.session().set_step(kEpoch);
  const std::vector<float> best = run_.Values();
  ASSERT_TRUE(run_.folder().SaveBest(run_.session()).ok());
  run_.state().best_epoch = 0;
  SaveWith(kHuge, 12);
  SaveWith(kHuge / 2, 13);
  EXPECT_EQ(RestoreAnswering().value(), GoodState::kBest);
  EXPECT_EQ(run_.Values(), best);
  EXPECT_EQ(run_.state().step, kEpoch);
  EXPECT_EQ(run_.state().best_epoch, 0);
}

TEST_F(GoodStateTest, TheStartIsLeftWhereNothingAnswers) {
  const std::vector<float> start = run_.Values();
  SaveWith(kHuge, 1);
  SaveWith(std::numeric_limits<float>::quiet_NaN(), 2);
  EXPECT_EQ(RestoreGood(
                store_, run_.session(), []() -> Result<bool> { return false; }, &run_.state())
                .value(),
            GoodState::kStart);
  EXPECT_EQ(run_.Values(), start);
  EXPECT_EQ(run_.state().step, 0);
  EXPECT_EQ(run_.session().step(), 0u);
}

TEST_F(GoodStateTest, WhatIsNotFiniteIsNotEvenAsked) {
  SaveWith(std::numeric_limits<float>::quiet_NaN(), 1);
  EXPECT_EQ(RestoreGood(store_, run_.session(), Yes, &run_.state()).value(), GoodState::kStart);
}

TEST_F(GoodStateTest, DamagedCheckpointsAreAnErrorAsEver) {
  SaveWith(1, 1);
  SaveWith(2, 2);
  for (const char* name : {"/checkpoint-a", "/checkpoint-b"}) {
    WriteBytes(run_.folder().path() + name, {1, 2, 3});
  }
  EXPECT_FALSE(RestoreAnswering().ok());
  EXPECT_EQ(ExitCodeOf(store_.error()), ExitCode::kCheckpoint);
}

}  // namespace
}  // namespace pocketune::test
