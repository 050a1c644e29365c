// Predictions of one sample by a schedule of its own, beside training in batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::ReferenceOptions;
using test::TinySession;

constexpr size_t kClasses = test::kTinyClasses;
constexpr int64_t kRowBytes = test::kTinyFeatures * 4;

class PredictTest : public ::testing::Test {
 protected:
  Status BindSample(size_t i) {
    return session_->Bind("predict", "image", batch().image.data() + i * test::kTinyFeatures,
                          kRowBytes);
  }
  std::vector<float> LogitsOf(const char* schedule, size_t samples) {
    std::vector<float> logits(samples * kClasses);
    const Status status = session_->Read(schedule, "logits", logits);
    EXPECT_TRUE(status.ok()) << status.message();
    return logits;
  }
  std::vector<float> PredictOne(size_t i) {
    EXPECT_TRUE(BindSample(i).ok());
    const Status status = session_->Predict("predict");
    EXPECT_TRUE(status.ok()) << status.message();
    return LogitsOf("predict", 1);
  }
  test::TinyBatch& batch() { return session_.batch(); }

  TinySession session_{ReferenceOptions(), test::TinyPredictingPlan()};
};

TEST_F(PredictTest, StatesTheShapesOfOneSample) {
  const std::vector<PortInfo> inputs = session_->inputs("predict");
  ASSERT_EQ(inputs.size(), 1u);
  EXPECT_EQ(inputs[0].name, "image");
  EXPECT_EQ(inputs[0].shape, (Shape{1, test::kTinyFeatures}));
  ASSERT_EQ(session_->outputs("predict").size(), 1u);
  EXPECT_EQ(session_->outputs("predict")[0].shape, (Shape{1, kClasses}));
  EXPECT_EQ(session_->inputs("eval")[0].shape, (Shape{test::kTinySamples, test::kTinyFeatures}));
}

TEST_F(PredictTest, AnswersForEachSampleAsTheBatchDoesWhileItLearns) {
  for (int round = 0; round < 3; ++round) {
    session_.Train(2);
    ASSERT_TRUE(session_->Predict().ok());
    const std::vector<float> all = LogitsOf("eval", test::kTinySamples);
    for (size_t i = 0; i < test::kTinySamples; ++i) {
      const std::vector<float> want(all.begin() + long(i * kClasses),
                                    all.begin() + long((i + 1) * kClasses));
      EXPECT_EQ(PredictOne(i), want) << i;
    }
  }
}

TEST_F(PredictTest, LeavesTrainingAsItWouldBeWithoutIt) {
  TinySession alone;
  std::vector<float> losses;
  for (int i = 0; i < 4; ++i) {
    losses.push_back(session_.Train(1)[0]);
    PredictOne(size_t(i));
  }
  EXPECT_EQ(losses, alone.Train(4));
  EXPECT_EQ(session_.Params(), alone.Params());
}

TEST_F(PredictTest, IsBoundApartFromTheBatch) {
  EXPECT_EQ(session_->Predict("predict").code(), StatusCode::kFailedPrecondition)
      << "the batch is bound, not the sample";
  EXPECT_EQ(session_->Bind("image", batch().image.data(), kRowBytes).code(),
            StatusCode::kInvalidArgument)
      << "a sample is no batch";
  EXPECT_EQ(session_->Bind("predict", "image", batch().image.data(), 5 * kRowBytes).code(),
            StatusCode::kInvalidArgument)
      << "nor a batch a sample";
  PredictOne(0);
  ASSERT_TRUE(session_->Bind("image", nullptr, 0).ok());
  EXPECT_TRUE(session_->Predict("predict").ok());
  EXPECT_EQ(session_->Predict().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(session_->Bind("predict", "image", nullptr, 0).ok());
  EXPECT_EQ(session_->Predict("predict").code(), StatusCode::kFailedPrecondition);
}

TEST_F(PredictTest, BindsOneOfTheOtherSchedulesToo) {
  std::vector<float> other(batch().image.rbegin(), batch().image.rend());
  ASSERT_TRUE(session_->Predict().ok());
  const std::vector<float> before = LogitsOf("eval", test::kTinySamples);
  ASSERT_TRUE(session_->Bind("eval", "image", other.data(), 5 * kRowBytes).ok());
  ASSERT_TRUE(session_->Predict().ok());
  EXPECT_NE(LogitsOf("eval", test::kTinySamples), before);
  float loss = 0;
  ASSERT_TRUE(session_->TrainStep(0.1, &loss).ok());
  EXPECT_EQ(loss, TinySession().Train(1)[0]) << "training goes on with its own batch";
}

TEST_F(PredictTest, RefusesWhatIsNotThere) {
  const float* image = batch().image.data();
  EXPECT_EQ(session_->Bind("trial", "image", image, kRowBytes).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->Bind("predict", "label", batch().label.data(), 4).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->Predict("trial").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(session_->Predict("train").code(), StatusCode::kInvalidArgument);
}

TEST_F(PredictTest, IsReadAfterItsOwnStepAlone) {
  std::vector<float> one(kClasses);
  PredictOne(0);
  session_.Train(1);
  EXPECT_EQ(session_->Read("predict", "logits", one).code(), StatusCode::kFailedPrecondition);
  PredictOne(0);
  std::vector<float> all(test::kTinySamples * kClasses);
  EXPECT_EQ(session_->Read("eval", "logits", all).code(), StatusCode::kFailedPrecondition);
}

TEST_F(PredictTest, KeepsNoRowsOfAFrozenPrefix) {
  EXPECT_GT(session_->prefix("eval").row_bytes, 0);
  EXPECT_EQ(session_->prefix("predict").row_bytes, 0);
  EXPECT_EQ(session_->BindPrefix("predict", {}).code(), StatusCode::kFailedPrecondition);
}

TEST_F(PredictTest, GivesTheSameBitsWithAPoisonedArena) {
  SessionOptions options = ReferenceOptions();
  options.poison = true;
  TinySession poisoned(options, test::TinyPredictingPlan());
  const std::vector<float> want = PredictOne(2);
  ASSERT_TRUE(
      poisoned->Bind("predict", "image", batch().image.data() + 2 * test::kTinyFeatures, kRowBytes)
          .ok());
  ASSERT_TRUE(poisoned->Predict("predict").ok());
  std::vector<float> got(kClasses);
  ASSERT_TRUE(poisoned->Read("predict", "logits", got).ok());
  EXPECT_EQ(got, want);
}

TEST(PredictWithoutItsScheduleTest, RunsTheWholeBatchAndSaysSoByItsShapes) {
  test::PlanSpec spec = test::TinyPlan();
  spec.version = 2;  // from before there were roles
  TinySession session(ReferenceOptions(), spec);
  EXPECT_EQ(session->inputs("predict")[0].shape, (Shape{test::kTinySamples, test::kTinyFeatures}));
  const float* image = session.batch().image.data();
  EXPECT_EQ(session->Bind("predict", "image", image, kRowBytes).code(),
            StatusCode::kInvalidArgument);
  ASSERT_TRUE(session->Bind("predict", "image", image, 5 * kRowBytes).ok());
  ASSERT_TRUE(session->Predict("predict").ok());
  std::vector<float> logits(test::kTinySamples * kClasses), batch(logits.size());
  ASSERT_TRUE(session->Read("predict", "logits", logits).ok());
  ASSERT_TRUE(session->Predict().ok());
  ASSERT_TRUE(session->Read("eval", "logits", batch).ok());
  EXPECT_EQ(logits, batch);
}

TEST(PredictWithoutItsScheduleTest, IsRefusedWhereThereIsNoForwardScheduleEither) {
  test::PlanSpec spec = test::TinyPlan();
  spec.schedules.pop_back();
  TinySession session(ReferenceOptions(), spec);
  EXPECT_EQ(session->Predict("predict").code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(session->inputs("predict").empty());
}

TEST(PlanSummaryTest, StatesThePicturesOfTheBatchNotOfThePrediction) {
  TinySession session(ReferenceOptions(), test::TinyPredictingPlan());
  const Result<PlanSummary> summary = Session::Summarize(session.folder().File("plan").c_str());
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary.value().data_shape, (Shape{test::kTinySamples, test::kTinyFeatures}));
}

}  // namespace
}  // namespace pocketune
