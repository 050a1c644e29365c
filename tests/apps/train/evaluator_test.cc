#include "apps/train/evaluator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/train/exit_code.h"
#include "tests/apps/train/train_test_util.h"

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

TEST(EvaluatorTest, BalancedAccuracyAndMacroF1CountEachClassAlike) {
  Evaluation eval;
  // 133 of one class, 7 of another that is never recognised: 95 % right.
  eval.confusion = {{133, 0}, {7, 0}};
  EXPECT_DOUBLE_EQ(eval.balanced_accuracy(), 0.5);
  EXPECT_DOUBLE_EQ(eval.macro_f1(), 2.0 * 133 / (133 + 140) / 2);
  eval.confusion = {{5, 3, 2}, {1, 6, 0}, {0, 2, 4}};
  EXPECT_DOUBLE_EQ(eval.balanced_accuracy(), (5 / 10.0 + 6 / 7.0 + 4 / 6.0) / 3);
  EXPECT_DOUBLE_EQ(eval.macro_f1(), (10 / 16.0 + 12 / 18.0 + 8 / 12.0) / 3);
}

TEST(EvaluatorTest, AClassWithoutSamplesDoesNotCount) {
  Evaluation eval;
  EXPECT_EQ(eval.balanced_accuracy(), 0);
  EXPECT_EQ(eval.macro_f1(), 0);
  // Nothing is of the second class, though two are taken for it; nothing at all is the third.
  eval.confusion = {{6, 2, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 3}};
  EXPECT_DOUBLE_EQ(eval.balanced_accuracy(), (6 / 8.0 + 3 / 4.0) / 2);
  EXPECT_DOUBLE_EQ(eval.macro_f1(), (12 / 15.0 + 6 / 7.0) / 2);
}

TEST(EvaluatorTest, AnswersThatAreNotFiniteAreCountedAndNamed) {
  test::TinyRun run(test::SmallRun());
  const data::Transform transform =
      *MakeTransform(run.spec().data, ImageShape(run.session(), "eval"), false);
  const auto evaluate = [&] {
    return *Evaluate(run.session(), run.dataset(), transform, data::Split::kTrain, 1);
  };
  const PictureEvaluation good = evaluate();
  EXPECT_EQ(good.not_finite, 0);
  EXPECT_TRUE(std::isfinite(good.loss));
  EXPECT_TRUE(CheckFinite(good, run.dataset()).ok());
  for (const float bad : {NAN, INFINITY}) {
    run.Spoil(bad);
    const PictureEvaluation eval = evaluate();
    EXPECT_EQ(eval.samples, good.samples);
    EXPECT_EQ(eval.not_finite, good.samples);
    EXPECT_EQ(eval.correct, 0);
    EXPECT_TRUE(std::isnan(eval.loss));
    const absl::Status status = CheckFinite(eval, run.dataset());
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kNumerics);
    const int64_t first = run.dataset().Indices(data::Split::kTrain)[0];
    EXPECT_EQ(std::string(status.message()).rfind(run.dataset().samples()[first].name, 0), 0u);
  }
}

}  // namespace
}  // namespace pocketune
