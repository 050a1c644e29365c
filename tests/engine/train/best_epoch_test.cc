#include "engine/train/best_epoch.h"

#include <gtest/gtest.h>

#include <string>

namespace pocketune {
namespace {

Evaluation Found(int64_t samples, int64_t correct, double loss) {
  Evaluation eval;
  eval.samples = samples;
  eval.correct = correct;
  eval.loss = loss;
  return eval;
}

// The best so far has an accuracy of 0.5 and a loss of 0.7.
TrainState BestSoFar() {
  TrainState state;
  state.best_epoch = 0;
  state.best_accuracy = 0.5;
  state.best_loss = 0.7;
  return state;
}

struct Case {
  const char* name;
  Evaluation eval;
  bool best;
};

class BestEpochTest : public ::testing::TestWithParam<Case> {};

TEST_P(BestEpochTest, IsJudgedByAccuracyAndLoss) {
  EXPECT_EQ(IsBest(GetParam().eval, BestSoFar()), GetParam().best);
}

INSTANTIATE_TEST_SUITE_P(
    Of, BestEpochTest,
    ::testing::Values(Case{"HigherAccuracy", Found(100, 51, 0.9), true},
                      Case{"LowerAccuracy", Found(100, 49, 0.1), false},
                      Case{"EqualAccuracyLowerLoss", Found(100, 50, 0.69), true},
                      Case{"EqualAccuracyHigherLoss", Found(100, 50, 0.71), false},
                      Case{"AllEqual", Found(100, 50, 0.7), false},
                      Case{"FewPicturesLowerLoss", Found(48, 12, 0.69), true},
                      Case{"FewPicturesHigherLoss", Found(48, 47, 0.71), false},
                      Case{"FewPicturesEqualLoss", Found(48, 48, 0.7), false},
                      Case{"OneLessThanEnough", Found(kFewValidationSamples - 1, 49, 0.71), false},
                      Case{"JustEnough", Found(kFewValidationSamples, 49, 0.71), true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(BestEpochTest, TheFirstIsBest) { EXPECT_TRUE(IsBest(Found(10, 0, 9.0), TrainState())); }

TEST(BestEpochTest, AStateThatDoesNotKnowItsBestLossIsJudgedByAccuracy) {
  TrainState state = BestSoFar();
  state.best_loss = -1;
  EXPECT_TRUE(IsBest(Found(10, 5, 9.0), state));
  EXPECT_FALSE(IsBest(Found(10, 4, 0.1), state));
}

}  // namespace
}  // namespace pocketune
