#include "engine/runtime/saved_params.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pocketune/checkpoint.h"
#include "tests/support/old_checkpoint.h"
#include "tests/support/tiny_session.h"

namespace pocketune {
namespace {

using test::PlanSpec;
using test::ReferenceOptions;
using test::TinyPlan;
using test::TinySession;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kW1 = 0, kW2 = 2, kVelocity = 4;  // indices of the plan's parameters

// The same model for another purpose.
PlanSpec OtherPlan() {
  PlanSpec spec = TinyPlan();
  spec.metadata = R"({"other":1})";
  spec.slots = 2;
  return spec;
}

// The frozen layer has learned something before.
PlanSpec PlanAfterLearning() {
  PlanSpec spec = OtherPlan();
  test::ParamSpec& w1 = spec.params[kW1];
  w1.base_offset = w1.segment_offset;
  w1.segment_offset = static_cast<int64_t>(spec.segment.size() * sizeof(float));
  for (int i = 0; i < AlignUp(test::kTinyHidden * test::kTinyFeatures, 16); ++i) {
    spec.segment.push_back(0.01f * static_cast<float>(i));
  }
  for (test::ScheduleSpec& schedule : spec.schedules) {
    EXPECT_EQ(schedule.tensors[test::kTinyW1].storage, fb::Storage::Param);
  }
  return spec;
}

uint64_t IdentityOf(TinySession& session) {
  const Result<uint64_t> identity = Session::PlanIdentity(session.folder().File("plan").c_str());
  EXPECT_TRUE(identity.ok());
  return identity.ok() ? identity.value() : 0;
}

class SavedParamsTest : public ::testing::Test {
 protected:
  SavedParamsTest() {
    trained_.Train(3);
    EXPECT_TRUE(trained_->Save(path_.c_str(), "user").ok());
  }

  // And that nothing has changed where it is refused.
  Status Restore(TinySession& session) {
    const std::vector<float> before = session.Params();
    report_ = {};
    const Status status = session->Restore(path_.c_str(), nullptr, &report_);
    if (!status.ok()) {
      EXPECT_EQ(session.Params(), before);
      EXPECT_EQ(session->step(), 0u);
    }
    return status;
  }

  TinySession trained_;
  const std::string path_ = trained_.folder().File("c");
  RestoreReport report_;
};

TEST_F(SavedParamsTest, AnotherPlanOfTheModelTakesThem) {
  TinySession other(ReferenceOptions(), OtherPlan());
  ASSERT_TRUE(Restore(other).ok());
  EXPECT_EQ(other.Params(), trained_.Params());
  EXPECT_EQ(other->step(), 3u);
  EXPECT_EQ(report_.version, 2u);
  EXPECT_EQ(report_.restored, 3);
  EXPECT_THAT(report_.started_params, IsEmpty());
  EXPECT_THAT(report_.started_states, IsEmpty());
  EXPECT_THAT(report_.left_out, IsEmpty());
  const std::string again = other.folder().File("again");
  ASSERT_TRUE(other->Save(again.c_str(), "user").ok());
  EXPECT_EQ(test::ReadBytes(again), test::ReadBytes(path_)) << "the plan shows in the file";
}

TEST_F(SavedParamsTest, AnotherModelDoesNot) {
  PlanSpec renamed = TinyPlan();
  renamed.params[kW1].name = "fc0.weight";
  TinySession by_name(ReferenceOptions(), renamed);
  EXPECT_EQ(Restore(by_name).code(), StatusCode::kFailedPrecondition);
  PlanSpec rebuilt = TinyPlan();  // the same parameters, other operators between them
  rebuilt.model_identity = 7;
  TinySession by_operators(ReferenceOptions(), rebuilt);
  ASSERT_TRUE(by_operators->Save(path_.c_str(), "").ok());
  TinySession fresh;
  EXPECT_EQ(Restore(fresh).code(), StatusCode::kFailedPrecondition);
}

TEST_F(SavedParamsTest, APlanThatStatesItsModelTakesWhatAnOlderPlanOfItSaved) {
  PlanSpec stated = TinyPlan();
  stated.model_identity = 7;
  TinySession session(ReferenceOptions(), stated);
  EXPECT_TRUE(Restore(session).ok());
}

TEST_F(SavedParamsTest, OtherWeightsBesideWhatLearnedAreNoticed) {
  PlanSpec spec = TinyPlan();
  spec.segment[0] += 1;
  TinySession other(ReferenceOptions(), spec);
  EXPECT_EQ(Restore(other).code(), StatusCode::kFailedPrecondition);
}

TEST_F(SavedParamsTest, StatesThatMeanSomethingElseStartAtZeroAndAreNamed) {
  PlanSpec spec = TinyPlan();
  spec.params[kVelocity].slices = 5;
  TinySession other(ReferenceOptions(), spec);
  other.Train(1);
  ASSERT_TRUE(other->Restore(path_.c_str(), nullptr, &report_).ok());
  EXPECT_THAT(report_.started_states, ElementsAre("fc2.weight.velocity"));
  EXPECT_THAT(report_.left_out, ElementsAre("fc2.weight.velocity"));
  EXPECT_EQ(report_.restored, 2);
  std::vector<float> velocity(test::kTinyClasses * test::kTinyHidden, 1.0f);
  ASSERT_TRUE(other->ReadParam("fc2.weight.velocity", velocity).ok());
  EXPECT_THAT(velocity, ::testing::Each(0.0f));
}

TEST_F(SavedParamsTest, WhatLearnedBeforeAPlanIsSavedWithIt) {
  TinySession session(ReferenceOptions(), PlanAfterLearning());
  ASSERT_TRUE(session.status().ok()) << session.status().message();
  session.Train(2);
  ASSERT_TRUE(session->Save(path_.c_str(), "").ok());
  const Result<CheckpointContents> contents = ReadCheckpoint(path_.c_str());
  ASSERT_TRUE(contents.ok());
  ASSERT_EQ(contents.value().tensors.size(), 4u);
  EXPECT_EQ(contents.value().tensors[0].name, "fc1.weight");
  std::vector<float> now(test::kTinyHidden * test::kTinyFeatures), base(now.size());
  ASSERT_TRUE(session->ReadParam("fc1.weight", now).ok());
  ASSERT_TRUE(session->ReadBaseParam("fc1.weight", base).ok());
  EXPECT_EQ(contents.value().tensors[0].values, now);
  EXPECT_NE(base, now);
  EXPECT_TRUE(session->params()[kW1].learned_before);
  EXPECT_EQ(session->memory().checkpoint_bytes,
            session->memory().param_bytes + session->memory().optimizer_bytes + 5 * 64);
  TinySession same(ReferenceOptions(), PlanAfterLearning());
  ASSERT_TRUE(same->Restore(path_.c_str(), nullptr).ok());
  EXPECT_EQ(same.Params(), session.Params());
}

TEST_F(SavedParamsTest, AFrozenParameterWithOtherValuesIsRefusedEitherWay) {
  TinySession after(ReferenceOptions(), PlanAfterLearning());
  EXPECT_EQ(Restore(after).code(), StatusCode::kFailedPrecondition);  // the file has not learned it
  ASSERT_TRUE(after->Save(path_.c_str(), "").ok());
  TinySession before;
  EXPECT_EQ(Restore(before).code(), StatusCode::kFailedPrecondition);  // the plan has not
}

TEST_F(SavedParamsTest, ResetGoesBackToWhatThePlanStartedWith) {
  const TinySession fresh;
  ASSERT_TRUE(trained_->Reset().ok());
  EXPECT_EQ(trained_.Params(), TinySession().Params());
  EXPECT_EQ(trained_->step(), 0u);
}

TEST_F(SavedParamsTest, AFileOfVersion1IsOfItsPlan) {
  test::WriteAsVersion1(path_, path_, IdentityOf(trained_));
  TinySession same;
  ASSERT_TRUE(Restore(same).ok());
  EXPECT_EQ(report_.version, 1u);
  EXPECT_EQ(same.Params(), trained_.Params());
  TinySession other(ReferenceOptions(), OtherPlan());
  EXPECT_EQ(Restore(other).code(), StatusCode::kFailedPrecondition);
}

TEST_F(SavedParamsTest, APlanThatReplacedAnotherTakesItsFilesOfVersion1) {
  test::WriteAsVersion1(path_, path_, IdentityOf(trained_));
  PlanSpec spec = OtherPlan();
  spec.replaces = IdentityOf(trained_);
  TinySession other(ReferenceOptions(), spec);
  ASSERT_TRUE(Restore(other).ok());
  EXPECT_EQ(other.Params(), trained_.Params());
  EXPECT_EQ(report_.restored, 3);
  // Of slices it does not say which they are.
  spec.params[kVelocity].slices = 5;
  TinySession sliced(ReferenceOptions(), spec);
  ASSERT_TRUE(Restore(sliced).ok());
  EXPECT_THAT(report_.started_states, ElementsAre("fc2.weight.velocity"));
}

TEST_F(SavedParamsTest, AFileOfVersion1WithOtherTensorsThanItsPlansIsDamaged) {
  PlanSpec spec = TinyPlan();
  spec.params[kW2].name = "fc3.weight";
  TinySession other(ReferenceOptions(), spec);
  test::WriteAsVersion1(path_, path_, IdentityOf(other));
  EXPECT_EQ(Restore(other).code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace pocketune
