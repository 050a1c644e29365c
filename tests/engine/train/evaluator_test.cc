#include "engine/train/evaluator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/engine/train/tiny_samples.h"

namespace pocketune::test {
namespace {

TEST(EvaluatorTest, CountsEachSampleOnceAlsoOfAShortLastBatch) {
  TinySession session;
  TinySamples samples(13);
  const Result<Evaluation> eval = Evaluate(*session, samples);
  ASSERT_TRUE(eval.ok()) << eval.status().message();
  EXPECT_EQ(eval.value().samples, 13);
  EXPECT_TRUE(eval.value().classifies());
  EXPECT_EQ(eval.value().correct_top5, 13);  // of three classes
  int64_t counted = 0, right = 0;
  for (size_t i = 0; i < 3; ++i) {
    for (const int64_t n : eval.value().confusion[i]) counted += n;
    right += eval.value().confusion[i][i];
  }
  EXPECT_EQ(counted, 13);
  EXPECT_EQ(right, eval.value().correct);
}

TEST(EvaluatorTest, TheLossIsTheMeanOfThePlansOwn) {
  TinySession session;
  TinySamples samples(kTinySamples);
  const Result<Evaluation> eval = Evaluate(*session, samples);
  ASSERT_TRUE(eval.ok());
  session.batch().image = samples.images();
  session.batch().label = samples.labels();
  session.batch().weight.assign(kTinySamples, 1.0f);
  ASSERT_TRUE(BindBatch(*session, session.batch()).ok());
  float loss = 0;
  ASSERT_TRUE(session->EvalStep(&loss).ok());
  EXPECT_NEAR(eval.value().loss, loss, 1e-6);
}

TEST(EvaluatorTest, ALabelOutsideTheClassesCountsForNothing) {
  TinySession session;
  TinySamples samples(10);
  samples.labels()[2] = -1;
  samples.labels()[7] = kTinyClasses;
  const Result<Evaluation> eval = Evaluate(*session, samples);
  ASSERT_TRUE(eval.ok());
  EXPECT_EQ(eval.value().samples, 8);
}

TEST(EvaluatorTest, SaysWhichSampleCouldNotBeLoadedAndWhichWereBad) {
  TinySession session;
  TinySamples samples(10);
  samples.bad = {4};
  EXPECT_EQ(Evaluate(*session, samples).value().bad, (std::vector<int64_t>{4}));
  samples.broken = 8;
  EvaluationFault fault;
  EXPECT_EQ(Evaluate(*session, samples, {}, &fault).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(fault.of_source);
  EXPECT_EQ(fault.sample, 8);
}

TEST(EvaluatorTest, IsBrokenOffBetweenBatches) {
  TinySession session;
  TinySamples samples(20);
  int asked = 0;
  const auto stop = [&] { return ++asked == 2; };
  EXPECT_EQ(EvaluateFrom(*session, samples, {}, nullptr, stop, nullptr).status().code(),
            StatusCode::kCancelled);
  EXPECT_EQ(asked, 2);
}

TEST(EvaluatorTest, LeavesNothingBoundToMemoryThatIsGone) {
  TinySession session;
  TinySamples samples(10);
  ASSERT_TRUE(Evaluate(*session, samples).ok());
  EXPECT_EQ(session->Predict().code(), StatusCode::kFailedPrecondition);
}

TEST(EvaluatorTest, ABatchOfAnswersIsLookedAt) {
  TinySession session;
  TinySamples samples(3);  // fewer than a batch
  EXPECT_TRUE(AnswersABatch(*session, samples, nullptr).value());
  samples.images()[1] = INFINITY;
  EXPECT_FALSE(AnswersABatch(*session, samples, nullptr).value());
}

}  // namespace
}  // namespace pocketune::test
