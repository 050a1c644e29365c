#include "pocketune/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pocketune {
namespace {

LrSchedule Make(LrSchedule::Kind kind) {
  LrSchedule schedule;
  schedule.kind = kind;
  schedule.base = 0.5;
  schedule.total_steps = 104;
  schedule.warmup_steps = 4;
  return schedule;
}

TEST(LrScheduleTest, WarmsUpLinearlyToTheBase) {
  for (const char* name : {"constant", "step", "cosine", "linear"}) {
    const LrSchedule schedule = Make(ParseLrKind(name).value());
    EXPECT_DOUBLE_EQ(schedule.At(0), 0.125) << name;
    EXPECT_DOUBLE_EQ(schedule.At(2), 0.375) << name;
    EXPECT_DOUBLE_EQ(schedule.At(3), 0.5) << name;
    EXPECT_DOUBLE_EQ(schedule.At(4), 0.5) << name;
  }
}

TEST(LrScheduleTest, FollowsItsFormula) {
  EXPECT_DOUBLE_EQ(Make(LrSchedule::Kind::kConstant).At(103), 0.5);
  LrSchedule step = Make(LrSchedule::Kind::kStep);
  step.step_every = 30;
  EXPECT_DOUBLE_EQ(step.At(33), 0.5);
  EXPECT_DOUBLE_EQ(step.At(34), 0.05);
  EXPECT_DOUBLE_EQ(step.At(64), 0.005);
  const LrSchedule cosine = Make(LrSchedule::Kind::kCosine);
  EXPECT_DOUBLE_EQ(cosine.At(54), 0.25);
  EXPECT_NEAR(cosine.At(29), 0.5 * (2 + std::sqrt(2.0)) / 4, 1e-15);
  const LrSchedule linear = Make(LrSchedule::Kind::kLinear);
  EXPECT_DOUBLE_EQ(linear.At(29), 0.375);
}

TEST(LrScheduleTest, EndsAtTheFinalFractionAndStaysThere) {
  for (const auto kind : {LrSchedule::Kind::kCosine, LrSchedule::Kind::kLinear}) {
    LrSchedule schedule = Make(kind);
    EXPECT_NEAR(schedule.At(104), 0, 1e-16);
    schedule.final_fraction = 0.25;
    EXPECT_DOUBLE_EQ(schedule.At(104), 0.125);
    EXPECT_DOUBLE_EQ(schedule.At(1000), 0.125);
    EXPECT_GT(schedule.At(103), 0.125);
  }
}

TEST(LrScheduleTest, TakesARunShorterThanItsWarmUp) {
  LrSchedule schedule = Make(LrSchedule::Kind::kCosine);
  schedule.total_steps = 2;
  EXPECT_DOUBLE_EQ(schedule.At(1), 0.25);
  EXPECT_DOUBLE_EQ(schedule.At(4), 0.5);
}

TEST(LrScheduleTest, RefusesAnUnknownName) {
  EXPECT_EQ(ParseLrKind("cosin").status().code(), StatusCode::kInvalidArgument);
  EXPECT_STREQ(ParseLrKind("cosin").status().message(),
               "unknown schedule (want constant, step, cosine or linear)");
}

}  // namespace
}  // namespace pocketune
