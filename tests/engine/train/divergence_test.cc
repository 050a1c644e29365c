#include "engine/train/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pocketune {
namespace {

// Of a model that gives the answers counted in `confusion`.
Evaluation Found(std::vector<std::vector<int64_t>> confusion) {
  Evaluation eval;
  for (size_t i = 0; i < confusion.size(); ++i) {
    for (const int64_t count : confusion[i]) eval.samples += count;
    eval.correct += confusion[i][i];
  }
  eval.confusion = std::move(confusion);
  return eval;
}

const Evaluation kConstant = Found({{10, 0}, {40, 0}});
const Evaluation kUseful = Found({{10, 0}, {10, 30}});

TEST(DivergenceTest, ALossIsMeasuredAgainstTheStartOrKnowingNothingWhicheverIsLarger) {
  EXPECT_DOUBLE_EQ(StartLoss(2.5, 2), 2.5);
  EXPECT_DOUBLE_EQ(StartLoss(0.01, 6), std::log(6.0));
  EXPECT_DOUBLE_EQ(StartLoss(0.01, 0), 0.01);
}

TEST(DivergenceTest, ALossAboveThreeTimesTheStartHasComeApart) {
  EXPECT_NE(DivergenceOf({2.0, 41.2, 7.0, 6}, {}).find("grown to 41.2 where 2 is"),
            std::string::npos);
  EXPECT_EQ(DivergenceOf({2.0, 5.9, 7.0, 6}, {}), "");
}

TEST(DivergenceTest, ASpikeThatIsOverHasNot) {
  EXPECT_EQ(DivergenceOf({2.0, 41.2, 1.1, 6}, {}), "");
}

TEST(DivergenceTest, AGoodModelThatLosesALittleHasNot) {
  EXPECT_EQ(DivergenceOf({0.001, 0.5, 0.4, 6}, kUseful), "");
}

TEST(DivergenceTest, ALossThatGrowsWhileValidationIsAtChanceHasComeApart) {
  EXPECT_NE(DivergenceOf({0.7, 1.2, 0.9, 2}, kConstant).find("no better than chance"),
            std::string::npos);
  EXPECT_EQ(DivergenceOf({0.7, 1.2, 0.9, 2}, kUseful), "");
  EXPECT_EQ(DivergenceOf({0.7, 0.9, 0.9, 2}, kConstant), "");
}

TEST(DivergenceTest, WithoutClassesTheFirstStepAloneCounts) {
  EXPECT_NE(DivergenceOf({0.2, 0.7, 0.8, 0}, {}), "");
  EXPECT_EQ(DivergenceOf({0.2, 0.5, 0.5, 0}, {}), "");
  EXPECT_EQ(DivergenceOf({0.0, 0.5, 0.5, 0}, {}), "");
}

TEST(DivergenceTest, WhatIsNotANumberIsLeftToTheOtherGuard) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(DivergenceOf({nan, 1.0, 1.0, 0}, {}), "");
  EXPECT_EQ(DivergenceOf({1.0, nan, nan, 0}, {}), "");
}

TEST(DivergenceTest, ChanceIsOfTheClassesThatHaveSamples) {
  EXPECT_TRUE(IsAtChance(kConstant));
  EXPECT_FALSE(IsAtChance(kUseful));
  EXPECT_TRUE(IsAtChance(Found({{10, 0, 0}, {10, 0, 0}, {0, 0, 0}})));
  EXPECT_FALSE(IsAtChance(Found({{10, 0}, {0, 0}})));  // one class: all answers are right
  EXPECT_FALSE(IsAtChance({}));
}

}  // namespace
}  // namespace pocketune
