#include "apps/train/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pocketune {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(EvaluatorTest, TopClassesAreInOrderAndTiesGoToTheLowerIndex) {
  const std::vector<float> logits = {1, 3, 2, 3, 2, -7, 3};
  EXPECT_THAT(TopClasses(logits, 5), ElementsAre(1, 3, 6, 2, 4));
  EXPECT_THAT(TopClasses(logits, 1), ElementsAre(1));
  EXPECT_THAT(TopClasses(logits, 100), ElementsAre(1, 3, 6, 2, 4, 0, 5));
  EXPECT_THAT(TopClasses(std::vector<float>(4, 0.5f), 2), ElementsAre(0, 1));
  EXPECT_THAT(TopClasses(logits, 0), IsEmpty());
}

TEST(EvaluatorTest, ProbabilitiesSumToOneAndDoNotOverflow) {
  const std::vector<float> logits = {1000, 1000.5f, -1000};
  const std::vector<double> p = Probabilities(logits);
  EXPECT_NEAR(p[0], 1 / (1 + std::exp(0.5)), 1e-15);
  EXPECT_NEAR(p[1], 1 / (1 + std::exp(-0.5)), 1e-15);
  EXPECT_EQ(p[2], 0);
  const float top = std::numeric_limits<float>::max();
  EXPECT_THAT(Probabilities(std::vector<float>{top, -top}), ElementsAre(1, 0));
}

TEST(EvaluatorTest, SharesOfNothingAreZero) {
  Evaluation eval;
  EXPECT_EQ(eval.accuracy(), 0);
  EXPECT_EQ(eval.top5(), 0);
  eval.samples = 8;
  eval.correct = 2;
  eval.correct_top5 = 6;
  EXPECT_EQ(eval.accuracy(), 0.25);
  EXPECT_EQ(eval.top5(), 0.75);
}

}  // namespace
}  // namespace pocketune
